"""Claim: from the socket's bytes to text that clients can be shown, a delta costs single microseconds.

Measured is `Hearing.feed`: server-sent events, JSON, telling items and parts apart, appending to the open text. The
baselines do less: they split the events, decode each with the standard library (or with msgspec, untyped) and append
what a field named ``delta`` holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from actors.model_stream.core import WIRES, Hearing
from actors.model_stream.sse import SseDecoder
from actors.session.open_text import OpenText, TextTable
from bench import streams
from bench.harness import Case, Suite, timed
from messages.items import Origin

EVENTS = 400
READ_BYTES = 65536
ORIGIN = Origin(provider="bench", model="some-model", wire="responses")


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    deltas = streams.deltas(EVENTS)
    reads = streams.pieces(b"".join(deltas), READ_BYTES)
    return (
        _suite("decode_paced", "one delta per read, as a model streams", deltas, 1),
        _suite("decode_flood", "as many deltas per read as a socket holds", reads, EVENTS // len(reads)),
    )


def _suite(name: str, claim: str, chunks: list[bytes], per_chunk: int) -> Suite:
    return Suite(
        name=name,
        claim=claim,
        unit="delta",
        cases=(
            Case(name="json.loads", run=timed(lambda units: _untyped(json.loads, chunks, per_chunk, units))),
            Case(
                name="msgspec, untyped",
                run=timed(lambda units: _untyped(msgspec.json.Decoder().decode, chunks, per_chunk, units)),
            ),
            Case(name="Hearing", run=timed(lambda units: _ours(chunks, per_chunk, units))),
        ),
    )


def _untyped(decode: Callable[[bytes], Any], chunks: list[bytes], per_chunk: int, units: int) -> None:
    decoder = SseDecoder()
    texts: dict[tuple[str, int], OpenText] = {}
    for chunk in streams.cycle(chunks, per_chunk, units):
        for event in decoder.feed(chunk):
            value = decode(event.data)
            if value["type"] == "response.output_text.delta":
                key = (value["item_id"], value["content_index"])
                text = texts.get(key)
                if text is None:
                    text = texts[key] = OpenText("text")
                text.append(value["delta"])


def _ours(chunks: list[bytes], per_chunk: int, units: int) -> None:
    hearing = Hearing(WIRES["responses"].decoder("r1", ORIGIN, TextTable(), where="bench"), "bench")
    hearing.feed(streams.opening())
    for chunk in streams.cycle(chunks, per_chunk, units):
        hearing.feed(chunk)
    assert not hearing.done, "the stream has no end"
