"""Claims: what a turn leaves in the log is cheap to encode, and the appends of many threads share the disk's waits.

Encoding is compared with the standard library's JSON of the same values, already taken apart into dictionaries.

Writing is measured by the clock on the wall, on the file system that holds temporary files: `SESSIONS` threads that end
a turn at the same time, again and again, each waiting until its records survive power loss. The baseline does what a
simple writer does, one append after the other: a hop to a thread, a write, a sync. Where the temporary folder is in
memory a sync is free, and what is left to see is the cost of the actor.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import cast

import trio

from actors.kernel import Context, System
from actors.ports import Ports, Processes
from actors.ports.production import production_ports
from actors.rollout_writer.actor import ROLLOUT_WRITER, WriterOptions, run
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.rollout_writer.disk import RolloutFile
from actors.rollout_writer.lines import encode
from bench.harness import Case, Suite, timed
from bench.micro_resume import AT, THREAD, turn
from messages.base import ThreadId
from messages.log import Append, Appended

SESSIONS = 64

RECORDS = tuple(turn(7))

Write = Callable[[str, int], Awaitable[None]]
"""Append `RECORDS` to the file of that path, the first with that ordinal; return when they are durable."""


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    records = turn(7)
    lines = encode(records, thread_id=THREAD, first_ordinal=0, at=AT)
    values = [json.loads(line) for line in lines]

    def standard(units: int) -> None:
        for _ in range(units):
            b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)

    def ours(units: int) -> None:
        for _ in range(units):
            b"".join(encode(records, thread_id=THREAD, first_ordinal=0, at=AT))

    writing = Suite(
        name="log_barrier",
        claim=f"{SESSIONS} sessions append at once, each until its records are durable",
        unit="append",
        clock="wall",
        cases=(
            Case(name="one append after the other", run=lambda units: _sample(units, _one_by_one)),
            Case(name="rollout writer", run=lambda units: _sample(units, _writer)),
        ),
    )
    return (
        writing,
        Suite(
            name="log_encode",
            claim=f"the {len(records)} records of a short turn ({sum(map(len, lines))} bytes) as lines",
            unit="turn",
            cases=(
                Case(name="json.dumps of dictionaries", run=timed(standard)),
                Case(name="lines.encode", run=timed(ours)),
            ),
        ),
    )


def _sample(units: int, writer: Callable[[Ports, str, int], Awaitable[float]]) -> float:
    """Seconds for ``units`` appends; at least one for each session is made."""
    each = max(1, -(-units // SESSIONS))
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        ports = production_ports(cast("Processes", None))  # a log starts no processes
        seconds = trio.run(writer, ports, folder, each)
    return seconds / (each * SESSIONS) * units


async def _timed(write: Write, folder: str, each: int, *, together: bool) -> float:
    """The first append of a file, which makes it, is not counted."""
    paths = [str(Path(folder) / f"rollout-{number}.jsonl") for number in range(SESSIONS)]
    for path in paths:
        await write(path, 0)

    async def session(path: str) -> None:
        for number in range(1, each + 1):
            await write(path, number * len(RECORDS))

    began = time.perf_counter()
    if together:
        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(session, path)
    else:
        for path in paths:
            await session(path)
    return time.perf_counter() - began


async def _one_by_one(ports: Ports, folder: str, each: int) -> float:
    files: dict[str, RolloutFile] = {}

    def append(path: str, ordinal: int) -> None:
        file = files.get(path)
        if file is None:
            file = files[path] = RolloutFile(ports.files, path)
        file.append(ordinal, encode(RECORDS, thread_id=THREAD, first_ordinal=ordinal, at=AT))
        file.sync()

    async def write(path: str, ordinal: int) -> None:
        await ports.threads.run(append, path, ordinal)

    seconds = await _timed(write, folder, each, together=False)
    for file in files.values():
        file.close()
    return seconds


async def _writer(ports: Ports, folder: str, each: int) -> float:
    system = System(random=random.Random(1))
    context = Context(system, "rollout_writer")
    options = WriterOptions(home=folder, index_path=":memory:")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run, context, ports, options, TextCheckpoints()))
        log = system.directory.address(ROLLOUT_WRITER)

        async def write(path: str, ordinal: int) -> None:
            append = Append(
                thread_id=ThreadId(path), path=path, first_ordinal=ordinal, at=AT, records=RECORDS, barrier=True
            )
            await log.ask(append, Appended)

        seconds = await _timed(write, folder, each, together=True)
        context.request_shutdown(5)
    return seconds
