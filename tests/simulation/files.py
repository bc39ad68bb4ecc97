"""The `Files` port on the simulated disk."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable

from actors.ports.files import OWNER_ONLY, AppendFile, DirEntry, FileStat
from tests.simulation.disk import Disk, Node, failure
from tests.simulation.life import Life, digest


class SimAppendFile:
    """An open file: it is the node, whatever happens to the name."""

    def __init__(self, files: SimFiles, path: str, node: Node) -> None:
        self._files = files
        self._path = path
        self._node = node
        self._open = True

    def write(self, data: bytes) -> None:
        disk, node, life = self._files.disk, self._node, self._files.life
        self._check("write")
        if self._path in disk.unwritable:
            raise failure(errno.EACCES, self._path)

        def torn() -> None:
            node.data += data[: disk.prefix_length(len(data))]

        life.effect("append", f"{self._path} {digest(data)}", torn=torn)
        room = disk.room()
        node.modified_at = self._files.unix_time()
        if room is not None and room < len(data):
            node.data += data[:room]
            raise failure(errno.ENOSPC, self._path)
        node.data += data

    def datasync(self) -> None:
        self._check("datasync")
        self._files.life.effect("datasync", f"{self._path} {len(self._node.data)}b")
        self._node.durable = bytes(self._node.data)
        for path, node in self._files.disk.names.items():
            if node is self._node:
                self._files.disk.durable_names[path] = node

    def size(self) -> int:
        self._check("size")
        return len(self._node.data)

    def truncate(self, length: int) -> None:
        self._check("truncate")
        self._files.life.effect("truncate", f"{self._path} {length}b")
        del self._node.data[length:]
        self._node.data += bytes(length - len(self._node.data))

    def close(self) -> None:
        self._files.life.check()
        if self._open:
            self._open = False
            if self._node.locked_by is self:
                self._node.locked_by = None

    def _check(self, verb: str) -> None:
        self._files.life.check()
        if not self._open:
            raise failure(errno.EBADF, self._path)
        self._files.disk.check(verb, self._path)


class SimFiles:
    """See `actors.ports.files.Files`."""

    def __init__(self, life: Life, disk: Disk, unix_time: Callable[[], float]) -> None:
        self.life = life
        self.disk = disk
        self.unix_time = unix_time

    def open_append(self, path: str, *, mode: int = OWNER_ONLY) -> AppendFile:
        return self._open("open_append", path, mode)

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        self._begin("read", path)
        data = self.disk.file_at(path).data
        return bytes(data[start:] if limit is None else data[start : start + limit])

    def write_atomic(self, path: str, data: bytes, *, mode: int = OWNER_ONLY) -> None:
        self._begin("write_atomic", path)
        # A rename replaces a symlink; it does not follow it.
        real = posixpath.join(self.disk.real(posixpath.dirname(path)), posixpath.basename(path))
        self.disk.require_parent(real)
        self.disk.require_writable(real)
        old = self.disk.names.get(real)
        if old is not None and old.kind == "directory":
            raise failure(errno.EISDIR, path)
        room = self.disk.room()
        if room is not None and room < len(data):
            raise failure(errno.ENOSPC, path)
        self.life.effect("write_atomic", f"{real} {digest(data)}")
        node = Node("file", mode, self.unix_time(), bytearray(data), bytes(data))
        self.disk.names[real] = self.disk.durable_names[real] = node

    def write(self, path: str, data: bytes) -> None:
        self._begin("write", path)
        real = self.disk.real(path)
        node = self.disk.names.get(real)
        if node is None:
            self.disk.require_parent(real)
        elif node.kind == "directory":
            raise failure(errno.EISDIR, path)
        self.disk.require_writable(real)
        node = node or Node("file", 0o644)
        written = data

        def put(length: int) -> None:
            self.disk.names[real] = node
            node.data = bytearray(written[:length])
            node.modified_at = self.unix_time()

        self.life.effect("write", f"{real} {digest(data)}", torn=lambda: put(self.disk.prefix_length(len(written))))
        put(0)
        room = self.disk.room()
        if room is not None and room < len(data):
            put(room)
            raise failure(errno.ENOSPC, path)
        put(len(data))

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        self._begin("stat", path)
        node = self.disk.names.get(self.disk.real(path, follow_last=follow))
        if node is None:
            return None
        return FileStat(
            kind=node.kind,
            size=len(node.target) if node.kind == "symlink" else len(node.data),
            modified_at=node.modified_at,
            mode=node.mode,
        )

    def list_dir(self, path: str) -> tuple[DirEntry, ...]:
        self._begin("list_dir", path)
        real = self.disk.real(path)
        node = self.disk.names.get(real)
        if node is None:
            raise failure(errno.ENOENT, path)
        if node.kind != "directory":
            raise failure(errno.ENOTDIR, path)
        return tuple(
            DirEntry(name=posixpath.basename(name), kind=node.kind)
            for name, node in sorted(self.disk.names.items())
            if name != "/" and posixpath.dirname(name) == real
        )

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:
        self._begin("make_dirs", path)
        real = self.disk.real(path)
        node = self.disk.names.get(real)
        if node is None or node.kind != "directory":
            self.life.effect("make_dirs", real)
            self.disk.make_dirs(real, mode)

    def resolve(self, path: str) -> str:
        self._begin("resolve", path)
        return self.disk.real(path)

    def read_link(self, path: str) -> str:
        self._begin("read_link", path)
        node = self.disk.names.get(self.disk.real(path, follow_last=False))
        if node is None:
            raise failure(errno.ENOENT, path)
        if node.kind != "symlink":
            raise failure(errno.EINVAL, path)
        return node.target

    def rename(self, source: str, destination: str) -> None:
        self._begin("rename", source)
        old = self.disk.real(source, follow_last=False)
        new = self.disk.real(destination, follow_last=False)
        if old not in self.disk.names:
            raise failure(errno.ENOENT, source)
        self.disk.require_parent(new)
        self.disk.require_writable(old)
        self.disk.require_writable(new)
        self.life.effect("rename", f"{old} {new}")
        names, durable = self.disk.names, self.disk.durable_names
        for path in [p for p in names if p == old or p.startswith(old + "/")]:
            moved = new + path[len(old) :]
            names[moved] = durable[moved] = names.pop(path)
            durable.pop(path, None)

    def remove(self, path: str) -> None:
        self._begin("remove", path)
        real = self.disk.real(path, follow_last=False)
        node = self.disk.names.get(real)
        if node is None:
            raise failure(errno.ENOENT, path)
        if node.kind == "directory":
            raise failure(errno.EISDIR, path)
        self.disk.require_writable(real)
        self.life.effect("remove", real)
        del self.disk.names[real]

    def remove_dir(self, path: str) -> None:
        self._begin("remove_dir", path)
        real = self.disk.real(path, follow_last=False)
        node = self.disk.names.get(real)
        if node is None:
            raise failure(errno.ENOENT, path)
        if node.kind != "directory":
            raise failure(errno.ENOTDIR, path)
        if any(name.startswith(f"{real}/") for name in self.disk.names):
            raise failure(errno.ENOTEMPTY, path)
        self.life.effect("remove_dir", real)
        del self.disk.names[real]

    def lock(self, path: str) -> AppendFile | None:
        handle = self._open("lock", path, OWNER_ONLY)
        node = handle._node
        if node.locked_by is not None:
            return None
        node.locked_by = handle

        def let_go() -> None:
            if node.locked_by is handle:
                node.locked_by = None

        self.life.on_unplug[handle] = let_go
        return handle

    def _open(self, verb: str, path: str, mode: int) -> SimAppendFile:
        self._begin(verb, path)
        real = self.disk.real(path)
        node = self.disk.names.get(real)
        if node is None:
            self.disk.require_parent(real)
            self.disk.require_writable(real)
            self.life.effect("create", real)
            node = self.disk.names[real] = Node("file", mode, self.unix_time())
        elif node.kind == "directory":
            raise failure(errno.EISDIR, path)
        elif real in self.disk.unwritable:
            raise failure(errno.EACCES, path)
        return SimAppendFile(self, real, node)

    def _begin(self, verb: str, path: str) -> None:
        self.life.check()
        self.disk.check(verb, path)
