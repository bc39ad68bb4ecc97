"""A Responses stream, heard event by event. Pure: events in, `StreamEvent`s out, text straight into the open texts.

Rules
1. Items are told apart by ``output_index`` alone. Ids are not to be trusted: one server gives every event new ones.
2. ``output_item.done`` is authoritative and kept byte for byte, apart from ``status``, which is not sent back. Deltas
   are for eyes. Only if a server sent no such event at all are the items taken from the terminal event.
3. Items may interleave on the wire; they begin as they come and finish in the order they began, which is the order
   of their replay.
4. The response's own terminal event ends it; ``[DONE]`` and the end of the stream do not. Nothing after it is heard.
5. What is unknown (event, item, field) passes or is kept as it is; what cannot be read is skipped, counted and, if
   there is too much of it, the end.
6. Text waits until the end of the batch and becomes one piece, whatever the number of deltas.

Where servers differ from OpenAI, and what is done about it, is said where it is done. Sources: OpenAI's API reference
and SDK; recordings of OpenAI, Azure, GitHub Copilot, OpenRouter, Bedrock, xAI, DeepSeek, LM Studio.

Rejected: one struct type per event in a tagged union (an unknown type would be an error, and there are sixty);
correlating by ``item_id``; building the items out of their deltas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from actors.model_stream.errors import ProviderError, from_stream, provider_error, readable
from actors.model_stream.responses.ending import stop_of_completed, stop_of_incomplete, token_usage
from actors.model_stream.responses.events import (
    BEGAN_KINDS,
    CHANNEL_OF_DELTA,
    CHANNEL_OF_PART,
    HOSTED_CALLS,
    ITEM_OF_CHANNEL,
    NO_EVENT,
    UNREADABLE,
    BeganKind,
    Delta,
    PartEvent,
    Response,
    Skeleton,
    any_decoder,
    delta_decoder,
    item_decoder,
    part_decoder,
    raw_items_decoder,
    response_decoder,
    skeleton_decoder,
)
from actors.model_stream.responses.item import history_item
from actors.model_stream.responses.mend import mended
from actors.model_stream.sse import SseEvent
from actors.session.open_text import OpenText, TextTable
from messages.base import CallId
from messages.failure import Failure
from messages.items import CustomToolCall, FunctionCall, HistoryItem, MessageItem, Origin, Refusal
from messages.model import ItemBegan, ItemFinished, SampleCompleted, StopReason, StreamEvent, TextBegan, TextChannel

MAX_UNREADABLE_EVENTS = 32
"""Events that are no JSON objects, before the stream is given up: a proxy may garble one, a protocol garbles none."""

MAX_ITEMS = 4096
"""Items in one response. The largest seen has some thirty; a server that opens more is broken or hostile."""


class _Item:
    """One item of the response."""

    __slots__ = ("finished", "kind", "slot", "texts")

    def __init__(self, slot: int, kind: BeganKind) -> None:
        self.slot = slot
        self.kind = kind
        self.finished: HistoryItem | None = None
        self.texts: dict[tuple[TextChannel, int], OpenText] = {}


class ResponsesDecoder:
    """One attempt's stream.

    ``first_slot`` and ``first_text_slot`` continue the numbers of earlier attempts of the same request, so that slots
    never repeat. ``where`` names the provider in failures.
    """

    def __init__(
        self,
        request_id: str,
        origin: Origin,
        texts: TextTable,
        *,
        first_slot: int = 0,
        first_text_slot: int = 0,
        where: str = "the model",
        freeform: frozenset[str] = frozenset(),
    ) -> None:
        self.next_slot = first_slot
        self.next_text_slot = first_text_slot
        self.done = False
        """A terminal event was heard: either `SampleCompleted` was among the events, or `failure` says why not."""
        self.failure: Failure | None = None
        self.recognised = False
        """Whether anything so far was of this protocol."""
        self.unreadable = 0
        self._request_id = request_id
        self._origin = origin
        self._texts = texts
        self._where = where
        self._freeform = freeform
        self._items: dict[int, _Item] = {}
        """By output index; a server that uses one index twice replaces the earlier item, which must have finished."""
        self._latest = -1
        """The output index last begun: for servers that leave the index out."""
        self._unreleased: deque[_Item] = deque()
        """Items in the order they began, from the first that has not been told as finished."""
        self._begun = 0
        self._finished_any = False
        self._calls = False
        self._refused = False
        self._response_id: str | None = None
        self._model: str | None = None
        self._out: list[StreamEvent] = []
        self._text: OpenText | None = None
        """Where deltas like the last one go, and what such a delta looks like."""
        self._text_type = NO_EVENT
        self._text_output: int | None = None
        self._text_content: int | None = None
        self._text_summary: int | None = None
        self._pieces: list[str] = []
        """Deltas of this batch for `_text`, not yet in it."""

    def take(self, events: Iterable[SseEvent]) -> list[StreamEvent]:
        """Hear a batch of events; what they mean, in order. Text has been appended when this returns."""
        decode = delta_decoder.decode
        pieces = self._pieces
        for event in events:
            try:
                delta = decode(event.data)
            except UNREADABLE:
                self._take_odd(event)
            else:
                if (
                    delta.type == self._text_type
                    and delta.output_index == self._text_output
                    and delta.content_index == self._text_content
                    and delta.summary_index == self._text_summary
                ):
                    pieces.append(delta.delta)
                    continue
                self._take_known(delta, event)
            if self.done:
                break
        if pieces:
            assert self._text is not None, "pieces are only kept for a text"
            self._text.append(pieces[0] if len(pieces) == 1 else "".join(pieces))
            pieces.clear()
        out = self._out
        if out:
            self._out = []
        return out

    def take_whole(self, body: bytes) -> list[StreamEvent] | None:
        """Hear a response that came as one JSON object. None: it is none."""
        try:
            response = any_decoder.decode(body)
        except UNREADABLE:
            return None
        if not isinstance(response, dict) or "output" not in response:
            return None
        return self.take([SseEvent(None, b'{"type":"response.completed","response":%b}' % body)])

    def end(self) -> None:
        """The stream ended. Without a terminal event before it, that is a failure."""
        if self.done:
            return
        if self.recognised:
            garbled = f" ({self.unreadable} events could not be read)" if self.unreadable else ""
            self._fail(
                Failure(
                    kind="stream_disconnected",
                    message=f"{self._where} closed the stream before the response was complete{garbled}",
                    retryable=True,
                )
            )
        else:
            self._fail(_not_the_protocol(self._where, "its answer holds no event of the Responses API"))

    # --- text -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Put the deltas of this batch into their text."""
        pieces = self._pieces
        if pieces:
            text = self._text
            assert text is not None, "pieces are only kept for a text"
            text.append(pieces[0] if len(pieces) == 1 else "".join(pieces))
            pieces.clear()

    def _turn_to(self, delta: Delta, channel: TextChannel) -> None:
        """A delta for another text than the last one's."""
        self._settle()
        self._leave_text()
        item = self._item_at(delta.output_index, ITEM_OF_CHANNEL[channel])
        if item.finished or self.done:
            return  # what comes after an item's end is not part of it
        place = delta.summary_index if channel == "summary" else delta.content_index
        self._text = self._text_of(item, channel, place or 0)
        self._text_type = delta.type or NO_EVENT
        self._text_output = delta.output_index
        self._text_content = delta.content_index
        self._text_summary = delta.summary_index
        self._pieces.append(delta.delta)

    def _leave_text(self) -> None:
        self._text = None
        self._text_type = NO_EVENT

    def _text_of(self, item: _Item, channel: TextChannel, index: int) -> OpenText:
        text = item.texts.get((channel, index))
        if text is None:
            text = item.texts[channel, index] = OpenText(channel, index)
            slot = self.next_text_slot
            self.next_text_slot = slot + 1
            self._texts.open(slot, text)
            self._out.append(
                TextBegan(request_id=self._request_id, slot=item.slot, text_slot=slot, channel=channel, index=index)
            )
        return text

    # --- everything else --------------------------------------------------------------------------------------------

    def _take_known(self, delta: Delta, event: SseEvent) -> None:
        """An event that could be read."""
        name = delta.type or event.event or ""
        channel = CHANNEL_OF_DELTA.get(name)
        if channel is not None:
            self.recognised = True
            self._turn_to(delta, channel)
            return
        handle = _HANDLERS.get(name)
        if handle is not None:
            self._settle()
            self.recognised = True
            self._handle(handle, mended(event.data))
        elif not name:
            # Gateways report their own trouble as a bare `{"error": ...}` in the middle of anything.
            error = _as_error(event.data) if b'"error"' in event.data else None
            if error is not None:
                self._settle()
                self._fail(from_stream(error, where=self._where))
        elif name.startswith("response."):
            self.recognised = True

    def _take_odd(self, event: SseEvent) -> None:
        """An event that could not be read as it stands."""
        data = event.data.strip()
        if data in _IGNORED_DATA:
            return
        better = mended(data)
        if better is not data and better != data:
            try:
                delta = delta_decoder.decode(better)
            except UNREADABLE:
                pass
            else:
                self._take_known(delta, SseEvent(event.event, better))
                return
        try:
            value = any_decoder.decode(better)
        except UNREADABLE:
            if event.event == "error":
                self._fail(from_stream(ProviderError(message=readable(better.decode())), where=self._where))
            else:
                self._skip()
            return
        if not isinstance(value, dict):
            self._skip()
            return
        # JSON, but not shaped as the hot path expects: `delta` is an object in some events, null or a string an index.
        try:
            delta = msgspec.convert({**value, "delta": value.get("delta") or ""}, Delta, strict=False)
        except msgspec.ValidationError:
            name = value.get("type")
            name = name if isinstance(name, str) else ""
            if name in CHANNEL_OF_DELTA:
                self._skip()
                return
            delta = Delta(type=name)
        self._take_known(delta, SseEvent(event.event, better))

    def _handle(self, handle: Callable[[ResponsesDecoder, bytes], None], data: bytes) -> None:
        try:
            handle(self, data)
        except UNREADABLE:
            self._skip()

    def _skip(self) -> None:
        self.unreadable += 1
        if self.unreadable >= MAX_UNREADABLE_EVENTS:
            self._fail(_not_the_protocol(self._where, f"{self.unreadable} of its events could not be read"))

    def _on_progress(self, data: bytes) -> None:
        response = response_decoder.decode(data).response
        self._note(response)

    def _on_item_added(self, data: bytes) -> None:
        event = item_decoder.decode(data)
        skeleton = skeleton_decoder.decode(event.item)
        index = self._latest + 1 if event.output_index is None else event.output_index
        kind = BEGAN_KINDS.get(skeleton.type, "opaque")
        if kind == "function_call" and skeleton.name in self._freeform:
            kind = "custom_tool_call"  # the server was offered a function of one string
        present = self._items.get(index)
        if present is None or present.finished or present.kind != kind:
            self._begin(index, kind, skeleton)

    def _on_part_added(self, data: bytes) -> None:
        event = part_decoder.decode(data)
        if event.part is None:
            return
        channel = CHANNEL_OF_PART.get(event.part.type)
        if channel is not None:
            item = self._item_at(event.output_index, ITEM_OF_CHANNEL[channel])
            if not item.finished and not self.done:
                self._text_of(item, channel, _place(event, channel))

    def _on_part_done(self, data: bytes) -> None:
        """Only for servers that send no deltas: what the part says is shown if nothing of it was."""
        event = part_decoder.decode(data)
        part = event.part
        if part is None:
            return
        channel = CHANNEL_OF_PART.get(part.type)
        words = part.refusal if channel == "refusal" else part.text
        if channel is None or not words:
            return
        item = self._item_at(event.output_index, ITEM_OF_CHANNEL[channel])
        if not item.finished and not self.done:
            text = self._text_of(item, channel, _place(event, channel))
            if text.chars == 0:
                text.append(words)

    def _on_item_done(self, data: bytes) -> None:
        event = item_decoder.decode(data)
        index = event.output_index
        if index is None:
            # Without an index: the item begun last, if it has not ended yet.
            latest = self._items.get(self._latest)
            index = self._latest if latest is not None and not latest.finished else self._latest + 1
        self._finish(index, bytes(event.item))

    def _on_completed(self, data: bytes) -> None:
        response = response_decoder.decode(data).response
        # Some servers send every ending under this name and put the truth into the status.
        match response.status:
            case "failed" | "cancelled":
                self._fail_with(response)
            case "incomplete":
                self._complete(response, stop_of_incomplete(response.incomplete_details))
            case _:
                self._complete(response, None)

    def _on_incomplete(self, data: bytes) -> None:
        response = response_decoder.decode(data).response
        self._complete(response, stop_of_incomplete(response.incomplete_details))

    def _on_failed(self, data: bytes) -> None:
        self._fail_with(response_decoder.decode(data).response)

    def _on_error(self, data: bytes) -> None:
        """Flat or nested. A `response.failed` that repeats it is no longer heard."""
        error = _as_error(data) or ProviderError()
        self._fail(from_stream(error, where=self._where, request_id=self._response_id))

    # --- items and endings ------------------------------------------------------------------------------------------

    def _item_at(self, output_index: int | None, kind: BeganKind) -> _Item:
        """The item at an index; one that was never announced begins here."""
        index = max(self._latest, 0) if output_index is None else output_index
        item = self._items.get(index)
        return self._begin(index, kind, Skeleton()) if item is None else item

    def _begin(self, index: int, kind: BeganKind, skeleton: Skeleton) -> _Item:
        self._leave_text()
        item = self._items[index] = _Item(self.next_slot, kind)
        self._unreleased.append(item)
        self._latest = index
        self.next_slot += 1
        self._begun += 1
        if self._begun > MAX_ITEMS:
            self._fail(_not_the_protocol(self._where, f"its answer has more than {MAX_ITEMS} items"))
            return item
        self._out.append(
            ItemBegan(
                request_id=self._request_id,
                slot=item.slot,
                kind=kind,
                provider_item_id=skeleton.id,
                call_id=CallId(skeleton.call_id) if skeleton.call_id else None,
                name=skeleton.name or HOSTED_CALLS.get(skeleton.type),
                phase=skeleton.phase,
            )
        )
        return item

    def _finish(self, index: int, raw: bytes) -> None:
        finished, view = history_item(
            raw, self._origin, call_id=f"call_{self._request_id}_{index}", freeform=self._freeform
        )
        item = self._items.get(index)
        if item is not None and item.finished is not None and _is_repeated(item.finished, finished):
            return
        if item is None or item.finished:
            item = self._begin(index, BEGAN_KINDS.get(finished.kind, "opaque"), skeleton_decoder.decode(raw))
        if self.done:
            return
        item.finished = finished
        self._finished_any = True
        if self._text is not None and self._text in item.texts.values():
            self._leave_text()
        if isinstance(view, FunctionCall | CustomToolCall):
            self._calls = True
        elif isinstance(view, MessageItem):
            self._refused |= any(isinstance(part, Refusal) and part.refusal for part in view.content)
        self._release()

    def _release(self, *, skip_unfinished: bool = False) -> None:
        """Tell of finished items in the order they began, which is the order they are replayed in.

        Only servers that interleave items ever make one wait for another.
        """
        waiting = self._unreleased
        while waiting and (waiting[0].finished is not None or skip_unfinished):
            item = waiting.popleft()
            if item.finished is not None:
                self._out.append(ItemFinished(request_id=self._request_id, slot=item.slot, item=item.finished))

    def _complete(self, response: Response, stop: StopReason | None) -> None:
        self._note(response)
        if not self._finished_any:
            for index, raw in enumerate(raw_items_decoder.decode(response.output) or ()):
                self._finish(index, bytes(raw))
        if self.done:
            return
        self.done = True
        self._release(skip_unfinished=True)
        self._out.append(
            SampleCompleted(
                request_id=self._request_id,
                response_id=self._response_id,
                stop=stop or stop_of_completed(calls=self._calls, refused=self._refused, end_turn=response.end_turn),
                usage=token_usage(response.usage),
                model=self._model,
                wire_stop=response.status if isinstance(response.status, str) else None,
                wire_usage=None if response.usage is None else msgspec.json.encode(response.usage),
            )
        )

    def _fail_with(self, response: Response) -> None:
        self._note(response)
        error = provider_error(response.error) or ProviderError(
            message=f"the response was {response.status}" if isinstance(response.status, str) else ""
        )
        self._fail(from_stream(error, where=self._where, request_id=self._response_id))

    def _fail(self, failure: Failure) -> None:
        """The first failure counts."""
        if not self.done:
            self.done = True
            self.failure = failure

    def _note(self, response: Response) -> None:
        if isinstance(response.id, str) and response.id:
            self._response_id = response.id
        if isinstance(response.model, str) and response.model:
            self._model = response.model


