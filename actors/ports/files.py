"""The file system, as blocking verbs: call them inside `Threads.run`.

All raise OSError as the operating system words it. Paths are absolute strings.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

FileKind = Literal["file", "directory", "symlink", "other"]

OWNER_ONLY = 0o600
"""Rollouts, tokens and settings are nobody else's business."""


class FileStat(msgspec.Struct, frozen=True, kw_only=True):
    """What `stat` and `list_dir` tell of one path."""

    kind: FileKind
    size: int
    modified_at: float
    mode: int = 0o644


class DirEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One name in a directory; a symlink is not followed."""

    name: str
    kind: FileKind


class AppendFile(Protocol):
    """A file that only grows at its end (apart from `truncate`, which cuts off a torn tail)."""

    def write(self, data: bytes) -> None:
        """Append all of ``data`` and hand it to the operating system. Raises OSError; part of it may be in the file."""
        ...

    def datasync(self) -> None:
        """Return when all that was written survives power loss."""
        ...

    def size(self) -> int:
        """The length in bytes."""
        ...

    def truncate(self, length: int) -> None:
        """Cut to ``length`` bytes."""
        ...

    def close(self) -> None:
        """Close; later calls raise OSError."""
        ...


class Files(Protocol):
    """The verbs the daemon needs, no more."""

    def open_append(self, path: str, *, mode: int = OWNER_ONLY) -> AppendFile:
        """Open for appending, creating the file (not its parents)."""
        ...

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        """Bytes from ``start``, at most ``limit``. Never waits for somebody to write."""
        ...

    def write_atomic(self, path: str, data: bytes, *, mode: int = OWNER_ONLY) -> None:
        """Replace the whole file, durably: a reader sees the old or the new, also after power loss."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or overwrite in place, keeping an existing file's mode and links, as an editor would."""
        ...

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        """None when there is nothing at ``path``."""
        ...

    def list_dir(self, path: str) -> tuple[DirEntry, ...]:
        """The entries of a directory, sorted by name."""
        ...

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:
        """Create a directory and its parents; existing ones are fine."""
        ...

    def resolve(self, path: str) -> str:
        """The path with every symlink followed; parts that do not exist stay as they are."""
        ...

    def read_link(self, path: str) -> str:
        """What a symlink says, as it was written."""
        ...

    def rename(self, source: str, destination: str) -> None:
        """Move, replacing the destination."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file or a symlink."""
        ...

    def remove_dir(self, path: str) -> None:
        """Remove an empty directory."""
        ...

    def lock(self, path: str) -> AppendFile | None:
        """Take an exclusive advisory lock on ``path`` until the returned handle is closed; None if another has it."""
        ...
