"""A history in the making: what was recorded goes in, what every provider accepts comes out.

Rules
1. What a model said in one response is a *group*. Items belong to one group when they carry the same response id;
   without ids (a file recorded elsewhere), when nothing of another kind stands between them.
2. After a group come the outputs of its calls, one each, in call order, whatever the order they were recorded in
   (parallel tools end as they like). Then whatever was recorded meanwhile (a user steering), in its own order.
3. A call without an output gets one that says so: a provider refuses a call that was never answered. The same text is
   what recovery will write, so making it explicit later changes no byte of what was sent.
4. An output without its call is left out, and so is a second output of one call.
5. Reasoning that nothing follows is left out: a response was cut there, and providers refuse reasoning without what
   it led to.
6. Calls of forms that we cannot answer in every vocabulary (`local_shell_call`, `tool_search_call` of files recorded
   elsewhere) are left out together with their outputs.

A response whose append was cut in the middle keeps the items that are whole: no tool of it can have started (tools
start after the append is acknowledged), so its calls count as never started. Dropping the whole response instead
would need to know where a response ends, which a cut log cannot say.

The session keeps one of these while it runs and the reader builds one from the log and hands over its state, so both
agree by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec.json import Decoder

from messages.base import CallId
from messages.items import CustomToolCallOutput, FunctionCallOutput, HistoryItem

Missing = Callable[[CallId], str]
"""What to tell the model about a call that has no output."""

NEVER_STARTED_TEXT = "aborted: this call was never started and had no effect"
UNKNOWN_TEXT = (
    "outcome unknown: callboard stopped while this call was running, so it may or may not have taken effect. "
    "Check before you do it again."
)
DECLINED_TEXT = "declined by the user: this call was not run"

_OUTPUT_OF = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_UNANSWERABLE = ("local_shell_call", "tool_search_call", "tool_search_output")

_encode = msgspec.json.Encoder().encode


class _Type(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""


_type: Decoder[_Type] = Decoder(_Type)


def missing_text(*, started: bool, declined: bool) -> str:
    """What the model is told about a call without an output, from how far its ledger came."""
    if started:
        return UNKNOWN_TEXT
    return DECLINED_TEXT if declined else NEVER_STARTED_TEXT


def never_started(_: CallId) -> str:
    """The `Missing` of whoever knows nothing more."""
    return NEVER_STARTED_TEXT


def output_for(call: HistoryItem, text: str) -> HistoryItem:
    """An output that answers ``call`` with plain text; the same bytes each time."""
    call_id = call.call_id or CallId("")
    if call.kind == "custom_tool_call":
        return HistoryItem(
            kind="custom_tool_call_output",
            raw=_encode(CustomToolCallOutput(call_id=call_id, output=text)),
            call_id=call_id,
        )
    return HistoryItem(
        kind="function_call_output", raw=_encode(FunctionCallOutput(call_id=call_id, output=text)), call_id=call_id
    )


def is_call(item: HistoryItem) -> bool:
    """Whether it must be answered by an output."""
    return item.kind in _OUTPUT_OF


def is_output(item: HistoryItem) -> bool:
    """Whether it answers a call."""
    return item.kind in ("function_call_output", "custom_tool_call_output")


class TranscriptState(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript as a value, from which `Transcript.resume` goes on."""

    settled: tuple[HistoryItem, ...] = ()
    response_id: str | None = None
    group: tuple[HistoryItem, ...] = ()
    outputs: tuple[HistoryItem, ...] = ()
    tail: tuple[HistoryItem, ...] = ()
    closed: bool = False


