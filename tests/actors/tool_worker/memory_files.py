"""A file system in a dict, for the pure parts of the tools: files are bytes, directories follow from their names."""

from __future__ import annotations

import errno
import posixpath

from actors.ports.files import DirEntry, FileStat


class MemoryFiles:
    """The verbs the tools use. ``folders`` are directories without files; ``broken`` paths refuse to be written."""

    def __init__(
        self,
        files: dict[str, bytes] | None = None,
        *,
        folders: tuple[str, ...] = (),
        pipes: tuple[str, ...] = (),
        broken: tuple[str, ...] = (),
    ) -> None:
        self.files = dict(files or {})
        self.folders = {"/", *folders}
        self.pipes = set(pipes)
        self.broken = set(broken)

    def _is_folder(self, path: str) -> bool:
        prefix = path.rstrip("/") + "/"
        return path in self.folders or any(name.startswith(prefix) for name in (*self.files, *self.folders))

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        if self._is_folder(path):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return self.files[path][start : None if limit is None else start + limit]

    def write(self, path: str, data: bytes) -> None:
        if path in self.broken:
            raise PermissionError(errno.EACCES, "Permission denied")
        if self._is_folder(path):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if not self._is_folder(posixpath.dirname(path)):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        self.files[path] = data

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        if path in self.pipes:
            return FileStat(kind="other", size=0, modified_at=0.0)
        if path in self.files:
            return FileStat(kind="file", size=len(self.files[path]), modified_at=0.0)
        if self._is_folder(path):
            return FileStat(kind="directory", size=0, modified_at=0.0)
        return None

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:
        while path != "/":
            if path in self.files:
                raise FileExistsError(errno.EEXIST, "File exists")
            self.folders.add(path)
            path = posixpath.dirname(path)

    def read_link(self, path: str) -> str:
        raise OSError(errno.EINVAL, "Invalid argument")  # there are none

    def rename(self, source: str, destination: str) -> None:
        self.files[destination] = self.files.pop(source)

    def remove(self, path: str) -> None:
        del self.files[path]

    def list_dir(self, path: str) -> tuple[DirEntry, ...]:
        if path in self.broken:
            raise PermissionError(errno.EACCES, "Permission denied")
        if not self._is_folder(path):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        prefix = path.rstrip("/") + "/"
        names: dict[str, DirEntry] = {}
        for full in (*self.files, *self.folders, *self.pipes):
            if full.startswith(prefix) and full != prefix:
                name, _, rest = full.removeprefix(prefix).partition("/")
                found = self.stat(prefix + name)
                assert found is not None, rest
                names[name] = DirEntry(name=name, kind=found.kind)
        return tuple(names[name] for name in sorted(names))
