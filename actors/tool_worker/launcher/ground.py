"""What a confinement comes to on this disk, now; and placeholders for what must not come to exist.

Blocking: some twenty `lstat`. A name that does not exist can only be protected by making it: an empty folder, mounted
on itself read-only for the call. Folders of ours are told from anybody's by their sticky bit, are made once however
many calls need them, and are removed when none has for a moment (a disk takes its time over each); a daemon that is
killed leaves them, empty, to its successor.
"""

from __future__ import annotations

import contextlib
import os
import stat

from actors.ports.processes import Confinement
from actors.tool_worker.confinement.ground import PROTECTED_NAMES, Ground, in_order, is_below

PLACEHOLDER_MODE = 0o1755
"""Of an empty folder that we made: nobody sets the sticky bit on a folder of their own that others may not write."""

POINTER_BYTES_MAX = 4_096
"""Of a `.git` file or a `commondir`: one path."""

GITDIR = b"gitdir:"


class Placeholders:
    """Those that exist now, and how many calls need each."""

    def __init__(self) -> None:
        self._needed: dict[str, int] = {}

    def make(self, ground: Ground) -> tuple[str, ...]:
        """Folders for what is absent; those that could be made, to be given to `release` after the call."""
        made = []
        for path in ground.absent:
            with contextlib.suppress(OSError):  # where we may not make it, the tool may not either
                if not is_placeholder(path):
                    os.mkdir(path, PLACEHOLDER_MODE)
                self._needed[path] = self._needed.get(path, 0) + 1
                made.append(path)
        return tuple(made)

    def release(self, made: tuple[str, ...]) -> None:
        """A call is over. What no other needs stays for the next one, until `tidy`."""
        for path in made:
            self._needed[path] -= 1

    @property
    def idle(self) -> bool:
        """Whether there is something to tidy."""
        return not all(self._needed.values())

    def tidy(self) -> None:
        """Remove those that no call needs. One that somebody has put something into meanwhile is theirs."""
        for path in [path for path, needed in self._needed.items() if not needed]:
            del self._needed[path]
            if is_placeholder(path):
                with contextlib.suppress(OSError):
                    os.rmdir(path)


def is_placeholder(path: str) -> bool:
    """Whether a folder is one of ours, and empty. False for what does not exist."""
    try:
        found = os.lstat(path)
        return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX) and not os.listdir(path)
    except OSError:
        return False


def survey(confinement: Confinement) -> Ground:
    """Look. A symbolic link counts as what it leads to; protected, both are."""
    workspace = [os.path.realpath(path) for path in confinement.workspace if os.path.isabs(path)]
    scratch = [os.path.realpath(path) for path in confinement.scratch if os.path.isabs(path)]
    writable = in_order(path for path in (*workspace, *scratch) if os.path.exists(path))
    pinned: list[str] = []
    links: list[str] = []
    absent: list[str] = []
    for root in workspace:
        for name in PROTECTED_NAMES:
            path = os.path.join(root, name)
            try:
                found = os.lstat(path)
            except OSError:
                absent.append(path)
                continue
            if is_placeholder(path):
                absent.append(path)
                continue
            pinned.append(path)
            if stat.S_ISLNK(found.st_mode):
                links.append(path)
                pinned.append(os.path.realpath(path))
            if name == ".git":
                pinned += git_folders(path)
    pinned += (os.path.realpath(path) for path in confinement.untouched)
    inside = [path for path in pinned if os.path.lexists(path) and any(is_below(path, root) for root in writable)]
    hidden = [os.path.realpath(path) for path in confinement.hidden if os.path.exists(path)]
    return Ground(
        writable=writable,
        hidden=in_order(hidden),
        hidden_files=frozenset(path for path in hidden if not os.path.isdir(path)),
        pinned=in_order(inside),
        links=frozenset(links),
        absent=in_order(path for path in absent if os.path.isdir(os.path.dirname(path))),
    )


def git_folders(path: str) -> tuple[str, ...]:
    """Where a `.git` that is a file points to (a worktree, a submodule), and the repository behind it."""
    pointer = read_pointer(path)
    if pointer is None or not pointer.startswith(GITDIR):
        return ()
    folder = os.path.realpath(os.path.join(os.path.dirname(path), os.fsdecode(pointer[len(GITDIR) :].strip())))
    common = read_pointer(os.path.join(folder, "commondir"))
    if common is None:
        return (folder,)
    return (folder, os.path.realpath(os.path.join(folder, os.fsdecode(common.strip()))))


def read_pointer(path: str) -> bytes | None:
    """The first line of a small regular file; None when it is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.read(fd, POINTER_BYTES_MAX).partition(b"\n")[0]
    except OSError:
        return None
    finally:
        os.close(fd)
