"""Disks that misbehave on demand, over the real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

import trio

from actors.ports import Ports, Threads
from actors.ports.files import OWNER_ONLY, AppendFile
from actors.ports.production import SystemClock, SystemEntropy, SystemFiles

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TroubledFile:
    """Counts what is done to a file, and fails as its disk says."""

    def __init__(self, disk: TroubledDisk, path: str, file: AppendFile) -> None:
        self._disk = disk
        self._path = path
        self._file = file

    def write(self, data: bytes) -> None:
        disk = self._disk
        disk.calls.append(("write", self._path))
        if disk.before_write is not None:
            disk.before_write()
        if disk.room is not None and len(data) > disk.room:
            self._file.write(data[: disk.room])
            disk.room = 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if disk.room is not None:
            disk.room -= len(data)
        self._file.write(data)

    def datasync(self) -> None:
        self._disk.calls.append(("sync", self._path))
        if self._disk.bad_sync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._file.datasync()

    def size(self) -> int:
        return self._file.size()

    def truncate(self, length: int) -> None:
        if self._disk.bad_truncate:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._file.truncate(length)

    def close(self) -> None:
        self._disk.calls.append(("close", self._path))
        self._file.close()


class TroubledDisk(SystemFiles):
    """``room``: bytes until it is full, None for plenty."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.room: int | None = None
        self.bad_sync = False
        self.bad_truncate = False
        self.before_write: Callable[[], None] | None = None

    def open_append(self, path: str, *, mode: int = OWNER_ONLY) -> AppendFile:
        file = TroubledFile(self, path, super().open_append(path, mode=mode))
        self.calls.append(("open", path))
        return file

    def times(self, what: str) -> int:
        return sum(call == what for call, _ in self.calls)


class InlineThreads:
    """The threads port without threads: with a virtual clock nothing then happens by itself."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        await trio.lowlevel.checkpoint()
        if limiter is None:
            return work(*args)
        async with limiter:
            return work(*args)


def ports(disk: SystemFiles | None = None, *, threads: Threads | None = None) -> Ports:
    """Ports with the real clock and disk, without threads, network or processes."""
    nothing: Any = None
    return Ports(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        threads=threads or InlineThreads(),
        files=disk or SystemFiles(),
        network=nothing,
        processes=nothing,
    )
