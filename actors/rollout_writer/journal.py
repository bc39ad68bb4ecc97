"""The checkpoint journal on disk: one file that grows, replaced by a new one when it has served. Blocking.

See `checkpoints` for what it holds and why it is never synced.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Callable, Sequence

from actors.ports import Files
from actors.ports.files import AppendFile
from actors.rollout_writer.checkpoints import PartialItem, checkpoint_records, read_journal
from actors.rollout_writer.disk import DIRECTORY_MODE, RolloutFile
from actors.rollout_writer.lines import encode
from actors.rollout_writer.reader import find_rollout, load_file, pieces
from messages.base import ItemId, ThreadId

DIRECTORY = "checkpoints"
_SUFFIX = ".jsonl"
_KEPT = "kept for the next start"


def segments(files: Files, home: str) -> list[str]:
    """The journal's files, oldest first. Raises OSError."""
    directory = posixpath.join(home, DIRECTORY)
    if files.stat(directory) is None:
        return []
    names = [entry.name for entry in files.list_dir(directory) if entry.name.endswith(_SUFFIX)]
    return [posixpath.join(directory, name) for name in names]


class Journal:
    """The segment that is being written."""

    __slots__ = ("_file", "_files", "_home", "_number", "_path", "size")

    def __init__(self, files: Files, home: str, number: int) -> None:
        """``number``: above that of every segment there is."""
        self._files = files
        self._home = home
        self._number = number
        self._file: AppendFile | None = None
        self._path = ""
        self.size = 0

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines. Raises OSError; then `start_over`."""
        if self._file is None:
            directory = posixpath.join(self._home, DIRECTORY)
            self._files.make_dirs(directory, mode=DIRECTORY_MODE)
            self._path = posixpath.join(directory, f"{self._number:08}{_SUFFIX}")
            self._number += 1
            self._file = self._files.open_append(self._path)
        data = b"".join(lines)
        self._file.write(data)
        self.size += len(data)

    def start_over(self, lines: Sequence[bytes] = ()) -> None:
        """Begin a new segment with ``lines`` and remove the old one. Raises OSError."""
        file, self._file = self._file, None
        path = self._path
        self.size = 0
        try:
            if lines:
                self.append(lines)
        finally:
            if file is not None:
                file.close()
                with contextlib.suppress(OSError):
                    self._files.remove(path)


def next_segment(files: Files, home: str) -> int:
    """A number above that of every segment there is, which are left alone. Raises OSError."""
    stems = (posixpath.basename(path).removesuffix(_SUFFIX) for path in segments(files, home))
    return max((int(stem) + 1 for stem in stems if stem.isdecimal()), default=1)


def recover_journal(files: Files, home: str, *, at: float, warn: Callable[[str], None]) -> int:
    """Append to the rollouts what a former process was showing when it died, durably, and remove its journal.

    Before anybody loads a thread: the ordinals that these records take are not a session's to give. Returns the number
    of the next segment. What cannot be saved (a rollout cannot be read, the disk is full) is told to ``warn`` and keeps
    nobody else's text from being saved; the segments that hold it stay for the next start. What belongs to no thread
    any more is dropped.
    """
    try:
        paths = segments(files, home)
    except OSError as error:
        warn(f"the checkpoint journal cannot be listed ({error}); text shown before the last crash may be missing")
        return 1
    number = 1
    latest: dict[ThreadId, dict[ItemId, PartialItem]] = {}
    told_of: dict[str, set[ThreadId]] = {}
    """The threads whose texts a segment holds. Each begins with all that was open, so it can be read by itself."""
    for path in paths:
        stem = posixpath.basename(path).removesuffix(_SUFFIX)
        number = max(number, int(stem) + 1 if stem.isdecimal() else 1)
        try:
            found = read_journal(line for lines, _ in pieces(files, path) for line in lines)
        except OSError as error:
            warn(f"text shown before the last crash could not be read ({error}); it is {_KEPT}")
            continue
        told_of[path] = set(found)
        for thread_id, partials in found.items():
            latest.setdefault(thread_id, {}).update((partial.item_id, partial) for partial in partials)
    unsaved: set[ThreadId] = set()
    for thread_id, items in latest.items():
        try:
            _save(files, home, thread_id, tuple(items.values()), at)
        except OSError as error:
            unsaved.add(thread_id)
            warn(
                f"text that thread {thread_id} showed before the last crash could not be saved ({error}); it is {_KEPT}"
            )
    for path, thread_ids in told_of.items():
        if not thread_ids & unsaved:
            with contextlib.suppress(OSError):
                files.remove(path)
    return number


def _save(files: Files, home: str, thread_id: ThreadId, partials: Sequence[PartialItem], at: float) -> None:
    path = find_rollout(files, home, thread_id)
    if path is None:
        return  # an ephemeral thread, or one that was deleted
    thread = load_file(files, path)
    records = checkpoint_records(thread, partials)
    if not records:
        return
    file = RolloutFile(files, path)
    try:
        file.append(file.next_ordinal, encode(records, thread_id=thread_id, first_ordinal=file.next_ordinal, at=at))
        file.sync()
    finally:
        file.close()
