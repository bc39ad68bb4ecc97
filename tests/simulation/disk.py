"""Storage: what the running system sees (the page cache), and what would be left after power loss.

A file's data is durable up to its last datasync, a name once its directory was synced; which of our file verbs do that
is told in `actors.ports.production.files`, and the same holds here. On `power_loss` everything that is not durable may
or may not be there, as the seed says: an appended tail survives up to some byte, a rewritten file is old, new, or cut.
"""

from __future__ import annotations

import errno
import os
import posixpath
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from actors.ports.files import FileKind

MAX_SYMLINKS = 40
"""Followed in one path, as in Linux; then ELOOP."""


@dataclass(eq=False, slots=True)
class Node:
    """A file, directory or symlink, whatever its names are."""

    kind: FileKind
    mode: int
    modified_at: float = 0.0
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    target: str = ""
    locked_by: object = None


def failure(number: int, path: str) -> OSError:
    """An OSError as the operating system would raise it."""
    return OSError(number, os.strerror(number), path)


class Disk:
    """All files of the simulated machine."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"{seed}/disk")
        self.names: dict[str, Node] = {"/": Node("directory", 0o755)}
        self.durable_names: dict[str, Node] = dict(self.names)
        self.capacity: int | None = None
        """Bytes in all files together; a write beyond it is cut and fails with ENOSPC. None: no limit."""
        self.unwritable: set[str] = set()
        """Directories in which nothing can be created, renamed or removed, and files that cannot be written."""
        self.before: Callable[[str, str], None] | None = None
        """Called with (verb, path) before each verb; may raise OSError to make it fail."""
        self.make_dirs("/tmp", 0o777)

    # --- for testers ------------------------------------------------------------------------------------------------

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A file that has been there, durably."""
        self.make_dirs(posixpath.dirname(path))
        self.names[path] = self.durable_names[path] = Node("file", mode, data=bytearray(data), durable=bytes(data))

    def get(self, path: str) -> bytes:
        """What a reader would see now."""
        return bytes(self.file_at(path).data)

    def symlink(self, path: str, target: str) -> None:
        """A symbolic link."""
        self.make_dirs(posixpath.dirname(path))
        self.names[path] = self.durable_names[path] = Node("symlink", 0o777, target=target)

    def paths(self, under: str = "/") -> tuple[str, ...]:
        """All files below a directory."""
        prefix = under.rstrip("/") + "/"
        return tuple(sorted(p for p, node in self.names.items() if node.kind == "file" and p.startswith(prefix)))

    def power_loss(self) -> None:
        """Only what is durable is certain to survive."""
        rng = self._random
        for path in sorted(self.names.keys() | self.durable_names.keys()):
            now, safe = self.names.get(path), self.durable_names.get(path)
            if now is not safe and rng.random() < 0.5:
                # This change of names happened to reach the disk.
                if now is None:
                    del self.durable_names[path]
                else:
                    self.durable_names[path] = now
        # A name whose directory is lost is lost too.
        self.names = {path: node for path, node in self.durable_names.items() if self._has_parents(path)}
        self.durable_names = dict(self.names)
        for _, node in sorted(self.names.items()):
            node.locked_by = None
            if node.kind == "file":
                node.data = bytearray(self._survivor(node))
                node.durable = bytes(node.data)

    def _has_parents(self, path: str) -> bool:
        while path != "/":
            path = posixpath.dirname(path)
            node = self.durable_names.get(path)
            if node is None or node.kind != "directory":
                return False
        return True

    def _survivor(self, node: Node) -> bytes:
        """What was synced and is still there as it was is safe: no file system loses blocks that nobody has written."""
        current = bytes(node.data)
        whole = current.startswith(node.durable)
        safe = len(node.durable) if whole else len(posixpath.commonprefix([current, node.durable]))
        if safe < len(node.durable) and self._random.random() < 0.4:
            return node.durable  # it was truncated, or written anew in place, and none of that reached the disk
        return current[: self._random.randint(safe, len(current))]

    # --- the tree ---------------------------------------------------------------------------------------------------

    def check(self, verb: str, path: str) -> None:
        """Let the tester's hook make the verb fail."""
        if self.before is not None:
            self.before(verb, path)

    def real(self, path: str, *, follow_last: bool = True) -> str:
        """The path without symlinks; parts that do not exist stay as they are. Raises OSError for a loop."""
        if not path.startswith("/"):
            raise ValueError(f"paths are absolute in this port: {path!r}")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        done = "/"
        links = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = posixpath.join(done, part)
            node = self.names.get(here)
            if node is not None and node.kind == "symlink" and (parts or follow_last):
                links += 1
                if links > MAX_SYMLINKS:
                    raise failure(errno.ELOOP, path)
                parts = [p for p in node.target.split("/") if p not in ("", ".")] + parts
                done = "/" if node.target.startswith("/") else done
                continue
            done = here
        return done

    def require_parent(self, real: str) -> None:
        """Raises FileNotFoundError or NotADirectoryError as open(2) would."""
        parent = posixpath.dirname(real)
        node = self.names.get(parent)
        if node is None:
            if parent != "/":
                self.require_parent(parent)
            raise failure(errno.ENOENT, real)
        if node.kind != "directory":
            raise failure(errno.ENOTDIR, real)

    def file_at(self, path: str) -> Node:
        """The file a path leads to."""
        real = self.real(path)
        node = self.names.get(real)
        if node is None:
            self.require_parent(real)
            raise failure(errno.ENOENT, path)
        if node.kind == "directory":
            raise failure(errno.EISDIR, path)
        return node

    def require_writable(self, real: str) -> None:
        """Raises PermissionError in what the tester made unwritable."""
        if real in self.unwritable or posixpath.dirname(real) in self.unwritable:
            raise failure(errno.EACCES, real)

    def make_dirs(self, path: str, mode: int = 0o755) -> None:
        """Durable, as the port's."""
        if path != "/":
            self.make_dirs(posixpath.dirname(path), mode)
        node = self.names.get(path)
        if node is None:
            self.require_writable(path)
            self.names[path] = self.durable_names[path] = Node("directory", mode)
        elif node.kind != "directory":
            raise failure(errno.EEXIST, path)

    def room(self) -> int | None:
        """Bytes that still fit; None: any number."""
        if self.capacity is None:
            return None
        return max(0, self.capacity - sum(len(node.data) for node in set(self.names.values())))

    def prefix_length(self, length: int) -> int:
        """How much of a write of ``length`` bytes a kill in its middle lets through."""
        return self._random.randint(0, length)