_HANDLERS: dict[str, Callable[[ResponsesDecoder, bytes], None]] = {
    "response.created": ResponsesDecoder._on_progress,
    "response.queued": ResponsesDecoder._on_progress,
    "response.in_progress": ResponsesDecoder._on_progress,
    "response.output_item.added": ResponsesDecoder._on_item_added,
    "response.content_part.added": ResponsesDecoder._on_part_added,
    "response.reasoning_part.added": ResponsesDecoder._on_part_added,  # Bedrock
    "response.reasoning_summary_part.added": ResponsesDecoder._on_part_added,
    "response.content_part.done": ResponsesDecoder._on_part_done,
    "response.reasoning_part.done": ResponsesDecoder._on_part_done,
    "response.reasoning_summary_part.done": ResponsesDecoder._on_part_done,
    "response.output_item.done": ResponsesDecoder._on_item_done,
    "response.completed": ResponsesDecoder._on_completed,
    "response.done": ResponsesDecoder._on_completed,
    "response.incomplete": ResponsesDecoder._on_incomplete,
    "response.failed": ResponsesDecoder._on_failed,
    "response.cancelled": ResponsesDecoder._on_failed,
    "error": ResponsesDecoder._on_error,
}
"""Everything else with text in it is progress of a tool that runs at the provider, or a call's arguments on their way:
the finished item says it all."""

_IGNORED_DATA = frozenset((b"", b"[DONE]"))


def _place(event: PartEvent, channel: TextChannel) -> int:
    return (event.summary_index if channel == "summary" else event.content_index) or 0


def _is_repeated(earlier: HistoryItem, later: HistoryItem) -> bool:
    """Whether an item was finished twice; a call must never run twice for it."""
    return earlier.raw == later.raw or (earlier.call_id is not None and earlier.call_id == later.call_id)


def _as_error(data: bytes) -> ProviderError | None:
    try:
        value = any_decoder.decode(data)
    except UNREADABLE:
        return None
    return provider_error({**value, "type": None} if isinstance(value, dict) and "error" not in value else value)


def _not_the_protocol(where: str, why: str) -> Failure:
    return Failure(
        kind="protocol",
        message=f"{where} does not speak the Responses API here: {why}. Check the provider's base URL and wire_api.",
    )
