"""Made-up Responses streams, shaped like OpenAI's down to the fields nobody reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", ".")

RESPONSE: dict[str, Any] = {
    "id": "resp_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "object": "response",
    "created_at": 1_763_700_000,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "model": "some-model",
    "output": [],
    "usage": None,
}

ITEM_ID = "msg_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071"


def event(kind: str, number: int, **fields: Any) -> bytes:
    """One server-sent event."""
    data = msgspec.json.encode({"type": kind, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def opening() -> bytes:
    """Everything before the first delta of a message."""
    item = {"id": ITEM_ID, "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    return (
        event("response.created", 0, response=RESPONSE)
        + event("response.in_progress", 1, response=RESPONSE)
        + event("response.output_item.added", 2, output_index=0, item=item)
        + event("response.content_part.added", 3, item_id=ITEM_ID, output_index=0, content_index=0, part=part)
    )


def deltas(count: int) -> list[bytes]:
    """So many text deltas, one event each."""
    return [
        event(
            "response.output_text.delta",
            4 + number,
            item_id=ITEM_ID,
            output_index=0,
            content_index=0,
            delta=WORDS[number % len(WORDS)],
            logprobs=[],
            obfuscation="Zm9vYmFy",
        )
        for number in range(count)
    ]


def pieces(stream: bytes, size: int) -> list[bytes]:
    """``stream`` as it comes from a socket that hands out ``size`` bytes at a time."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def cycle(chunks: list[bytes], per_chunk: int, units: int) -> Iterator[bytes]:
    """Chunks over and over until they held ``units`` events."""
    left = units
    while left > 0:
        for chunk in chunks:
            yield chunk
            left -= per_chunk
            if left <= 0:
                return


def total(chunks: Iterable[bytes]) -> int:
    """Bytes in all."""
    return sum(map(len, chunks))
