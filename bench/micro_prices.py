"""The price list behind docs/performance.md: what the steps of a delta cost beside each other.

No claim but an order of magnitude: text is nearly free, decoding is cheap, waking somebody is not, a thread is worse.
"""

from __future__ import annotations

import contextlib
import socket

import trio

from actors.model_stream.core import WIRES, Hearing
from actors.ports.production import WorkerThreads
from actors.session.open_text import OpenText, TextTable
from bench import streams
from bench.harness import Case, Suite, timed, timed_async
from bench.micro_decode import ORIGIN

EVENTS = 200


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        Suite(
            name="prices",
            claim="what things cost beside each other",
            unit="time",
            cases=(
                Case(name="append to an open text", run=timed(_append)),
                Case(name="decode a delta", run=timed(_decode)),
                Case(name="pass of the scheduler", run=timed_async(_checkpoint)),
                Case(name="write to a socket and read it", run=timed(_socket)),
                Case(name="hop to a thread and back", run=timed_async(_thread)),
            ),
        ),
    )


def _append(units: int) -> None:
    text = OpenText("text")
    append = text.append
    for _ in range(units):
        append(" word")


def _decode(units: int) -> None:
    reads = [b"".join(streams.deltas(EVENTS))]
    hearing = Hearing(WIRES["responses"].decoder("r1", ORIGIN, TextTable(), where="bench"), "bench")
    hearing.feed(streams.opening())
    for chunk in streams.cycle(reads, EVENTS, units):
        hearing.feed(chunk)


async def _checkpoint(units: int) -> None:
    for _ in range(units):
        await trio.lowlevel.checkpoint()


def _socket(units: int) -> None:
    near, far = socket.socketpair()
    with contextlib.closing(near), contextlib.closing(far):
        for _ in range(units):
            near.send(b"some two hundred bytes of a frame" * 6)
            far.recv(65536)


async def _thread(units: int) -> None:
    threads = WorkerThreads()
    for _ in range(units):
        await threads.run(_nothing)


def _nothing() -> None:
    pass
