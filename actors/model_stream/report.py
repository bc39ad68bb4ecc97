"""One recorded answer, heard by the very code that hears live ones, and told as JSON: for bug reports and for checking.

`told` is our view (items, stop, usage, error, retryable), `normalized` the wire's own words in one shape for all three
wires. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from actors.model_stream.anthropic.decode import MessagesDecoder
from actors.model_stream.chat.decode import ChatDecoder
from actors.model_stream.core import WIRES, Decoder, Hearing
from actors.model_stream.errors import from_http, from_stream, provider_error
from actors.model_stream.sse import SseDecoder, SseEventTooLargeError
from actors.session.open_text import TextTable
from messages.failure import Failure
from messages.items import HistoryItem, Origin
from messages.model import ItemFinished, SampleCompleted, StreamEvent, TextBegan
from messages.settings import WireApi

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer came to."""

    wire: WireApi
    origin: Origin
    data: bytes
    decoder: Decoder
    events: tuple[StreamEvent, ...]
    texts: tuple[tuple[int, str, str], ...]
    """(slot of the item, channel, text), in the order they began."""
    failure: Failure | None

    @property
    def items(self) -> tuple[HistoryItem, ...]:
        """The finished items, in order."""
        return tuple(event.item for event in self.events if isinstance(event, ItemFinished))

    @property
    def completed(self) -> SampleCompleted | None:
        """The end of a finished response."""
        return next((event for event in self.events if isinstance(event, SampleCompleted)), None)

    def text(self, channel: str) -> str:
        """All that was streamed of one kind."""
        return "".join(text for _, each, text in self.texts if each == channel)


def hear(
    wire: WireApi,
    data: bytes,
    *,
    status: int | None = None,
    provider: str = "recorded",
    model: str = "recorded",
    freeform: frozenset[str] = frozenset(),
) -> Heard:
    """Hear a stream, a whole response, or an error body.

    ``status`` is the HTTP status the body came with, if that was no good one. A JSON object with ``status`` and
    ``body`` is a recorded error response.
    """
    where = "the model"
    texts = TextTable()
    origin = Origin(provider=provider, model=model, wire=wire)
    decoder = WIRES[wire].decoder("recorded", origin, texts, where=where, freeform=freeform)
    hearing = Hearing(decoder, where)
    events: list[StreamEvent] = []
    whole = _object(data)
    headers: dict[str, str] = {}
    if whole is not None and isinstance(whole.get("status"), int) and "body" in whole:
        status = whole["status"]
        headers = {str(name).lower(): str(value) for name, value in (whole.get("headers") or {}).items()}
        data = msgspec.json.encode(whole["body"])
        whole = _object(data)
    if status is not None and not 200 <= status < 300:
        failure: Failure | None = from_http(status, headers, data, now=0.0, where=where)
    elif whole is not None:
        failure = _hear_whole(whole, data, hearing, events, where)
    else:
        events += hearing.feed(data)
        events += hearing.end()
        failure = hearing.failure
    began = [event for event in events if isinstance(event, TextBegan)]
    return Heard(
        wire=wire,
        origin=origin,
        data=data,
        decoder=decoder,
        events=tuple(events),
        texts=tuple((each.slot, each.channel, texts.attach(each.text_slot).text()) for each in began),
        failure=failure,
    )


def told(heard: Heard) -> dict[str, Any]:
    """Our view. ``partial`` is what was said in an answer that failed; it never becomes history.

    ``origin`` is whose answer it was taken for: `callboard wire render` reads it again beside ``items``.
    """
    completed, failure = heard.completed, heard.failure
    view: dict[str, Any] = {
        "items": [msgspec.Raw(item.raw) for item in heard.items],
        "stop": None if completed is None else completed.stop,
        "usage": None if completed is None else completed.usage,
        "error": failure,
        "retryable": failure is not None and failure.retryable,
    }
    if failure is not None:
        view["partial"] = [{"channel": channel, "text": text} for _, channel, text in heard.texts]
    elif completed is not None:
        view |= {"response_id": completed.response_id, "answered_by": completed.model, "why": completed.why}
    return {**view, "origin": heard.origin}


def normalized(heard: Heard) -> dict[str, Any]:
    """The wire's own words, in one shape.

    ``text``, ``reasoning``, ``refusal``, ``tool_calls``, ``stop`` in the wire's own word, ``usage`` as the wire counts
    it, ``error`` as the wire put it, and what else there is of the kind on this wire. ``error`` is None for a stream
    that merely broke off: there the wire said nothing.
    """
    return _NORMALIZED[heard.wire](heard)


def _of_chat(heard: Heard) -> dict[str, Any]:
    decoder = heard.decoder
    assert isinstance(decoder, ChatDecoder), "it is the decoder of this wire"
    return {
        "text": heard.text("text"),
        "reasoning": heard.text("reasoning"),
        "reasoning_details": decoder.reasoning_details or None,
        "refusal": heard.text("refusal") or None,
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.text()} for call in decoder.calls.slots],
        "stop": decoder.finish_reason,
        "native_stop": decoder.native_finish_reason,
        "usage": decoder.usage,
        "error": decoder.wire_error if decoder.wire_error is not None else _error_of_body(heard),
        "saw_done": decoder.saw_done,
    }


