"""Compaction: when a conversation nears the end of its model's context window, or a person asks for it, the model
writes a summary, and the history it is sent begins anew with that.

What people said is kept word for word, as far as it fits; of everything else there is the summary. Clients keep seeing
the whole conversation: only what a model is sent changes, by one record (`Compacted`) together with the end of the
item that shows it. Until that record is in the log the old history stands, so a compaction that fails, is interrupted
or dies with the daemon has changed nothing.

It is a sampling like any other, with three differences: nothing of its answer is shown, its calls are not run, and a
request that no longer fits is tried again without the oldest half of the conversation, because a thread that can
neither be continued nor compacted is lost. Tools and instructions stay as they were: the provider's prefix cache then
holds for the largest request of the thread. Source of the numbers: the reference's core §4.4.

Rejected: dropping old items without a summary (the model repeats what it has done), and summing up piece by piece (a
request per piece, and no model sees the whole).
"""

from __future__ import annotations

from actors.session import guidance, history
from actors.session.effects import StartSampling
from actors.session.shown import finished
from actors.session.state import Compaction, Sampling, SessionState
from actors.session.step import Step
from messages.base import ItemId
from messages.client.item import AgentMessage, ContextCompaction, ThreadItem, UserMessage
from messages.items import HistoryItem, InputText, MessageItem
from messages.log import Compacted
from messages.model import SampleRequest, TokenUsage
from messages.session import UsageUpdated

DUE_SHARE = 0.9
"""Of the context window: what is left is enough for one long answer, and for the request that compacts."""

KEPT_CHARS = 80_000
"""Of people's words, newest first: some 20,000 tokens, the reference's number."""

KEPT_SHARE = 0.25
"""Of the context window, where that is small."""

CHARS_PER_TOKEN = 4
"""English prose and code alike, roughly: for telling how full the context is before a provider has counted."""

MAX_HALVINGS = 4
"""A sixteenth of a conversation that was once accepted fits any window."""

PROMPT = (
    "The conversation is about to be shortened. Write a summary from which you, with no other memory of it, can go on: "
    "what the user wants and any rules they set; what has been done, with the files and commands that matter; what was "
    "found out, what failed and why; what is still open, and the next step. Be exact about names, paths and numbers. "
    "Answer with the summary alone and call no tools."
)

SUMMARY_OPENING = (
    "The conversation up to here has been shortened. What follows is your own summary of it; the user's messages above "
    "are kept in their words.\n\n"
)

CUT = "\n[… the middle of this message was left out when the conversation was shortened …]\n"


def due(step: Step) -> bool:
    """Whether the next request should wait until the history is shorter. Not twice in a row: what cannot be made
    any shorter is for the provider to judge."""
    state = step.state
    window = state.offer.window_of(state.settings)
    tried = state.turn is not None and (state.turn.compacted or state.turn.uncompactable)
    return window is not None and not tried and state.last_usage.total > window * DUE_SHARE


def start(step: Step) -> None:
    """Ask the model for a summary of everything it has been sent. Where that is nothing, it is done at once."""
    shown = step.start_item(ContextCompaction(id=step.new_id()))
    if not step.state.history:
        step.complete_item(step.turn.id, shown)
        return
    instructions = guidance.settle(step)
    step.put_turn(compaction=Compaction(shown=shown, instructions=instructions, history=step.state.history))
    _tell_usage(step)
    _sample(step)


def _sample(step: Step) -> None:
    turn = step.turn
    assert turn.compaction is not None
    tools = step.state.offer.tools_of(turn.settings)
    request = SampleRequest(
        request_id=step.new_id(),
        thread_id=step.state.thread_id,
        turn_id=turn.id,
        provider=turn.settings.provider,
        model=turn.settings.model,
        instructions=turn.compaction.instructions,
        history=(*turn.compaction.history, history.text_item(PROMPT)),
        tools=tools,
        tool_choice="none" if tools else "auto",
        reasoning_effort=turn.settings.reasoning_effort,
        reasoning_summary=turn.settings.reasoning_summary,
        verbosity=turn.settings.verbosity,
    )
    effect = StartSampling(request=request)
    step.put_turn(sampling=Sampling(request_id=request.request_id), live=turn.live | {effect.child})
    step.do(effect)


