"""A Messages stream, heard event by event. Pure: events in, `StreamEvent`s out, text straight into the open texts.

Rules
1. Blocks are told apart by ``index``. They came one after the other in all recordings, but need not.
2. Items finish with the response, all at once and in the order of their blocks: only its stop reason says whether they
   are part of it. A refusal takes back whatever was said before it.
3. ``message_stop`` ends a response; the end of the stream does not. Nothing after it is heard.
4. An input is the text of its deltas, and is whole if that is JSON. The official SDK shows half an input as if it were
   one; nothing here ever runs on it.
5. Counters are totals so far: later ones replace earlier ones.
6. What is unknown (event, block, field) passes or is kept as it is; an unknown delta is ignored; what cannot be read is
   skipped, counted and, if there is too much of it, the end.
7. Text waits until the end of the batch and becomes one piece, whatever the number of deltas.
8. A second ``message_start`` (proxies splice streams) begins nothing anew; a block at an index that has stopped is
   another block.

Sources: Anthropic's API reference and SDKs; recordings of Anthropic and of servers that speak its wire.

Rejected: finishing each item with its block (a refusal could not take it back), and the SDK's way of keeping only what
its types name (a block that is younger than the daemon would be lost on replay).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from actors.model_stream.anthropic import blocks, ending
from actors.model_stream.anthropic.blocks import Block
from actors.model_stream.anthropic.events import (
    INPUT_DELTA,
    NO_DELTA,
    REDACTED_BLOCK,
    SERVER_CALLS,
    TEXT_BLOCK,
    TEXT_DELTA,
    THINKING_BLOCK,
    THINKING_DELTA,
    TOOL_BLOCK,
    UNREADABLE,
    BeganKind,
    Event,
    any_decoder,
    event_decoder,
    fields_decoder,
    rare_decoder,
    raw_blocks_decoder,
    start_decoder,
)
from actors.model_stream.errors import ProviderError, from_stream, provider_error, readable
from actors.model_stream.responses.mend import mended
from actors.model_stream.sse import SseEvent
from actors.session.open_text import OpenText, TextTable
from messages.base import CallId
from messages.failure import Failure
from messages.items import Origin
from messages.model import ItemBegan, ItemFinished, SampleCompleted, StopReason, StreamEvent, TextBegan, TextChannel

MAX_UNREADABLE_EVENTS = 32
"""Events that are no JSON objects, before the stream is given up: a proxy may garble one, a protocol garbles none."""

MAX_BLOCKS = 4096
"""Blocks in one response. The largest recorded has some forty; a server that opens more is broken or hostile."""

_CUT: tuple[StopReason, ...] = ("length", "context_window", "filtered")

_KINDS: dict[str, BeganKind] = {
    TEXT_BLOCK: "message",
    THINKING_BLOCK: "reasoning",
    REDACTED_BLOCK: "reasoning",
    TOOL_BLOCK: "function_call",
}

_BLOCK_OF_DELTA = {TEXT_DELTA: TEXT_BLOCK, THINKING_DELTA: THINKING_BLOCK}

_IGNORED_DATA = frozenset((b"", b"[DONE]"))


class MessagesDecoder:
    """One attempt's stream.

    ``first_slot`` and ``first_text_slot`` continue the numbers of earlier attempts of the same request, so that slots
    never repeat. ``where`` names the provider in failures. ``freeform`` names the tools whose calls are freeform calls
    in a wrapper.
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
        self._message: dict[str, Any] = {}
        """The response but for its blocks and counters."""
        self._usage: dict[str, Any] = {}
        self._blocks: list[Block] = []
        """In the order they began."""
        self._at: dict[int, Block] = {}
        """By index: the latest one there."""
        self._latest = -1
        self._out: list[StreamEvent] = []
        self._sink: Callable[[str], None] | None = None
        """Where deltas like the last one go, and what such a delta looks like."""
        self._sink_type = NO_DELTA
        self._sink_index: int | None = None
        self._pieces: list[str] = []
        """Deltas of this batch for `_sink`, not yet in it."""

    def take(self, events: Iterable[SseEvent]) -> list[StreamEvent]:
        """Hear a batch of events; what they mean, in order. Text has been appended when this returns."""
        decode = event_decoder.decode
        pieces = self._pieces
        for sse in events:
            try:
                event = decode(sse.data)
            except UNREADABLE:
                self._take_odd(sse)
            else:
                delta = event.delta
                if (
                    delta is not None
                    and delta.type == self._sink_type
                    and event.index == self._sink_index
                    and event.type == "content_block_delta"
                ):
                    pieces.append(delta.text or delta.thinking or delta.partial_json)
                    continue
                self._take_known(event, sse)
            if self.done:
                break
        self._settle()
        out = self._out
        if out:
            self._out = []
        return out

    def take_whole(self, body: bytes) -> list[StreamEvent] | None:
        """Hear a message that came as one JSON object. None: it is none."""
        try:
            fields = fields_decoder.decode(mended(body))
            raw_blocks = raw_blocks_decoder.decode(fields.pop("content", msgspec.Raw(b"null")))
            message = {name: any_decoder.decode(raw) for name, raw in fields.items()}
        except UNREADABLE:
            return None
        self.recognised = True
        self._begin_message(message)
        for index, raw in enumerate(raw_blocks):
            try:
                self._start(index, fields_decoder.decode(raw))
            except UNREADABLE:
                self._skip()
                continue
            self._stop(index)
        if not self.done:
            self._complete()
        self._settle()
        out, self._out = self._out, []
        return out

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
            self._fail(_not_the_protocol(self._where, "its answer holds no event of the Messages API"))

    def accumulated(self) -> dict[str, Any]:
        """The message so far, as a response that was not streamed would hold it; for people and for tests.

        It holds all that was said: also what a refusal took back, and of a call that was cut off what is certain.
        """
        content = [blocks.accumulated(block) for block in self._blocks]
        return {**self._message, "content": content, "usage": self._usage}

    # --- text -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Put the deltas of this batch where they belong."""
        pieces = self._pieces
        if pieces:
            assert self._sink is not None, "pieces are only kept for a sink"
            self._sink(pieces[0] if len(pieces) == 1 else "".join(pieces))
            pieces.clear()

    def _leave(self) -> None:
        self._settle()
        self._sink = None
        self._sink_type = NO_DELTA

    def _turn_to(self, event: Event) -> None:
        """A delta for another block than the last one's."""
        self._leave()
        delta = event.delta
        assert delta is not None, "the caller looked"
        index = max(self._latest, 0) if event.index is None else event.index
        block = self._at.get(index)
        if block is None and delta.type in _BLOCK_OF_DELTA:
            block = self._start(index, {"type": msgspec.Raw(msgspec.json.encode(_BLOCK_OF_DELTA[delta.type]))})
        if block is None or not block.open or self.done:
            return  # what comes after a block's end is not part of it
        piece = delta.text or delta.thinking or delta.partial_json
        if delta.type == INPUT_DELTA:
            if block.type in (TEXT_BLOCK, THINKING_BLOCK, REDACTED_BLOCK):
                return
            self._sink = block.arguments.append
        elif block.type != _BLOCK_OF_DELTA[delta.type]:
            return
        elif piece:
            self._sink = self._text_of(block).append
        else:
            return  # nothing is said yet
        self._sink_type = delta.type
        self._sink_index = event.index
        self._pieces.append(piece)

    def _text_of(self, block: Block) -> OpenText:
        if block.text is None:
            self._tell(block)
            channel: TextChannel = "text" if block.type == TEXT_BLOCK else "summary"
            block.text = OpenText(channel)
            slot = self.next_text_slot
            self.next_text_slot = slot + 1
            self._texts.open(slot, block.text)
            assert block.slot is not None, "it was just told of"
            self._out.append(
                TextBegan(request_id=self._request_id, slot=block.slot, text_slot=slot, channel=channel, index=0)
            )
        return block.text

    # --- everything else --------------------------------------------------------------------------------------------

    def _take_known(self, event: Event, sse: SseEvent) -> None:
        """An event that could be read."""
        name = event.type or sse.event or ""
        if name == "content_block_delta":
            self.recognised = True
            if event.delta is not None and event.delta.type in (TEXT_DELTA, THINKING_DELTA, INPUT_DELTA):
                self._turn_to(event)
            else:
                self._handle(MessagesDecoder._on_rare_delta, mended(sse.data))
            return
        handle = _HANDLERS.get(name)
        if handle is not None:
            self._settle()
            self.recognised = True
            self._handle(handle, mended(sse.data))
        elif not name and b'"error"' in sse.data:
            # Gateways report their own trouble as a bare `{"error": ...}` in the middle of anything.
            error = _as_error(sse.data)
            if error is not None:
                self._fail(from_stream(error, where=self._where))

    def _take_odd(self, sse: SseEvent) -> None:
        """An event that could not be read as it stands."""
        data = sse.data.strip()
        if data in _IGNORED_DATA:
            return
        better = mended(data)
        try:
            value = any_decoder.decode(better)
        except UNREADABLE:
            if sse.event == "error":
                self._fail(from_stream(ProviderError(message=readable(better.decode())), where=self._where))
            else:
                self._skip()
            return
        if not isinstance(value, dict):
            self._skip()
            return
        # JSON, but not shaped as the hot path expects: a text is null, an index a string, a delta no object.
        delta = value.get("delta")
        delta = (
            {name: text for name, text in delta.items() if isinstance(text, str)} if isinstance(delta, dict) else None
        )
        name = value.get("type")
        shaped = {"type": name if isinstance(name, str) else "", "delta": delta}
        try:
            event = msgspec.convert({**shaped, "index": value.get("index")}, Event, strict=False)
        except msgspec.ValidationError:
            event = msgspec.convert(shaped, Event)
        self._take_known(event, SseEvent(sse.event, better))

    def _handle(self, handle: Callable[[MessagesDecoder, bytes], None], data: bytes) -> None:
        try:
            handle(self, data)
        except UNREADABLE:
            self._skip()

    def _skip(self) -> None:
        self.unreadable += 1
        if self.unreadable >= MAX_UNREADABLE_EVENTS:
            self._fail(_not_the_protocol(self._where, f"{self.unreadable} of its events could not be read"))

    def _on_message_start(self, data: bytes) -> None:
        message = any_decoder.decode(data).get("message")
        if self._message or not isinstance(message, dict):
            return
        content = message.pop("content", None)
        self._begin_message(message)
        # Nobody was seen to begin a message with content, and nothing forbids it.
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict):
                self._start(index, fields_decoder.decode(msgspec.json.encode(block)))

    def _on_block_start(self, data: bytes) -> None:
        event = start_decoder.decode(data)
        index = self._latest + 1 if event.index is None else event.index
        present = self._at.get(index)
        if present is None or not present.open or not _is_repeated(present, event.content_block):
            self._start(index, event.content_block)

    def _on_rare_delta(self, data: bytes) -> None:
        event = rare_decoder.decode(data)
        block = self._at.get(max(self._latest, 0) if event.index is None else event.index)
        if block is None or not block.open:
            return
        delta = event.delta
        if delta.type == "signature_delta" and block.type == THINKING_BLOCK:
            block.signature = delta.signature
        elif delta.type == "citations_delta" and block.type == TEXT_BLOCK:
            block.citations.append(delta.citation)
        elif delta.type == "compaction_delta" and block.type == "compaction":
            block.fields = {**block.fields, "content": delta.content, "encrypted_content": delta.encrypted_content}

    def _on_block_stop(self, data: bytes) -> None:
        index = event_decoder.decode(data).index
        self._stop(self._latest if index is None else index)

    def _on_message_delta(self, data: bytes) -> None:
        value = any_decoder.decode(data)
        delta = value.get("delta")
        if isinstance(delta, dict):
            held = {name: new for name, new in delta.items() if new is not None or name == "stop_details"}
            self._message.update(held)
        for name in ("context_management", "input_transformations"):
            if value.get(name) is not None:
                self._message[name] = value[name]
        self._usage = ending.merged(self._usage, value.get("usage"))

    def _on_message_stop(self, data: bytes) -> None:
        del data
        self._complete()

    def _on_ping(self, data: bytes) -> None:
        """Keeps the connection alive, and the idle limit at bay by having come."""

    def _on_error(self, data: bytes) -> None:
        error = _as_error(data) or ProviderError()
        self._fail(from_stream(error, where=self._where))

    # --- blocks and endings -----------------------------------------------------------------------------------------

    def _begin_message(self, message: dict[str, Any]) -> None:
        usage = message.pop("usage", None)
        self._message = message
        self._usage = ending.merged({}, usage)

    def _start(self, index: int, fields: dict[str, msgspec.Raw]) -> Block | None:
        self._leave()
        if len(self._blocks) >= MAX_BLOCKS:
            self._fail(_not_the_protocol(self._where, f"its answer has more than {MAX_BLOCKS} blocks"))
            return None
        for earlier in self._blocks:
            if earlier.open:
                self._tell(earlier)  # so that items begin in the order of their blocks, whatever comes first of them
        type_ = _string(fields, "type")
        kind = _KINDS.get(type_, "opaque")
        if kind == "function_call" and _string(fields, "name") in self._freeform:
            kind = "custom_tool_call"
        block = Block(type_, kind, fields)
        self._blocks.append(block)
        self._at[index] = block
        self._latest = index
        if type_ == "fallback":
            to = block.value("to")
            if isinstance(to, dict) and isinstance(to.get("model"), str):
                self._message["model"] = to["model"]
        began_with = block.string(type_) if type_ in (TEXT_BLOCK, THINKING_BLOCK) else ""
        if began_with:
            self._text_of(block).append(began_with)
        elif type_ != TEXT_BLOCK:
            self._tell(block)  # models begin texts and say nothing: nobody is shown those
        return block

    def _tell(self, block: Block) -> None:
        """Announce a block, once."""
        if block.slot is not None:
            return
        block.slot = self.next_slot
        self.next_slot += 1
        call_id = block.string("id") if block.type == TOOL_BLOCK else ""
        self._out.append(
            ItemBegan(
                request_id=self._request_id,
                slot=block.slot,
                kind=block.kind,
                provider_item_id=block.string("id") or None,
                call_id=CallId(call_id) if call_id else None,
                name=block.string("name") or None,
            )
        )

    def _stop(self, index: int) -> None:
        self._leave()
        block = self._at.get(index)
        if block is not None:
            block.open = False

    def _complete(self) -> None:
        self._leave()
        self.done = True
        word = self._message.get("stop_reason")
        word = word if isinstance(word, str) else None
        calls = any(block.type == TOOL_BLOCK for block in self._blocks)
        stop = ending.stop_of(word, calls=calls)
        if stop != "refused":
            self._finish_items(stop)
        id_, model = self._message.get("id"), self._message.get("model")
        self._out.append(
            SampleCompleted(
                request_id=self._request_id,
                response_id=id_ if isinstance(id_, str) and id_ else None,
                stop=stop,
                usage=ending.token_usage(self._usage),
                billed=ending.billed_usage(self._usage),
                model=model if isinstance(model, str) and model else None,
                why=ending.why_of(self._message.get("stop_details")),
                wire_stop=word,
                wire_usage=msgspec.json.encode(self._usage) if self._usage else None,
            )
        )

    def _finish_items(self, stop: StopReason) -> None:
        cut = stop in _CUT
        answered = {block.string("tool_use_id") for block in self._blocks} if cut else set()
        for block in self._blocks:
            if block.type == TOOL_BLOCK and cut and not block.input_is_whole:
                continue
            if block.type in SERVER_CALLS and cut and block.string("id") not in answered:
                continue  # the provider would not take it back without its result
            item = blocks.history_item(block, self._origin)
            if item is not None:
                self._tell(block)
                assert block.slot is not None, "it was just told of"
                self._out.append(ItemFinished(request_id=self._request_id, slot=block.slot, item=item))

    def _fail(self, failure: Failure) -> None:
        """The first failure counts."""
        self._leave()
        if not self.done:
            self.done = True
            self.failure = failure


