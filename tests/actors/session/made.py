"""Small makers for the session's tests: states, items, events, with defaults that say nothing."""

from __future__ import annotations

import msgspec

from actors.session.core import handle
from actors.session.effects import Asked, Effect, Input, Instant, PartialText, Texts
from actors.session.state import Offer, SessionState
from messages.base import CallId, ItemId, ThreadId
from messages.client.item import CommandExecution, TextInput, ThreadItem, UserInput
from messages.items import (
    CustomToolCall,
    FunctionCall,
    HistoryItem,
    MessageItem,
    Origin,
    OutputText,
    ReasoningItem,
    SummaryText,
)
from messages.model import (
    ItemBegan,
    ItemFinished,
    SampleCompleted,
    StopReason,
    TextBegan,
    TextChannel,
    TokenUsage,
    ToolSpec,
)
from messages.session import SessionCommand, StartTurn, ThreadSettings, ThreadSummary
from messages.tools import ToolPrepared

THREAD = ThreadId("thread")
ORIGIN = Origin(provider="p", model="m", wire="responses")
SETTINGS = ThreadSettings(provider="p", model="m", cwd="/w", approval_policy="on-request")
SUMMARY = ThreadSummary(
    id=THREAD,
    path=None,
    cwd="/w",
    preview="",
    name=None,
    provider="p",
    model="m",
    source="test",
    created_at=0.0,
    updated_at=0.0,
    cli_version="0",
)
encode = msgspec.json.encode


class NoTexts:
    """No item has any text yet."""

    def partial(self, item_id: ItemId) -> tuple[PartialText, ...]:
        return ()


def instant(now: float = 1.0, texts: Texts | None = None) -> Instant:
    return Instant(now=now, date="2026-11-21", texts=texts or NoTexts())


def new_state(settings: ThreadSettings = SETTINGS, **fields: object) -> SessionState:
    state = SessionState(
        thread_id=THREAD,
        ids="i",
        offer=Offer(tools=(ToolSpec(name="run", description="Runs."),)),
        settings=settings,
        summary=SUMMARY,
    )
    return msgspec.structs.replace(state, **fields)


def words(text: str) -> tuple[UserInput, ...]:
    return (TextInput(text=text),)


def asked(command: SessionCommand, token: str | None = "token", fresh_id: str = "turn-1") -> Asked:
    return Asked(command=command, token=token, fresh_id=fresh_id)


def start_turn(text: str = "hello", submission_id: str = "s1", fresh_id: str = "turn-1") -> Asked:
    return asked(StartTurn(submission_id=submission_id, input=words(text)), fresh_id=fresh_id)


def message(text: str, phase: str | None = None) -> HistoryItem:
    raw = encode(MessageItem(role="assistant", content=(OutputText(text=text),), phase=phase))
    return HistoryItem(kind="message", raw=raw, origin=ORIGIN)


def reasoning(summary: str = "because") -> HistoryItem:
    raw = encode(ReasoningItem(summary=(SummaryText(text=summary),), encrypted_content="x"))
    return HistoryItem(kind="reasoning", raw=raw, origin=ORIGIN)


def call(call_id: str, name: str = "run", arguments: str = "{}", *, freeform: bool = False) -> HistoryItem:
    if freeform:
        raw = encode(CustomToolCall(call_id=CallId(call_id), name=name, input=arguments))
        return HistoryItem(kind="custom_tool_call", raw=raw, call_id=CallId(call_id), origin=ORIGIN)
    raw = encode(FunctionCall(call_id=CallId(call_id), name=name, arguments=arguments))
    return HistoryItem(kind="function_call", raw=raw, call_id=CallId(call_id), origin=ORIGIN)


def began(request_id: str, slot: int, item: HistoryItem) -> ItemBegan:
    kind = item.kind
    assert kind in ("message", "reasoning", "function_call", "custom_tool_call", "opaque")
    return ItemBegan(request_id=request_id, slot=slot, kind=kind, call_id=item.call_id)


def text_began(request_id: str, slot: int, channel: TextChannel, text_slot: int, index: int = 0) -> TextBegan:
    return TextBegan(request_id=request_id, slot=slot, text_slot=text_slot, channel=channel, index=index)


def completed(request_id: str, stop: StopReason = "end", *, tokens: int = 3) -> SampleCompleted:
    usage = TokenUsage(input=tokens - 1, output=1, total=tokens)
    return SampleCompleted(request_id=request_id, response_id="r", stop=stop, usage=usage)


def response(request_id: str, *items: HistoryItem, stop: StopReason = "end") -> list[Input]:
    """Everything one whole response says."""
    events: list[Input] = []
    for slot, item in enumerate(items):
        events.append(began(request_id, slot, item))
        events.append(ItemFinished(request_id=request_id, slot=slot, item=item))
    return [*events, completed(request_id, stop)]


def command_item(item_id: str, status: str = "inProgress") -> ThreadItem:
    return msgspec.convert(
        {
            "type": "commandExecution",
            "id": item_id,
            "command": "make",
            "cwd": "/w",
            "status": status,
            "commandActions": [{"type": "unknown", "command": "make"}],
        },
        CommandExecution,
    )


def prepared(call_id: str, item: ThreadItem | None = None, *, parallel_safe: bool = True) -> ToolPrepared:
    return ToolPrepared(call_id=CallId(call_id), item=item, parallel_safe=parallel_safe, side_effects=True)


class Session:
    """The core with a memory: feed it messages, look at all its effects."""

    def __init__(self, state: SessionState | None = None) -> None:
        self.state = state or new_state()
        self.now = 1.0
        self.effects: list[Effect] = []

    def hear(self, *messages: Input) -> list[Effect]:
        """The effects of these messages."""
        news: list[Effect] = []
        for each in messages:
            self.state, effects = handle(self.state, each, instant(self.now))
            news.extend(effects)
        self.effects.extend(news)
        return news

    def of(self, kind: type) -> list[Effect]:
        return [each for each in self.effects if isinstance(each, kind)]
