"""Claim: server-sent events decoded from bytes cost a fraction of what decoding them as text lines costs.

The baseline is httpx2's own `EventSource`, without its task switches: it is given its chunks from memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx2

from actors.model_stream.sse import SseDecoder
from bench import streams
from bench.harness import Case, Suite, timed

EVENTS = 400
"""In the stream that is repeated: about 100 KB."""

READ_BYTES = 65536


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    deltas = streams.deltas(EVENTS)
    reads = streams.pieces(b"".join(deltas), READ_BYTES)
    return (
        _suite("sse_paced", "one event per read, as a model streams", deltas, 1),
        _suite("sse_flood", "as many events per read as a socket holds", reads, EVENTS // len(reads)),
    )


def _suite(name: str, claim: str, chunks: list[bytes], per_chunk: int) -> Suite:
    return Suite(
        name=name,
        claim=claim,
        unit="event",
        cases=(
            Case(name="httpx2.EventSource", run=timed(lambda units: _text_lines(chunks, per_chunk, units))),
            Case(name="SseDecoder", run=timed(lambda units: _ours(chunks, per_chunk, units))),
        ),
    )


class _Memory(httpx2.SyncByteStream):
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


def _text_lines(chunks: list[bytes], per_chunk: int, units: int) -> None:
    response = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        stream=_Memory(streams.cycle(chunks, per_chunk, units)),
        request=httpx2.Request("POST", "http://127.0.0.1/"),
    )
    for _ in httpx2.EventSource(response):
        pass


def _ours(chunks: list[bytes], per_chunk: int, units: int) -> None:
    decoder = SseDecoder()
    for chunk in streams.cycle(chunks, per_chunk, units):
        decoder.feed(chunk)