_HANDLERS: dict[str, Callable[[MessagesDecoder, bytes], None]] = {
    "message_start": MessagesDecoder._on_message_start,
    "content_block_start": MessagesDecoder._on_block_start,
    "content_block_stop": MessagesDecoder._on_block_stop,
    "message_delta": MessagesDecoder._on_message_delta,
    "message_stop": MessagesDecoder._on_message_stop,
    "ping": MessagesDecoder._on_ping,
    "error": MessagesDecoder._on_error,
}


def _string(fields: dict[str, msgspec.Raw], name: str) -> str:
    raw = fields.get(name)
    try:
        value = None if raw is None else any_decoder.decode(raw)
    except UNREADABLE:
        return ""
    return value if isinstance(value, str) else ""


def _is_repeated(present: Block, fields: dict[str, msgspec.Raw]) -> bool:
    """Whether a block that has begun is said to begin once more."""
    return all(present.string(name) == _string(fields, name) for name in ("type", "id"))


def _as_error(data: bytes) -> ProviderError | None:
    try:
        value = any_decoder.decode(data)
    except UNREADABLE:
        return None
    return provider_error({**value, "type": None} if isinstance(value, dict) and "error" not in value else value)


def _not_the_protocol(where: str, why: str) -> Failure:
    return Failure(
        kind="protocol",
        message=f"{where} does not speak the Messages API here: {why}. Check the provider's base URL and wire_api.",
    )
