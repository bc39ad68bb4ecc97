"""Group commit, decided: which files are written and synced together, and who hears when.

Rules
1. A file is in at most one job at a time, so its appends stay in order without a lock.
2. What arrives while a file (or every job) is busy waits and goes together in the next job: the busier the disk, the
   larger the groups.
3. A job carries many files. Those that only need writing share one; those that need a barrier are spread over several,
   because a sync is waiting, not work (1,000 files: 149 ms one by one, 34 ms on 16 threads).
4. Who asked without a barrier hears when its records are written; with one, when they survive power loss. What nobody
   waits for is synced on a timer.
5. Descriptors are kept open, most recently used first, up to a limit; a file is synced before it is let go.
6. A failed append leaves the file as it was, and what was already on its way behind it is refused (`GapError`).

Rejected: one job per append (a thread hop costs ten times the write), one job at a time (a barrier on one thread would
hold up every other session's next item), and O_DSYNC (it would make every append a barrier).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from messages.failure import Failure
from messages.log import Append, Appended, AppendFailed

MAX_JOBS = 16
"""At once. Each holds a worker thread, and mostly waits for the disk."""

MAX_WRITE_JOBS = 2
"""Of those without a barrier: one to write, one so that a file on a slow disk does not hold up the others."""

MAX_OPEN_FILES = 256
"""A quarter of the usual limit of descriptors; reopening costs some 30 µs."""

R = TypeVar("R")
"""The right to reply; the core only hands it around."""

Durability = Literal["full", "relaxed"]
"""relaxed: barriers wait for the timer's sync no more than other appends do; power loss may cost the last second."""


class Entry(msgspec.Struct, Generic[R]):
    """One append on its way: its lines, encoded, and who is to hear of it."""

    append: Append
    lines: list[bytes]
    reply: R


class Task(msgspec.Struct, Generic[R]):
    """What a job does with one file, in this order."""

    path: str
    entries: list[Entry[R]]
    sync: bool
    close: bool = False


class Job(msgspec.Struct, Generic[R]):
    """One hop to a thread."""

    tasks: list[Task[R]]
    barrier: bool


class Answer(msgspec.Struct, Generic[R]):
    """Tell somebody how it went."""

    reply: R
    message: Appended | AppendFailed


class Outcome(msgspec.Struct, Generic[R]):
    """How one file fared: one answer per entry, and whether what it holds is synced."""

    path: str
    answers: list[Answer[R]]
    written: list[Append]
    """Of the entries, those that were new to the file, in order."""
    synced: bool
    length: int = 0
    base_length: int = 0
    """The file's length before and after: it grew by exactly ``written`` unless ``partly``."""
    partly: bool = False
    """Of some entry only the end was new."""
    error: str | None = None
    """A sync that nobody waited for failed."""


Effect = Job[R] | Answer[R]


class _File(Generic[R]):
    __slots__ = ("busy", "dirty", "due", "entries", "open")

    def __init__(self) -> None:
        self.entries: list[Entry[R]] = []
        self.busy = False
        self.dirty = False
        self.due = False
        """The timer wants it synced."""
        self.open = False