def try_shorter(step: Step) -> bool:
    """The request did not fit: try it without the older half. False if that was tried often enough."""
    turn = step.turn
    tried = turn.compaction
    if tried is None or tried.halvings >= MAX_HALVINGS:
        return False
    kept = _newer_half(tried.history)
    if len(kept) == len(tried.history):
        return False
    shorter = Compaction(shown=tried.shown, instructions=tried.instructions, history=kept, halvings=tried.halvings + 1)
    step.put_turn(compaction=shorter)
    _sample(step)
    return True


def _newer_half(items: tuple[HistoryItem, ...]) -> tuple[HistoryItem, ...]:
    """From a message of the user's on, so that no call is parted from its output."""
    places = [place for place, item in enumerate(items) if item.kind == "message" and item.origin is None]
    middle = next((place for place in places if place >= len(items) / 2), places[-1] if places else 0)
    return items[middle:]


def summary_of(items: tuple[HistoryItem, ...]) -> str:
    """What the model answered; empty if it said nothing."""
    read = (history.readable(item) for item in items)
    said = (finished(ItemId(""), item) for item in read if item is not None)
    return "\n\n".join(item.text for item in said if isinstance(item, AgentMessage) and item.text.strip())


def finish(step: Step, summary: str) -> None:
    """The history begins anew. The caller has counted the tokens, and goes on with the turn."""
    state, turn = step.state, step.turn
    assert turn.compaction is not None
    told = (
        [history.text_item(turn.settings.developer_instructions, role="developer")]
        if turn.settings.developer_instructions
        else []
    )
    told += [history.text_item(text) for text in (state.docs, state.environment) if text is not None]
    kept = (*told, *_words_of_people(state), history.text_item(f"{SUMMARY_OPENING}{summary}"))
    step.put(history=kept, last_usage=TokenUsage(total=_tokens(kept)))
    step.log(Compacted(turn_id=turn.id, message=summary, history=kept))
    step.put_turn(compaction=None, compacted=True)
    _tell_usage(step)
    step.complete_item(turn.id, turn.compaction.shown)


def _tell_usage(step: Step) -> None:
    """How full the context is: clients show it beside the item."""
    state = step.state
    step.show(
        UsageUpdated(
            turn_id=step.turn.id,
            last=state.last_usage,
            total=state.usage,
            context_window=state.offer.window_of(state.settings),
        )
    )


def abandon(step: Step) -> None:
    """The turn ends: the history stays as it was."""
    compaction = step.turn.compaction
    if compaction is not None:
        step.put_turn(compaction=None)
        step.complete_item(step.turn.id, compaction.shown, partial=True)


def _words_of_people(state: SessionState) -> list[HistoryItem]:
    """Their messages, oldest first, of the newest as many as fit; the one that does not fit loses its middle."""
    shown: list[ThreadItem] = [item for turn in state.turns for item in turn.items]
    if state.turn is not None:
        shown += state.turn.items
    window = state.offer.window_of(state.settings)
    room = KEPT_CHARS if window is None else min(KEPT_CHARS, int(window * KEPT_SHARE) * CHARS_PER_TOKEN)
    kept: list[HistoryItem] = []
    for item in reversed(shown):
        if not isinstance(item, UserMessage) or item.id in state.withheld:
            continue
        message = history.user_item(item.content)
        size = len(message.raw)
        if size > room:
            kept.append(_without_middle(message, room))
            break
        room -= size
        kept.append(message)
    kept.reverse()
    return kept


def _without_middle(message: HistoryItem, room: int) -> HistoryItem:
    read = history.readable(message)
    text = (
        "\n".join(part.text for part in read.content if isinstance(part, InputText))
        if isinstance(read, MessageItem)
        else ""
    )
    half = max(room // 2 - len(CUT), 0)
    return history.text_item(text[:half] + CUT + (text[-half:] if half else ""))


def _tokens(items: tuple[HistoryItem, ...]) -> int:
    return sum(len(item.raw) for item in items) // CHARS_PER_TOKEN
