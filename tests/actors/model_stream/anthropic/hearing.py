"""Hear a whole Messages stream, cut as one likes, and look at all that came of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.model_stream.anthropic.decode import MessagesDecoder
from actors.model_stream.core import Hearing
from actors.session.open_text import TextTable
from messages.items import Origin
from messages.model import StreamEvent, TextBegan
from tests.actors.model_stream.hearing import Heard

ORIGIN = Origin(provider="anthropic", model="claude-haiku-5-5", wire="messages")

Event = dict[str, Any]


def hear(chunks: Iterable[bytes], *, freeform: frozenset[str] = frozenset(), origin: Origin = ORIGIN) -> Heard:
    """Feed an attempt to its end."""
    return hear_all(chunks, freeform=freeform, origin=origin)[0]


def hear_all(
    chunks: Iterable[bytes], *, freeform: frozenset[str] = frozenset(), origin: Origin = ORIGIN
) -> tuple[Heard, dict[str, Any]]:
    """The same, and the message as it was accumulated."""
    texts = TextTable()
    decoder = MessagesDecoder("r1", origin, texts, where="the model", freeform=freeform)
    hearing = Hearing(decoder, "the model")
    events: list[StreamEvent] = []
    for chunk in chunks:
        events += hearing.feed(chunk)
        if hearing.done:
            break
    events += hearing.end()
    assert hearing.done
    return _heard(events, texts, hearing), decoder.accumulated()


def hear_whole(body: bytes, *, freeform: frozenset[str] = frozenset()) -> Heard | None:
    """A response that was not streamed."""
    texts = TextTable()
    hearing = Hearing(MessagesDecoder("r1", ORIGIN, texts, where="the model", freeform=freeform), "the model")
    events = hearing.take_whole(body)
    return None if events is None else _heard(events + hearing.end(), texts, hearing)


def _heard(events: list[StreamEvent], texts: TextTable, hearing: Hearing) -> Heard:
    began = [event for event in events if isinstance(event, TextBegan)]
    return Heard(
        events=tuple(events),
        texts=tuple((e.slot, e.channel, e.index, texts.attach(e.text_slot).text()) for e in began),
        failure=hearing.failure,
    )


# --- making streams -------------------------------------------------------------------------------------------------


def stream(*events: Event) -> bytes:
    """Events as Anthropic frames them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event)) for event in events
    )


def message_start(model: str = "claude-haiku-5-5", **usage: Any) -> Event:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    counters = {"input_tokens": 10, "output_tokens": 1, **usage}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": counters}}


def start(index: int, type_: str, **fields: Any) -> Event:
    began: Event = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(type_, {})
    return {"type": "content_block_start", "index": index, "content_block": {"type": type_, **began, **fields}}


def delta(index: int, type_: str, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": type_, **fields}}


def stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def text(index: int, *pieces: str) -> list[Event]:
    return [
        start(index, "text"),
        *(delta(index, "text_delta", text=piece) for piece in pieces),
        stop(index),
    ]


def thinking(index: int, words: str, signature: str = "c2ln") -> list[Event]:
    return [
        start(index, "thinking"),
        *([delta(index, "thinking_delta", thinking=words)] if words else []),
        delta(index, "signature_delta", signature=signature),
        stop(index),
    ]


def tool(index: int, *pieces: str, id_: str = "toolu_1", name: str = "look", **fields: Any) -> list[Event]:
    return [
        start(index, "tool_use", id=id_, name=name, input={}, **fields),
        *(delta(index, "input_json_delta", partial_json=piece) for piece in pieces),
        stop(index),
    ]


def ending(reason: str | None = "end_turn", usage: Event | None = None, **fields: Any) -> list[Event]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None, **fields},
            "usage": {"output_tokens": 7} if usage is None else usage,
        },
        {"type": "message_stop"},
    ]


def response(*blocks: list[Event], reason: str | None = "end_turn", **fields: Any) -> bytes:
    """A whole response of these blocks."""
    return stream(message_start(), *(event for block in blocks for event in block), *ending(reason, **fields))