def _of_responses(heard: Heard) -> dict[str, Any]:
    terminal: dict[str, Any] = {}
    error: Any = None
    streamed = ""
    for value in _values(heard.data):
        if value.get("type") == "response.output_text.delta" and isinstance(value.get("delta"), str):
            streamed += value["delta"]
        if value.get("type") == "error":
            error = value.get("error") or {key: inner for key, inner in value.items() if key != "type"}
        response = value.get("response")
        if isinstance(response, dict) and str(value.get("type")) in _TERMINAL:
            terminal = response
            break
    if (whole := _object(heard.data)) is not None and "output" in whole:
        terminal = whole
    items = [msgspec.json.decode(item.raw) for item in heard.items]
    finished = bool(items)
    parts = [part for item in items if item.get("type") == "message" for part in _parts(item, "content")]
    thought = [item for item in items if item.get("type") == "reasoning"]
    text = "".join(_words(part.get("text")) for part in parts if part.get("type") == "output_text")
    refusal = "".join(_words(part.get("refusal")) for part in parts if part.get("type") == "refusal")
    return {
        "text": text if finished else heard.text("text"),
        "reasoning": "".join(_words(part.get("text")) for item in thought for part in _parts(item, "content"))
        if finished
        else heard.text("reasoning"),
        "reasoning_summary": [_words(part.get("text")) for item in thought for part in _parts(item, "summary")]
        if finished
        else [text for _, channel, text in heard.texts if channel == "summary"],
        "refusal": (refusal if finished else heard.text("refusal")) or None,
        "tool_calls": [
            {
                "id": item.get("call_id"),
                "name": item.get("name"),
                "arguments": item.get("arguments", item.get("input")),
                "kind": item.get("type"),
            }
            for item in items
            if item.get("type") in ("function_call", "custom_tool_call")
        ],
        "server_blocks": [item.get("type") for item in items if item.get("type") not in _SHARED_ITEMS],
        "stop": terminal.get("status"),
        "incomplete": terminal.get("incomplete_details"),
        "usage": terminal.get("usage"),
        "error": terminal.get("error") or error or _error_of_body(heard),
        "replay": {
            "encrypted": [
                bool(item.get("encrypted_content")) for item in items if item.get("type") in ("reasoning", "compaction")
            ],
            "phases": [item.get("phase") for item in items if item.get("type") == "message"],
            "item_order": [item.get("type") for item in items],
        },
        "deltas_equal_final_text": streamed == (text if finished else streamed),
    }


def _of_messages(heard: Heard) -> dict[str, Any]:
    decoder = heard.decoder
    assert isinstance(decoder, MessagesDecoder), "it is the decoder of this wire"
    message = decoder.accumulated()
    blocks = _parts(message, "content")
    error = next((value.get("error") for value in _values(heard.data) if value.get("type") == "error"), None)
    return {
        "text": "".join(_words(block.get("text")) for block in blocks if block.get("type") == "text"),
        "reasoning": "".join(_words(block.get("thinking")) for block in blocks if block.get("type") == "thinking"),
        "refusal": None,
        "tool_calls": [
            {"id": block.get("id"), "name": block.get("name"), "arguments": block.get("input")}
            for block in blocks
            if block.get("type") == "tool_use"
        ],
        "server_blocks": [block.get("type") for block in blocks if block.get("type") not in _SHARED_BLOCKS],
        "stop": message.get("stop_reason"),
        "stop_details": message.get("stop_details"),
        "usage": message.get("usage"),
        "error": error or _error_of_body(heard),
        "replay": {
            "signatures": [block.get("signature") for block in blocks if block.get("type") == "thinking"],
            "redacted": [block.get("data") for block in blocks if block.get("type") == "redacted_thinking"],
            "block_order": [block.get("type") for block in blocks],
        },
    }


_SHARED_ITEMS = ("message", "reasoning", "function_call", "custom_tool_call")
_SHARED_BLOCKS = ("text", "thinking", "tool_use")
"""What all wires have a word for; everything else runs at the provider or is its own."""

_TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.done", "response.cancelled")

_NORMALIZED: dict[WireApi, Callable[[Heard], dict[str, Any]]] = {
    "chat": _of_chat,
    "responses": _of_responses,
    "messages": _of_messages,
}


def _hear_whole(
    whole: dict[str, Any], data: bytes, hearing: Hearing, events: list[StreamEvent], where: str
) -> Failure | None:
    error = provider_error(whole)
    if error is not None and not _is_answer(whole):
        return from_stream(error, where=where)
    heard = hearing.take_whole(data)
    if heard is None:
        return Failure(kind="protocol", message=f"{where} answered with JSON that is neither a response nor an error")
    events += heard
    events += hearing.end()
    return hearing.failure


def _is_answer(whole: dict[str, Any]) -> bool:
    """Whether it is a response, which may have a field ``error`` too."""
    return any(whole.get(name) for name in ("output", "choices", "content"))


def _error_of_body(heard: Heard) -> Any:
    whole = _object(heard.data)
    if heard.failure is None or whole is None:
        return None
    return whole.get("error") or whole


def _values(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream."""
    sse = SseDecoder()
    try:
        frames = [*sse.feed(data), *sse.finish()]
    except SseEventTooLargeError:
        return
    for frame in frames:
        value = _object(frame.data)
        if value is not None:
            yield value


def _parts(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list, where it is one."""
    value = item.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _words(value: object) -> str:
    """What should be a text, where a server sent something else."""
    return value if isinstance(value, str) else ""


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(data)
    except UNREADABLE:
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None
