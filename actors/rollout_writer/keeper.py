"""Keeping the index true to the rollouts, beside the writer's own work.

What the writer appends is noted here and applied in batches; rows that do not fit are made anew from their files; at
start every file is compared with its row, in the background, newest first. All SQLite work takes turns on one thread
at a time. If the index cannot be had at all, threads are still found by their files' names, and lists are empty: a
warning says so. Nothing here can fail an append.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, TypeVarTuple

import trio

from actors.ports import Files, Ports
from actors.ports.files import FileStat
from actors.rollout_writer.handle_store import sweep
from actors.rollout_writer.index import Change, IndexUnusableError, Known, ThreadIndex, change_of, summary_of
from actors.rollout_writer.parsing import Line, decode, parse_time
from actors.rollout_writer.paths import rollout_of, thread_id_of
from actors.rollout_writer.reader import find_rollout, kept, load_file, pieces
from messages.base import ThreadId
from messages.log import ListThreads, Record, ThreadPage
from messages.session import ThreadSummary

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

APPLY_SECONDS = 0.1
"""A busy daemon's appends cost one transaction per tenth of a second. Lists are up to date all the same: they ask."""

CHUNK_FILES = 32
"""Files read per hop while comparing: in between, the thread and the interpreter are free for others."""

LIST_PATIENCE_SECONDS = 2.0
"""A list that is asked for right after a start waits so long for the files to be compared with their rows: after a
crash it would miss the threads that were begun last. Beyond it (a home of many thousands, all new) it is what is known.
"""

REBUILDS = 3
"""A database that fails so often in one life of the writer is on a disk that will not hold one."""

INDEX_NAME = "index.sqlite3"

_TELLING = (
    b"session_meta",
    b"turn_context",
    b"task_started",
    b"token_count",
    b"UserMessage",
    b"callboard_thread_named",
)
"""Lines without any of these words change nothing in a list; most of a rollout is never parsed for it."""


