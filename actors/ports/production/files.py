"""The file system of the operating system. Blocking: call inside `Threads.run`.

What "survives power loss" takes on a Unix file system: a file's data is safe after fdatasync, its *name* only after an
fsync of the directory that holds it. So the first datasync of a file that `open_append` created, and every
`write_atomic`, `make_dirs` and `rename`, sync the directory too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile

from actors.ports.files import OWNER_ONLY, AppendFile, DirEntry, FileKind, FileStat

READ_PIECE_BYTES = 1 << 20
"""Read in pieces of a megabyte: a file that grows meanwhile is read to its end, a limit is never overshot."""


class DescriptorFile:
    """The `AppendFile` of the port."""

    def __init__(self, descriptor: int, *, unsynced_directory: str | None = None) -> None:
        self._descriptor = descriptor
        self._unsynced_directory = unsynced_directory

    def write(self, data: bytes) -> None:
        """See `actors.ports.files.AppendFile`. A nearly full disk takes a part first: the loop then meets ENOSPC."""
        written = os.write(self._descriptor, data)
        if written < len(data):
            with memoryview(data) as view:
                while written < len(view):
                    written += os.write(self._descriptor, view[written:])

    def datasync(self) -> None:
        os.fdatasync(self._descriptor)
        if self._unsynced_directory is not None:
            sync_directory(self._unsynced_directory)
            self._unsynced_directory = None

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def truncate(self, length: int) -> None:
        os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class SystemFiles:
    """The `Files` port."""

    def open_append(self, path: str, *, mode: int = OWNER_ONLY) -> AppendFile:
        """See `actors.ports.files.Files`."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        try:
            return DescriptorFile(os.open(path, flags))
        except FileNotFoundError:
            descriptor = os.open(path, flags | os.O_CREAT, mode)
            return DescriptorFile(descriptor, unsynced_directory=os.path.dirname(path))

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        """See `actors.ports.files.Files`.

        O_NONBLOCK changes nothing about files; what only looks like one (a pipe that took a file's place, /proc/kmsg)
        raises instead of holding a thread that nobody could end. O_NOCTTY: a terminal is not made ours.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if start:
                os.lseek(descriptor, start, os.SEEK_SET)
            pieces: list[bytes] = []
            left = limit
            while left is None or left > 0:
                piece = os.read(descriptor, READ_PIECE_BYTES if left is None else min(left, READ_PIECE_BYTES))
                if not piece:
                    break
                pieces.append(piece)
                if left is not None:
                    left -= len(piece)
            return b"".join(pieces)
        finally:
            os.close(descriptor)

    def write_atomic(self, path: str, data: bytes, *, mode: int = OWNER_ONLY) -> None:
        """See `actors.ports.files.Files`. Through a temporary file beside it: a rename within a directory is atomic."""
        directory = os.path.dirname(path)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".tmp", dir=directory)
        try:
            try:
                os.fchmod(descriptor, mode)
                with memoryview(data) as view:
                    written = 0
                    while written < len(view):
                        written += os.write(descriptor, view[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(directory)

    def write(self, path: str, data: bytes) -> None:
        """See `actors.ports.files.Files`."""
        with open(path, "wb") as file:
            file.write(data)

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        """See `actors.ports.files.Files`. A dangling symlink, followed, is nothing."""
        try:
            status = os.stat(path, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileStat(
            kind=_kind(status.st_mode),
            size=status.st_size,
            modified_at=status.st_mtime,
            mode=stat.S_IMODE(status.st_mode),
        )

    def list_dir(self, path: str) -> tuple[DirEntry, ...]:
        """See `actors.ports.files.Files`."""
        with os.scandir(path) as entries:
            found = [DirEntry(name=entry.name, kind=_entry_kind(entry)) for entry in entries]
        found.sort(key=lambda entry: entry.name)
        return tuple(found)

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:
        """See `actors.ports.files.Files`. Every directory made gets ``mode``, not only the last."""
        missing: list[str] = []
        while path and not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another made it meanwhile
                os.mkdir(directory, mode)
                sync_directory(os.path.dirname(directory))
            if not os.path.isdir(directory):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)

    def resolve(self, path: str) -> str:
        """See `actors.ports.files.Files`."""
        return os.path.realpath(path)

    def read_link(self, path: str) -> str:
        """See `actors.ports.files.Files`."""
        return os.readlink(path)

    def rename(self, source: str, destination: str) -> None:
        """See `actors.ports.files.Files`. Durable on return."""
        os.replace(source, destination)
        directories = {os.path.dirname(source), os.path.dirname(destination)}
        for directory in sorted(directories):
            sync_directory(directory)

    def remove(self, path: str) -> None:
        """See `actors.ports.files.Files`. Power loss may bring it back."""
        os.unlink(path)

    def remove_dir(self, path: str) -> None:
        """See `actors.ports.files.Files`. Power loss may bring it back."""
        os.rmdir(path)

    def lock(self, path: str) -> AppendFile | None:
        """See `actors.ports.files.Files`. flock(2): the kernel lets go of it however the process ends."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return DescriptorFile(descriptor)


def sync_directory(path: str) -> None:
    """Make the names in a directory durable. Some file systems (network, FUSE) refuse: then there is no more to do."""
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a directory one may write to but not read
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _kind(mode: int) -> FileKind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    return "other"


def _entry_kind(entry: os.DirEntry[str]) -> FileKind:
    if entry.is_symlink():
        return "symlink"
    if entry.is_file(follow_symlinks=False):
        return "file"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "other"
