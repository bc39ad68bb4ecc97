"""Hear a whole Chat Completions stream, cut as one likes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.model_stream.chat.decode import ChatDecoder
from actors.model_stream.core import Hearing
from actors.session.open_text import TextTable
from messages.items import Origin
from messages.model import StreamEvent, TextBegan
from tests.actors.model_stream.hearing import Heard

ORIGIN = Origin(provider="recorded", model="some-model", wire="chat")


def listen(chunks: Iterable[bytes], *, freeform: frozenset[str] = frozenset()) -> tuple[Heard, ChatDecoder]:
    """Feed an attempt to its end; what it came to, and the decoder as it was then."""
    texts = TextTable()
    decoder = ChatDecoder("r1", ORIGIN, texts, where="the model", freeform=freeform)
    hearing = Hearing(decoder, "the model")
    events: list[StreamEvent] = []
    for chunk in chunks:
        events += hearing.feed(chunk)
        if hearing.done:
            break
    events += hearing.end()
    assert hearing.done
    began = [event for event in events if isinstance(event, TextBegan)]
    heard = Heard(
        events=tuple(events),
        texts=tuple((e.slot, e.channel, e.index, texts.attach(e.text_slot).text()) for e in began),
        failure=hearing.failure,
    )
    return heard, decoder


def hear(chunks: Iterable[bytes]) -> Heard:
    """`listen` without the decoder."""
    return listen(chunks)[0]


def stream(*chunks: dict[str, Any], done: bool = True) -> bytes:
    """Chunks as OpenAI frames them."""
    data = [msgspec.json.encode(chunk) for chunk in chunks] + ([b"[DONE]"] if done else [])
    return b"".join(b"data: %b\n\n" % each for each in data)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **fields}


def call(index: int | None = 0, *, id_: str | None = None, name: str | None = None, arguments: Any = "") -> Any:
    """A delta of one call."""
    delta: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        delta["index"] = index
    if id_ is not None:
        delta |= {"id": id_, "type": "function"}
    if name is not None:
        delta["function"]["name"] = name
    return {"tool_calls": [delta]}