class Commits(Generic[R]):
    """The state of group commit. Its verbs return what is to be done now."""

    __slots__ = ("_durability", "_files", "_ready", "barrier_jobs", "max_open_files", "write_jobs")

    def __init__(self, *, durability: Durability = "full", max_open_files: int = MAX_OPEN_FILES) -> None:
        self._durability = durability
        self._files: OrderedDict[str, _File[R]] = OrderedDict()
        """Files that are open or waited for, least recently used first."""
        self._ready: dict[str, None] = {}
        """Files with something to do that are not busy."""
        self.max_open_files = max_open_files
        self.write_jobs = 0
        self.barrier_jobs = 0

    @property
    def dirty(self) -> bool:
        """Whether something written still has to be synced."""
        return any(file.dirty for file in self._files.values())

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._ready and not self.write_jobs and not self.barrier_jobs

    @property
    def open_files(self) -> int:
        return sum(file.open for file in self._files.values())

    def append(self, entries: Iterable[Entry[R]]) -> list[Effect[R]]:
        """Appends of one batch of the mailbox."""
        for entry in entries:
            path = entry.append.path
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _File()
            file.entries.append(entry)
            if not file.busy:
                self._ready[path] = None
        return self._dispatch()

    def sync_due(self) -> list[Effect[R]]:
        """The timer: what has been written and not synced is synced now."""
        for path, file in self._files.items():
            if file.dirty:
                file.due = True
                if not file.busy:
                    self._ready[path] = None
        return self._dispatch()

    def done(self, job: Job[R], outcomes: Sequence[Outcome[R]]) -> list[Effect[R]]:
        """A job is over."""
        if job.barrier:
            self.barrier_jobs -= 1
        else:
            self.write_jobs -= 1
        effects: list[Effect[R]] = []
        for task, outcome in zip(job.tasks, outcomes, strict=True):
            file = self._files[task.path]
            file.busy = False
            if outcome.synced:
                file.dirty = file.due = False
            elif outcome.written:
                file.dirty = True
            if outcome.error is not None:
                file.due = False
            file.open = not task.close
            effects.extend(outcome.answers)
            if file.entries or file.due:
                self._ready[task.path] = None
            elif task.close:
                del self._files[task.path]
            else:
                self._files.move_to_end(task.path)
        effects.extend(self._dispatch())
        return effects

    def close_all(self) -> list[Effect[R]]:
        """The end: sync what is dirty and let go of every file. Only when `idle`."""
        tasks = [Task[R](path=path, entries=[], sync=file.dirty, close=True) for path, file in self._files.items()]
        return self._start(tasks, barrier=True) if tasks else []

    def _dispatch(self) -> list[Effect[R]]:
        plain: list[Task[R]] = []
        barrier: list[Task[R]] = []
        room = MAX_JOBS - self.write_jobs - self.barrier_jobs
        may_write = room > 0 and self.write_jobs < MAX_WRITE_JOBS
        for path in list(self._ready):
            file = self._files[path]
            sync = file.due or (self._durability == "full" and any(entry.append.barrier for entry in file.entries))
            if not (room if sync else may_write):
                continue
            (barrier if sync else plain).append(self._take(path, file, sync=sync))
        effects: list[Effect[R]] = []
        if plain:
            effects += self._start(plain, barrier=False)
            room -= 1
        if barrier:
            # At least one: the loop above took them because there was room, which `plain` may have used up since.
            room = max(1, min(room, len(barrier)))
            for i in range(room):
                effects += self._start(barrier[i::room], barrier=True)
        return effects + self._evict()

    def _take(self, path: str, file: _File[R], *, sync: bool) -> Task[R]:
        del self._ready[path]
        entries, file.entries = file.entries, []
        file.busy = True
        return Task(path=path, entries=entries, sync=sync)

    def _start(self, tasks: list[Task[R]], *, barrier: bool) -> list[Effect[R]]:
        for task in tasks:
            file = self._files[task.path]
            file.busy = True
            file.open = not task.close
        if barrier:
            self.barrier_jobs += 1
        else:
            self.write_jobs += 1
        return [Job(tasks=tasks, barrier=barrier)]

    def _evict(self) -> list[Effect[R]]:
        """Let go of the files that were longest unused, once there are a few too many."""
        excess = self.open_files - self.max_open_files if len(self._files) > self.max_open_files else 0
        if excess <= 0 or self.write_jobs + self.barrier_jobs >= MAX_JOBS:
            return []
        tasks: list[Task[R]] = []
        for path, file in self._files.items():
            if file.open and not file.busy and not file.entries:
                tasks.append(Task(path=path, entries=[], sync=file.dirty, close=True))
                if len(tasks) >= excess:
                    break
        return self._start(tasks, barrier=True) if tasks else []


def appended(append: Append) -> Appended:
    """The answer to records that are in the file."""
    return Appended(thread_id=append.thread_id, next_ordinal=append.first_ordinal + len(append.records))


def failed(append: Append, why: str, *, kind: Literal["storage", "internal"] = "storage") -> AppendFailed:
    """The answer to records that are not. ``why`` names the file and the reason."""
    advice = " Make room or repair the disk, then try again." if kind == "storage" else ""
    failure = Failure(
        kind=kind, message=f"The conversation could not be written: {why}.{advice}", retryable=kind == "storage"
    )
    return AppendFailed(thread_id=append.thread_id, first_ordinal=append.first_ordinal, failure=failure)
