"""Files as a thread may see them whose permission profile keeps some from being read. Pure.

Commands are kept from them by the sandbox; tools that read in the daemon go through here instead. Every verb follows
the path's symbolic links first, so that another name is no way around.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from actors.ports.files import OWNER_ONLY, AppendFile, DirEntry, Files, FileStat
from actors.tool_worker.confinement.ground import is_below

T = TypeVar("T")

REASON = "the permission profile keeps it from being read"


class VeiledFiles:
    """The port, but for some paths. Each verb raises PermissionError for one of those, or what is in it."""

    def __init__(self, files: Files, hidden: tuple[str, ...]) -> None:
        self._files = files
        self._hidden = hidden

    def _seen(self, path: str, verb: Callable[[], T]) -> T:
        real = self._files.resolve(path)
        for hidden in self._hidden:
            if is_below(path, hidden) or is_below(real, self._files.resolve(hidden)):
                raise PermissionError(errno.EACCES, REASON, path)
        return verb()

    def open_append(self, path: str, *, mode: int = OWNER_ONLY) -> AppendFile:
        return self._seen(path, lambda: self._files.open_append(path, mode=mode))

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        return self._seen(path, lambda: self._files.read(path, start=start, limit=limit))

    def write_atomic(self, path: str, data: bytes, *, mode: int = OWNER_ONLY) -> None:
        self._seen(path, lambda: self._files.write_atomic(path, data, mode=mode))

    def write(self, path: str, data: bytes) -> None:
        self._seen(path, lambda: self._files.write(path, data))

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        return self._seen(path, lambda: self._files.stat(path, follow=follow))

    def list_dir(self, path: str) -> tuple[DirEntry, ...]:
        return self._seen(path, lambda: self._files.list_dir(path))

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:
        self._seen(path, lambda: self._files.make_dirs(path, mode=mode))

    def resolve(self, path: str) -> str:
        return self._files.resolve(path)

    def read_link(self, path: str) -> str:
        return self._seen(path, lambda: self._files.read_link(path))

    def rename(self, source: str, destination: str) -> None:
        self._seen(source, lambda: self._seen(destination, lambda: self._files.rename(source, destination)))

    def remove(self, path: str) -> None:
        self._seen(path, lambda: self._files.remove(path))

    def remove_dir(self, path: str) -> None:
        self._seen(path, lambda: self._files.remove_dir(path))

    def lock(self, path: str) -> AppendFile | None:
        return self._seen(path, lambda: self._files.lock(path))
