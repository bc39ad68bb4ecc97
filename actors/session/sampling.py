"""One sampling: what streams in is shown, and what the response's terminal event confirms becomes history.

Nothing of an attempt that failed enters history: its items complete as partial, for eyes only, and the next attempt
gets new ones. Of a response that ended before it was whole (a limit, a filter) the finished messages stay, its calls
are not run, and the turn fails.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.rollout_writer.transcript import is_call
from actors.sandbox_pool.scanner import Block
from actors.session import calls, closing, compact_hooks, compaction, guidance, history, partials, reasoning, web_search
from actors.session.effects import AttachText, ChildId, StartSampling
from actors.session.shown import begun, finished, partial
from actors.session.sieve import scripts_of
from actors.session.state import Closing, Sampling, Slot, TurnState
from actors.session.step import Step, item_id
from messages.base import ItemId
from messages.client.item import AgentMessage, WebSearch
from messages.failure import Failure
from messages.items import HistoryItem
from messages.log import UsageRecorded
from messages.model import (
    ItemBegan,
    ItemFinished,
    SampleCompleted,
    SampleFailed,
    SampleRequest,
    SampleRetrying,
    StopReason,
    StreamEvent,
    TextBegan,
    TokenUsage,
)
from messages.session import LimitsUpdated, ReasoningPartAdded, TurnFailing, UsageUpdated

MAX_PAUSES = 32
"""A provider that pauses its answer wants to be asked to go on; one that only ever pauses is broken."""


def start(step: Step) -> None:
    """Send the model everything it has not answered yet."""
    instructions = guidance.settle(step)
    state, turn = step.state, step.turn
    tools = state.offer.tools_of(turn.settings)
    request = SampleRequest(
        request_id=step.new_id(),
        thread_id=state.thread_id,
        turn_id=turn.id,
        provider=turn.settings.provider,
        model=turn.settings.model,
        instructions=instructions,
        history=state.history,
        tools=tools,
        reasoning_effort=turn.settings.reasoning_effort,
        reasoning_summary=turn.settings.reasoning_summary,
        verbosity=turn.settings.verbosity,
        output_schema=turn.output_schema,
        scripts=turn.scripting is not None,
    )
    effect = StartSampling(request=request)
    step.put_turn(
        sampling=Sampling(request_id=request.request_id),
        compacted=False,
        follow_up=False,
        live=turn.live | {effect.child},
    )
    step.do(effect)


def hear(step: Step, event: StreamEvent) -> None:
    """An event of the model. Of a request that is not the present one, it is late and means nothing."""
    turn = step.state.turn
    if (
        turn is None
        or turn.sampling is None
        or turn.sampling.request_id != event.request_id
        or turn.closing is not None
    ):
        return
    match event:
        case ItemBegan():
            _began(step, turn.sampling, event)
        case TextBegan():
            _text_began(step, turn, turn.sampling, event)
        case ItemFinished():
            slots = tuple(_with_finished(slot, event) for slot in turn.sampling.slots)
            step.put_turn(sampling=Sampling(request_id=event.request_id, slots=slots))
        case SampleCompleted():
            _completed(step, turn, turn.sampling, event)
        case SampleRetrying():
            partials.complete_attempt(step)
            step.show(
                TurnFailing(
                    turn_id=turn.id,
                    failure=event.failure,
                    will_retry=True,
                    attempt=event.attempt,
                    attempts=event.attempts,
                )
            )
        case SampleFailed():
            if event.limits is not None:
                step.show(LimitsUpdated(provider=turn.settings.provider, limits=event.limits))
            if event.failure.kind != "context_window_exceeded" or not compaction.try_shorter(step):
                fail(step, event.failure)
        case _:
            assert_never(event)


def down(step: Step, child: ChildId, crash: str | None) -> None:
    """The model_stream ended; if it had not said how the request ended, that is how it ended."""
    turn = step.turn
    if turn.closing is None and turn.sampling is not None and turn.sampling.request_id == child:
        what = f"broke down ({crash})" if crash else "ended"
        fail(step, Failure(kind="internal", message=f"The model request {what} without an answer; try again."))


def fail(step: Step, failure: Failure) -> None:
    """The request gave no usable answer, so the turn cannot go on."""
    partials.complete_attempt(step)
    step.put_turn(sampling=None)
    closing.begin(step, Closing(status="failed", failure=failure))


def _began(step: Step, sampling: Sampling, event: ItemBegan) -> None:
    if any(slot.number == event.slot for slot in sampling.slots):
        return
    # Nothing is shown of a summary: it is for the model alone.
    if step.turn.compaction is not None or not reasoning.is_shown(event.kind, step.turn.settings):
        item = None
    else:
        item = begun(event.kind, ItemId(step.new_id()), event.phase, event.name)
    shown = None if item is None else step.start_item(item)
    slot = Slot(number=event.slot, kind=event.kind, shown=shown)
    step.put_turn(sampling=Sampling(request_id=sampling.request_id, slots=(*sampling.slots, slot)))


def _text_began(step: Step, turn: TurnState, sampling: Sampling, event: TextBegan) -> None:
    slot = next((slot for slot in sampling.slots if slot.number == event.slot), None)
    shown = None if slot is None else slot.shown
    if slot is not None and shown is not None and event.channel == "summary":
        step.show(ReasoningPartAdded(turn_id=turn.id, item_id=item_id(shown), index=event.index))
        told = msgspec.structs.replace(slot, summarised=True)
        slots = tuple(told if each is slot else each for each in sampling.slots)
        step.put_turn(sampling=msgspec.structs.replace(sampling, slots=slots))
    summarised = slot is not None and slot.summarised
    if not reasoning.is_text_shown(event.channel, summarised=summarised, settings=turn.settings):
        shown = None
    # A text that nobody is shown is taken over all the same: until then its stream counts it as undelivered.
    step.do(
        AttachText(
            turn_id=turn.id,
            item_id=None if shown is None else item_id(shown),
            request_id=event.request_id,
            text_slot=event.text_slot,
            limit=reasoning.limit_of(event.channel, turn.settings),
        )
    )


def _with_finished(slot: Slot, event: ItemFinished) -> Slot:
    if slot.number != event.slot:
        return slot
    return msgspec.structs.replace(slot, finished=event.item)


def _completed(step: Step, turn: TurnState, sampling: Sampling, event: SampleCompleted) -> None:
    if turn.compaction is not None:
        _summed_up(step, turn, sampling, event)
        return
    whole = event.stop in ("end", "tool_use", "pause")
    items = tuple(slot.finished for slot in sampling.slots if slot.finished is not None)
    fault = _fault(items) if whole else None
    if fault is not None:
        fail(step, Failure(kind="protocol", message=fault))
        return
    kept = history.final_items(items, whole=whole)
    kept_ids = {id(item) for item in kept}
    for slot in sampling.slots:
        if slot.finished is None or id(slot.finished) not in kept_ids:
            partials.complete_cut(step, slot)
        else:
            _make_final(step, turn, sampling, slot, slot.finished)
    _count_usage(step, turn, event.usage, event.billed or event.usage)
    if event.limits is not None:
        step.show(LimitsUpdated(provider=turn.settings.provider, limits=event.limits))
    step.put_turn(sampling=None)
    if not whole:
        failure = _cut_short(event.stop, event.why)
        closing.begin(step, Closing(status="failed", failure=failure))
        return
    wanted: list[HistoryItem | Block] = []
    for item in kept:
        if is_call(item):
            wanted.append(item)
        elif turn.scripting is not None:
            wanted += scripts_of(item)
    if wanted:
        calls.start(step, tuple(wanted))
    elif event.stop == "pause":
        _go_on(step, turn)


def _summed_up(step: Step, turn: TurnState, sampling: Sampling, event: SampleCompleted) -> None:
    """The answer was a summary: the history begins anew with it, and the turn goes on."""
    _count_usage(step, turn, event.usage, event.billed or event.usage)
    summary = compaction.summary_of(tuple(slot.finished for slot in sampling.slots if slot.finished is not None))
    if event.stop not in ("end", "tool_use", "pause"):
        fail(step, _cut_short(event.stop, event.why))
    elif not summary:
        text = "The model gave no summary; the conversation stays as long as it is. Try again, or start another thread."
        fail(step, Failure(kind="protocol", message=text))
    else:
        step.put_turn(sampling=None)
        compaction.finish(step, summary)
        compact_hooks.compacted(step, summary)


def _make_final(step: Step, turn: TurnState, sampling: Sampling, slot: Slot, item: HistoryItem) -> None:
    if slot.shown is None:
        step.remember(turn.id, item, response_id=sampling.request_id)
        return
    shown_id = item_id(slot.shown)
    read = history.readable(item)
    final = finished(shown_id, read, scripts=turn.scripting is not None) if read is not None else None
    if isinstance(slot.shown, WebSearch):
        final = web_search.finished(shown_id, item)
    if type(final) is not type(slot.shown):
        # It cannot be read as what it began as; what was shown of it stays.
        final = partial(slot.shown, step.at.texts.partial(shown_id))
    step.remember(turn.id, item, response_id=sampling.request_id, shown_as=shown_id)
    step.complete_item(turn.id, reasoning.as_shown(final, turn.settings))
    if isinstance(final, AgentMessage):
        step.put_turn(last_message=final.text)


def _fault(items: tuple[HistoryItem, ...]) -> str | None:
    """Why the calls of a whole response cannot be run; None if they can."""
    seen: set[str] = set()
    for item in items:
        if not is_call(item):
            continue
        call = history.call_of(item)
        if call is None or not call.call_id:
            return "The model's answer holds a tool call that cannot be read; none of its calls was run."
        if call.call_id in seen:
            return f"The model's answer uses the call id {call.call_id!r} twice; none of its calls was run."
        seen.add(call.call_id)
    return None


def _count_usage(step: Step, turn: TurnState, last: TokenUsage, billed: TokenUsage) -> None:
    before = step.state.usage
    total = TokenUsage(
        input=before.input + billed.input,
        cached_input=before.cached_input + billed.cached_input,
        cache_write_input=before.cache_write_input + billed.cache_write_input,
        output=before.output + billed.output,
        reasoning_output=before.reasoning_output + billed.reasoning_output,
        total=before.total + billed.total,
    )
    step.put(usage=total, last_usage=last)
    step.log(UsageRecorded(turn_id=turn.id, last=last, total=total))
    window = step.state.offer.window_of(turn.settings)
    step.show(UsageUpdated(turn_id=turn.id, last=last, total=total, context_window=window))


def _cut_short(stop: StopReason, why: str | None) -> Failure:
    if stop == "length":
        return Failure(
            kind="incomplete",
            message="The model's answer was cut off at its limit of output tokens; ask it to go on, in smaller steps.",
        )
    if stop == "context_window":
        return Failure(
            kind="context_window_exceeded",
            message="The model's answer was cut off because the conversation no longer fits its context window.",
        )
    if stop == "filtered":
        message = "A content filter of the provider stopped the model's answer."
    else:
        message = "The model declined to answer."
    return Failure(kind="refused", message=f"{message} {why}" if why else message, detail=why)


def _go_on(step: Step, turn: TurnState) -> None:
    if turn.pauses >= MAX_PAUSES:
        fail(step, Failure(kind="protocol", message=f"The model paused {MAX_PAUSES} times without an answer."))
    else:
        step.put_turn(pauses=turn.pauses + 1, follow_up=True)
