"""One rollout on disk, as the writer's threads handle it: whole records or nothing. Blocking; one thread at a time.

A record counts with its newline. So a file is opened at the end of its last whole line and what is torn behind it is
cut off before the first append; an append that fails half-way (a full disk) is cut off again, at once or before the
next append. The ordinals tell what is in the file already.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from actors.ports import Files
from actors.ports.files import AppendFile
from actors.rollout_writer.core import Answer, Entry, Job, Outcome, Task, appended, failed
from actors.rollout_writer.parsing import decode_ordinal
from messages.log import Appended, AppendFailed

R = TypeVar("R")

TAIL_BYTES = 64 * 1024
"""First look at a file's end: enough for the last record unless that holds a large output; doubled until it is."""

DIRECTORY_MODE = 0o700
"""Conversations are nobody else's business."""

Read = Callable[[int, int], bytes]
"""(start, limit) -> bytes"""


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file's records end."""

    length: int
    """Bytes up to and including the last newline."""
    next_ordinal: int


class GapError(Exception):
    """An append begins behind the file's end: one before it is missing."""

    def __init__(self, path: str, first_ordinal: int, next_ordinal: int) -> None:
        super().__init__(path, first_ordinal, next_ordinal)
        self.path = path
        self.first_ordinal = first_ordinal
        self.next_ordinal = next_ordinal

    def __str__(self) -> str:
        return (
            f"{self.path}: an append begins at record {self.first_ordinal} where record {self.next_ordinal} is due; "
            "an earlier one failed, so it was not written either"
        )


def find_tail(read: Read, size: int) -> Tail:
    """The last whole line of a file of ``size`` bytes, and the ordinal that comes next.

    That is one more than the last line's ordinal that can be read; in a file without any (recorded elsewhere, long
    ago) the number of its lines. The projection counts in the same way.
    """
    reach = TAIL_BYTES
    while True:
        start = max(0, size - reach)
        data = read(start, size - start)
        end = data.rfind(b"\n") + 1
        if end or not start:
            ordinal = _last_ordinal(data[:end], whole=not start)
            if ordinal is not None:
                return Tail(length=start + end, next_ordinal=ordinal + 1)
            if not start:
                return Tail(length=end, next_ordinal=data.count(b"\n"))
        reach *= 2


def _last_ordinal(data: bytes, *, whole: bool) -> int | None:
    lines = data.split(b"\n")
    for line in reversed(lines[0 if whole else 1 : -1]):
        ordinal = decode_ordinal(line)
        if ordinal is not None:
            return ordinal
    return None


class RolloutFile:
    """An open rollout. ``length`` and ``next_ordinal`` are those of its whole records."""

    __slots__ = ("_file", "_torn", "length", "next_ordinal", "path")

    def __init__(self, files: Files, path: str) -> None:
        """Open or create, parents included. Raises OSError."""
        self.path = path
        try:
            self._file: AppendFile = files.open_append(path)
        except FileNotFoundError:
            files.make_dirs(posixpath.dirname(path), mode=DIRECTORY_MODE)
            self._file = files.open_append(path)
        try:
            size = self._file.size()
            tail = find_tail(lambda start, limit: files.read(path, start=start, limit=limit), size)
        except BaseException:
            self._file.close()
            raise
        self.length = tail.length
        self.next_ordinal = tail.next_ordinal
        self._torn = size > tail.length

    def append(self, first_ordinal: int, lines: Sequence[bytes]) -> int:
        """Write the lines that are not in the file yet, all or none; returns how many those are.

        Raises GapError, or OSError with the file as it was (or cut back before the next append).
        """
        if first_ordinal > self.next_ordinal:
            raise GapError(self.path, first_ordinal, self.next_ordinal)
        fresh = lines[self.next_ordinal - first_ordinal :]
        if not fresh:
            return 0
        if self._torn:
            self._file.truncate(self.length)
            self._torn = False
        data = fresh[0] if len(fresh) == 1 else b"".join(fresh)
        try:
            self._file.write(data)
        except OSError:
            self.cut_back(self.length, self.next_ordinal)
            raise
        self.length += len(data)
        self.next_ordinal += len(fresh)
        return len(fresh)

    def cut_back(self, length: int, next_ordinal: int) -> None:
        """Undo what was appended since the file was so long. Where the disk refuses even that, the next append does."""
        self.length, self.next_ordinal = length, next_ordinal
        self._torn = True
        with contextlib.suppress(OSError):
            self._file.truncate(length)
            self._torn = False

    def sync(self) -> None:
        """Return when all that was appended survives power loss. Raises OSError."""
        self._file.datasync()

    def close(self) -> None:
        self._file.close()


def perform(files: Files, handles: dict[str, RolloutFile], job: Job[R]) -> list[Outcome[R]]:
    """One job, in a thread. ``handles`` is shared by all jobs; each touches only the paths that are its own."""
    return [_perform(files, handles, task) for task in job.tasks]


def _perform(files: Files, handles: dict[str, RolloutFile], task: Task[R]) -> Outcome[R]:
    outcome = Outcome[R](path=task.path, answers=[], written=[], synced=False)
    file = handles.get(task.path)
    if file is None:
        if not task.entries:
            outcome.synced = True
            return outcome
        try:
            file = handles[task.path] = RolloutFile(files, task.path)
        except OSError as error:
            outcome.answers = [Answer(reply=e.reply, message=failed(e.append, str(error))) for e in task.entries]
            return outcome
    outcome.base_length = file.length
    base_ordinal = file.next_ordinal
    for entry in task.entries:
        outcome.answers.append(Answer(reply=entry.reply, message=_write(file, entry, outcome)))
    if task.sync:
        try:
            file.sync()
            outcome.synced = True
        except OSError as error:
            outcome.error = f"{task.path}: {error}"
            if task.entries:
                # Nobody has been told that any of this is there, so it can still be taken back as a whole.
                file.cut_back(outcome.base_length, base_ordinal)
                outcome.written = []
                outcome.answers = [Answer(reply=e.reply, message=failed(e.append, str(error))) for e in task.entries]
    if task.close:
        del handles[task.path]
        file.close()
    outcome.length = file.length
    return outcome


def _write(file: RolloutFile, entry: Entry[R], outcome: Outcome[R]) -> Appended | AppendFailed:
    try:
        fresh = file.append(entry.append.first_ordinal, entry.lines)
    except GapError as error:
        return failed(entry.append, str(error))
    except OSError as error:
        return failed(entry.append, f"{file.path}: {error.strerror or error}")
    if fresh == len(entry.lines):
        outcome.written.append(entry.append)
    elif fresh:
        outcome.partly = True
    return appended(entry.append)