class Transcript:
    """Mutable; one writer. `items` may be called at any time and changes nothing."""

    __slots__ = ("_calls", "_closed", "_done", "_group", "_missing", "_outputs", "_response_id", "_tail")

    def __init__(self, items: Iterable[HistoryItem] = (), *, missing: Missing = never_started) -> None:
        self._missing = missing
        self._done: list[HistoryItem] = []
        """Groups that another has followed: nothing in them changes any more."""
        self._start_group()
        for item in items:
            self.add(item)

    def _start_group(self) -> None:
        self._response_id: str | None = None
        self._group: list[HistoryItem] = []
        self._calls: dict[CallId, HistoryItem] = {}
        self._outputs: dict[CallId, HistoryItem] = {}
        self._tail: list[HistoryItem] = []
        self._closed = False
        """Something that no model said has been recorded since the group began."""

    @classmethod
    def resume(cls, state: TranscriptState, *, missing: Missing = never_started) -> Transcript:
        """Go on from a state."""
        transcript = cls(missing=missing)
        transcript._done = list(state.settled)
        transcript._response_id = state.response_id
        transcript._group = list(state.group)
        transcript._calls = {call.call_id: call for call in state.group if is_call(call) and call.call_id is not None}
        transcript._outputs = {output.call_id: output for output in state.outputs if output.call_id is not None}
        transcript._tail = list(state.tail)
        transcript._closed = state.closed
        return transcript

    def state(self) -> TranscriptState:
        """All of it, as a value."""
        return TranscriptState(
            settled=tuple(self._done),
            response_id=self._response_id,
            group=tuple(self._group),
            outputs=tuple(self._outputs.values()),
            tail=tuple(self._tail),
            closed=self._closed,
        )

    def add(self, item: HistoryItem, response_id: str | None = None) -> bool:
        """Record one item. False: it has no place in a history (rules 4 and 6, or a call id used twice at once)."""
        if is_output(item):
            return self._add_output(item)
        if item.kind == "opaque" and _type.decode(item.raw).type in _UNANSWERABLE:
            return False
        if not _said_by_model(item, response_id):
            self._tail.append(item)
            self._closed = True
            return True
        if not self._continues(response_id):
            self.settle()
        self._response_id = response_id
        if is_call(item):
            if item.call_id is None or item.call_id in self._calls:
                return False
            self._calls[item.call_id] = item
        self._group.append(item)
        return True

    def settle(self) -> None:
        """Nothing more will be said about what there is: calls without an output have had their chance."""
        self._done.extend(self._arranged())
        self._start_group()

    def replace(self, history: Iterable[HistoryItem]) -> None:
        """Compaction: forget everything and begin with ``history``."""
        self._done = []
        self._start_group()
        for item in history:
            self.add(item)

    def unanswered(self) -> tuple[HistoryItem, ...]:
        """Calls of the last response that have no output yet, in call order."""
        return tuple(call for call_id, call in self._calls.items() if call_id not in self._outputs)

    def last_calls(self) -> tuple[HistoryItem, ...]:
        """All calls of the last response, in call order."""
        return tuple(self._calls.values())

    def settled_from(self, start: int) -> list[HistoryItem]:
        """Of what can change no more, all but the first ``start``."""
        return self._done[start:]

    def unsettled(self) -> list[HistoryItem]:
        """What stands behind all that is settled, as it is now."""
        return self._arranged()

    def items(self) -> tuple[HistoryItem, ...]:
        """The history, valid for every provider."""
        return (*self._done, *self._arranged())

    def _add_output(self, item: HistoryItem) -> bool:
        call = self._calls.get(item.call_id) if item.call_id is not None else None
        if call is None or call.call_id is None:
            return False
        if call.call_id in self._outputs or _OUTPUT_OF[call.kind] != item.kind:
            return False
        self._outputs[call.call_id] = item
        self._closed = True
        return True

    def _continues(self, response_id: str | None) -> bool:
        """Whether what a model says now belongs to the group at hand."""
        if self._group and response_id is not None:
            return response_id == self._response_id
        return not self._closed and (not self._group or self._response_id is None)

    def _arranged(self) -> list[HistoryItem]:
        end = len(self._group)
        while end and self._group[end - 1].kind == "reasoning":
            end -= 1
        arranged = self._group[:end]
        for call_id, call in self._calls.items():
            output = self._outputs.get(call_id)
            arranged.append(output_for(call, self._missing(call_id)) if output is None else output)
        arranged.extend(self._tail)
        return arranged


def _said_by_model(item: HistoryItem, response_id: str | None) -> bool:
    if item.kind == "compaction":
        return False
    return response_id is not None or item.origin is not None or item.kind in ("reasoning", *_OUTPUT_OF)
