"""Rollouts from disk: finding a thread's file, loading it, reading parts of it. Never writes.

The functions that take `Files` block and belong in a thread; those that take `Ports` are for actors. A file is read in
pieces, so that a large one costs its thread and not twice its size.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from actors.ports import Files, Ports
from actors.rollout_writer.forms import HistoryBase
from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.parsing import Line, decode
from actors.rollout_writer.paths import ARCHIVED, SESSIONS, likely_days, rollout_of, thread_id_of
from actors.rollout_writer.projection import NO_ID, Projector
from actors.rollout_writer.recovery import recover
from messages.base import ThreadId
from messages.log import Record

PIECE_BYTES = 1 << 20
"""Read at a time."""

MAX_FORKS = 32
"""A fork of a fork of a fork ...: deeper than anybody forks, and an end for files that name each other."""

MAX_DEPTH = 4
"""Of directories below ``sessions``: year, month, day, and one to spare."""


class RolloutError(OSError):
    """The file cannot be understood as a thread at all; the text names it and says why.

    An OSError, because for whoever wants the thread a file that makes no sense is as good as one that is not there.
    """


# --- finding ----------------------------------------------------------------------------------------------------


def rollouts(files: Files, home: str) -> Iterator[str]:
    """The paths of all rollouts below ``home``, newest day first."""
    return (path for path in kept(files, home) if rollout_of(path) is None)


def kept(files: Files, home: str) -> Iterator[str]:
    """The same, and the folders of handles that lie among them."""
    yield from _below(files, posixpath.join(home, SESSIONS), MAX_DEPTH)
    yield from _below(files, posixpath.join(home, ARCHIVED), 1)


def _below(files: Files, directory: str, depth: int) -> Iterator[str]:
    try:
        entries = files.list_dir(directory)
    except OSError:
        return  # not there, or not ours to read: nothing to list
    for entry in reversed(entries):
        path = posixpath.join(directory, entry.name)
        if entry.kind == "directory" and rollout_of(path) is not None:
            yield path
        elif entry.kind == "directory" and depth > 1:
            yield from _below(files, path, depth - 1)
        elif entry.kind == "file" and thread_id_of(path) is not None:
            yield path


def find_rollout(files: Files, home: str, thread_id: ThreadId) -> str | None:
    """The path of a thread's rollout. Looks at the days its id names first, then everywhere; needs no index."""
    for day in likely_days(home, thread_id):
        for path in _below(files, day, 1):
            if thread_id_of(path) == thread_id:
                return path
    return next((path for path in rollouts(files, home) if thread_id_of(path) == thread_id), None)


# --- loading ----------------------------------------------------------------------------------------------------


async def load_thread(ports: Ports, path: str) -> LoadedThread:
    """The thread whose rollout this is. Raises OSError, RolloutError."""
    return await ports.threads.run(load_file, ports.files, path)


async def load_settled(ports: Ports, path: str) -> LoadedThread:
    """The thread as it would be after recovery, without writing anything: for looking at one that nobody has loaded."""
    return await ports.threads.run(_load_settled, ports.files, path)


def load_file(files: Files, path: str) -> LoadedThread:
    """The same, blocking."""
    projector, torn_bytes = _project(files, path)
    return projector.loaded(torn_bytes)


def _load_settled(files: Files, path: str) -> LoadedThread:
    projector, torn_bytes = _project(files, path)
    thread = projector.loaded(torn_bytes)
    recovery = recover(thread, at=thread.updated_at)
    if not recovery.records:
        return thread
    projector.suppose(recovery.records)
    return projector.loaded(torn_bytes)


def _project(files: Files, path: str) -> tuple[Projector, int]:
    """All of a file and of those it forks from, folded, and what is torn at its end."""
    parts: list[tuple[str, int | None]] = [(path, None)]
    """(file, how much of it), the last one first in time."""
    while (base := _base_of(files, parts[-1][0])) is not None:
        parent = find_rollout(files, _home_of(path), base.thread_id)
        if parent is None:
            raise RolloutError(
                f"{parts[-1][0]} continues thread {base.thread_id}, whose rollout is not below {_home_of(path)}"
            )
        if len(parts) >= MAX_FORKS:
            raise RolloutError(f"{path} forks from more than {MAX_FORKS} others, one of another")
        parts.append((parent, base.end_byte_offset))
    projector = Projector(thread_id_of(path) or NO_ID)
    torn_bytes = 0
    for i, (part, limit) in enumerate(reversed(parts)):
        if i:
            projector.end_base()
        rest = b""
        for lines, rest in pieces(files, part, limit):  # noqa: B007  # the last rest is what is torn
            for line in lines:
                projector.feed(line)
        torn_bytes = len(rest)
    if not projector.records:
        raise RolloutError(f"{path} holds no record: its thread was begun, and nothing of it reached the disk")
    return projector, torn_bytes


def _base_of(files: Files, path: str) -> HistoryBase | None:
    """What a file's first line says it forks from."""
    for lines, rest in pieces(files, path):
        if lines or not rest:
            first = decode(lines[0]) if lines else None
            return first.base if isinstance(first, Line) else None
    return None


def _home_of(path: str) -> str:
    """The home a rollout lies in: above its ``sessions`` or ``archived_sessions``."""
    for marker in (f"/{SESSIONS}/", f"/{ARCHIVED}/"):
        home, found, _ = path.rpartition(marker)
        if found:
            return home
    return posixpath.dirname(path)


def pieces(files: Files, path: str, limit: int | None = None) -> Iterator[tuple[list[bytes], bytes]]:
    """A file's whole lines, piece by piece, each with what is left over behind them so far. Raises OSError."""
    start = 0
    rest = b""
    while limit is None or start < limit:
        wanted = PIECE_BYTES if limit is None else min(PIECE_BYTES, limit - start)
        data = files.read(path, start=start, limit=wanted)
        if not data:
            return
        start += len(data)
        lines = (rest + data).split(b"\n") if rest else data.split(b"\n")
        rest = lines.pop()
        yield lines, rest
        if len(data) < wanted:
            return


# --- reading parts ----------------------------------------------------------------------------------------------


async def read_records(ports: Ports, path: str, *, first_ordinal: int, limit: int) -> tuple[tuple[int, Record], ...]:
    """Up to ``limit`` whole records from ``first_ordinal`` on, each with its ordinal; empty beyond the end.

    Lines that are not for us are left out. Raises OSError.
    """
    return await ports.threads.run(_read_records, ports.files, path, first_ordinal, limit)


def _read_records(files: Files, path: str, first_ordinal: int, limit: int) -> tuple[tuple[int, Record], ...]:
    found: list[tuple[int, Record]] = []
    counted = 0
    for lines, _ in pieces(files, path):
        for raw in lines:
            line = decode(raw)
            ordinal = line.ordinal if line.ordinal is not None else counted
            counted = ordinal + 1
            if ordinal >= first_ordinal and isinstance(line, Line):
                found.append((ordinal, line.record))
                if len(found) >= limit:
                    return tuple(found)
    return tuple(found)