class Keeper:
    """One per writer. `run` keeps the index until cancelled; the rest may be called meanwhile."""

    __slots__ = (
        "_changes",
        "_given_up",
        "_home",
        "_index",
        "_limiter",
        "_path",
        "_ports",
        "_stale",
        "_warn",
        "_work",
        "reconciled",
    )

    def __init__(self, ports: Ports, home: str, *, path: str | None = None, warn: Callable[[str], None]) -> None:
        """``path`` of the database: below ``home`` unless given (``:memory:`` in a simulation)."""
        self._ports = ports
        self._home = home
        self._path = posixpath.join(home, INDEX_NAME) if path is None else path
        self._warn = warn
        self._index: ThreadIndex | None = None
        self._limiter = trio.CapacityLimiter(1)
        self._given_up = False
        self._changes: list[Change] = []
        self._stale: dict[str, None] = {}
        self._work = trio.Event()
        self.reconciled = trio.Event()
        """Set when every file has been compared with its row, or when there is no index to compare with."""

    # --- for the writer -----------------------------------------------------------------------------------------

    def note(self, path: str, records: Iterable[Record], *, base_length: int, length: int, at: float) -> None:
        """These records were appended. Cheap; applied soon."""
        if self._given_up:
            return
        self._changes.append(change_of(path, records, base_length=base_length, length=length, at=at))
        self._work.set()

    def doubt(self, path: str) -> None:
        """Something else happened to this file."""
        if self._given_up:
            return
        self._stale[path] = None
        self._work.set()

    async def run(self) -> None:
        """Open, compare with the files, then keep up. Returns only when no index can be had."""
        for _ in range(REBUILDS):
            try:
                await self._hop(self._open)
                await self._reconcile()
                while self._index is not None:
                    await self._work.wait()
                    await trio.sleep(APPLY_SECONDS)
                    await self._catch_up()
            except (IndexUnusableError, OSError) as error:
                self._lost(error)
        self._given_up = True
        self._changes.clear()
        self._stale.clear()
        self._warn("the index of threads is given up: threads are still found by their id, lists are empty")
        self.reconciled.set()

    async def close(self) -> None:
        """Apply what is left and let go of the database."""
        try:
            await self._catch_up()
            if self._index is not None:
                await self._hop(self._index.close)
        except (IndexUnusableError, OSError) as error:
            self._lost(error)

    # --- for those who ask --------------------------------------------------------------------------------------

    async def page(self, request: ListThreads) -> ThreadPage:
        """A page as of now. Raises BadCursorError."""
        with trio.move_on_after(LIST_PATIENCE_SECONDS):
            await self.reconciled.wait()
        try:
            await self._catch_up()
            return await self._hop(self._page, request)
        except (IndexUnusableError, OSError) as error:
            self._lost(error)
            return ThreadPage(threads=())

    async def find(self, thread_id: ThreadId) -> ThreadSummary | None:
        """One thread, by the index or else by its file's name."""
        try:
            await self._catch_up()
            found = await self._hop(self._find, thread_id)
        except (IndexUnusableError, OSError) as error:
            self._lost(error)
            found = None
        return found or await self._hop(_find_by_name, self._ports.files, self._home, thread_id)

    # --- on the one thread --------------------------------------------------------------------------------------

    async def _hop(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        return await self._ports.threads.run(work, *args, limiter=self._limiter)

    def _lost(self, error: Exception) -> None:
        """Begin anew: `run` opens another, and everything is read from the files again."""
        self._warn(f"the index of threads failed ({error}); it is rebuilt from the rollouts")
        self._index = None
        self._work.set()

    def _open(self) -> None:
        self._ports.files.make_dirs(self._home)
        index = ThreadIndex(self._path, self._ports.files)
        if index.rebuilt_because is not None:
            self._warn(index.rebuilt_because)
        self._index = index

    def _page(self, request: ListThreads) -> ThreadPage:
        return ThreadPage(threads=()) if self._index is None else self._index.page(request)

    def _find(self, thread_id: ThreadId) -> ThreadSummary | None:
        found = None if self._index is None else self._index.find(thread_id)
        if found is None or found.path is None or self._ports.files.stat(found.path) is None:
            return None
        return found

    async def _reconcile(self) -> None:
        differing = await self._hop(self._compare)
        for start in range(0, len(differing), CHUNK_FILES):
            await self._hop(self._refresh, differing[start : start + CHUNK_FILES])
            await self._catch_up()
        self.reconciled.set()

    async def _catch_up(self) -> None:
        if self._index is not None and (self._changes or self._stale):
            self._work = trio.Event()
            changes, self._changes = self._changes, []
            stale, self._stale = self._stale, {}
            await self._hop(self._apply, changes, list(stale))

    def _apply(self, changes: Sequence[Change], stale: list[str]) -> None:
        if self._index is not None:
            self._refresh([*stale, *self._index.apply(changes)])

    def _compare(self) -> list[str]:
        """Files that differ from their rows; rows without a file go, and so do handles whose rollout is gone."""
        index = self._index
        if index is None:
            return []
        files = self._ports.files
        known = index.known()
        differing: list[str] = []
        folders: dict[str, ThreadId | None] = {}
        threads: set[ThreadId | None] = set()
        for path in kept(files, self._home):
            if (rollout := rollout_of(path)) is not None:
                folders[path] = thread_id_of(rollout)
                continue
            threads.add(thread_id_of(path))
            row = known.pop(path, None)
            stat = files.stat(path)
            same_time = row is not None and stat is not None and row.modified_at in (None, stat.modified_at)
            if not same_time or row is None or stat is None or row.length != stat.size:
                differing.append(path)
        index.forget(known)
        for folder, thread_id in folders.items():
            if thread_id not in threads:
                sweep(files, folder)
        return differing

    def _refresh(self, paths: Sequence[str]) -> None:
        if self._index is not None and paths:
            rows = [summarise(self._ports.files, path) for path in dict.fromkeys(paths)]
            self._index.replace(row for row in rows if row is not None)


def _find_by_name(files: Files, home: str, thread_id: ThreadId) -> ThreadSummary | None:
    path = find_rollout(files, home, thread_id)
    row = None if path is None else summarise(files, path)
    return None if row is None else row[0]


def summarise(files: Files, path: str) -> tuple[ThreadSummary, Known] | None:
    """A row made from a whole file; None if there is no such file. Blocking."""
    try:
        stat = files.stat(path)
        if stat is None:
            return None
        records: list[Record] = []
        last = b""
        for lines, _ in pieces(files, path):
            for line in lines:
                if any(word in line for word in _TELLING):
                    read = decode(line)
                    if isinstance(read, Line):
                        if read.base is not None:
                            return _row_of_whole(files, path, stat)
                        records.append(read.record)
            last = lines[-1] if lines else last
        end = decode(last)
        at = (parse_time(end.timestamp) if isinstance(end, Line) else None) or stat.modified_at
        change = change_of(path, records, base_length=0, length=stat.size, at=at)
        if change.meta is None:
            return _row_of_whole(files, path, stat)
        return summary_of(change, change.meta), Known(length=stat.size, modified_at=stat.modified_at)
    except OSError:
        return None


def _row_of_whole(files: Files, path: str, stat: FileStat) -> tuple[ThreadSummary, Known]:
    """For what a glance at a few lines cannot tell: a fork, a file that lost its first line."""
    return load_file(files, path).summary(path), Known(length=stat.size, modified_at=stat.modified_at)
