"""Where the values behind handles are: one file each, named by its content, in a folder beside the thread's rollout.

    rollout-2026-11-21T08-00-00-<thread id>.jsonl
    rollout-2026-11-21T08-00-00-<thread id>.handles/text-0f343b0931126a20f133d67c2b018a3b

A value is on disk, durably, before anybody is told of it, so what the log says of a handle is true after any crash. A
file is never changed. A thread keeps a bounded number of bytes; beyond that nothing is thrown away, because a model may
still hold any handle it was given: keeping another is refused, with the reason. When a rollout is gone, its handles go
at the daemon's next start (`sweep`).

A thread that is not on disk keeps nothing.
"""

from __future__ import annotations

import contextlib
import posixpath

import trio

from actors.ports import Files, Ports
from actors.rollout_writer.handles import (
    BYTES_PER_CHARACTER,
    HandleError,
    bounds,
    down_to_character,
    handle_of,
    name_of,
    type_of,
)
from actors.rollout_writer.paths import handles_folder
from messages.handle import Handle, HandleType, Slice

VALUE_BYTES_MAX = 16 * 1024 * 1024
"""Of one value: as much as a client's tool can answer in one frame."""

THREAD_BYTES_MAX = 128 * 1024 * 1024
"""Of all values of a thread: some dozens of large ones. It bounds what a model can fill a disk with unasked."""

THREAD_VALUES_MAX = 512
"""Files in one folder: a look at all of them (each time one is kept) stays a matter of milliseconds."""

SLICE_BYTES = 128 * 1024
"""Of one slice: as much as a script may return. Escaped in the worst way it still fits a call's result."""

FOLDER_MODE = 0o700
"""As the rollout: nobody else's business."""

NOWHERE = "this thread is not kept on disk, so it has no handles"


class HandleStore:
    """Of one thread; whoever keeps values uses the same object. ``rollout``: the path of its rollout."""

    def __init__(self, ports: Ports, rollout: str) -> None:
        self._ports = ports
        self._folder = handles_folder(rollout)
        self._limiter = trio.CapacityLimiter(1)  # counting and writing are one step

    async def keep(self, data: bytes, type_: HandleType, media_type: str | None = None) -> Handle:
        """Keep a value, durably. Raises HandleError when it cannot be kept; nothing of it is then."""
        return await self._ports.threads.run(self._keep, data, type_, media_type, limiter=self._limiter)

    async def read(self, name: str, start: int | None, end: int | None, *, most: int, cut: bool) -> Slice:
        """See `read_slice`."""
        return await self._ports.threads.run(lambda: self.read_now(name, start, end, most=most, cut=cut))

    def read_now(self, name: str, start: int | None, end: int | None, *, most: int, cut: bool) -> Slice:
        """The same, blocking."""
        return read_slice(self._ports.files, self._folder, name, start, end, most=most, cut=cut)

    def _keep(self, data: bytes, type_: HandleType, media_type: str | None) -> Handle:
        if len(data) > VALUE_BYTES_MAX:
            raise HandleError(f"it has {len(data)} bytes, and at most {VALUE_BYTES_MAX} are kept of one value")
        files, folder = self._ports.files, self._folder
        name = name_of(data, type_)
        path = posixpath.join(folder, name)
        try:
            files.make_dirs(folder, mode=FOLDER_MODE)
            sizes = _sizes(files, folder)
            if name not in sizes:
                held = sum(sizes.values())
                if held + len(data) > THREAD_BYTES_MAX or len(sizes) >= THREAD_VALUES_MAX:
                    raise HandleError(
                        f"it has {len(data)} bytes, and the thread keeps {len(sizes)} large values of {held} bytes "
                        f"already; at most {THREAD_VALUES_MAX} of {THREAD_BYTES_MAX} bytes in all"
                    )
                files.write_atomic(path, data)
        except OSError as error:
            raise HandleError(f"it has {len(data)} bytes and cannot be kept on disk: {error.strerror}") from error
        return handle_of(data, type_, media_type)


def _sizes(files: Files, folder: str) -> dict[str, int]:
    """Of the values in a folder, by name. What a crash left half written goes: nobody else is writing."""
    sizes: dict[str, int] = {}
    for entry in files.list_dir(folder):
        path = posixpath.join(folder, entry.name)
        try:
            type_of(entry.name)
        except HandleError:
            if entry.name.endswith(".tmp"):
                files.remove(path)
            continue
        stat = files.stat(path)
        if stat is not None:
            sizes[entry.name] = stat.size
    return sizes


def read_slice(
    files: Files, folder: str, name: str, start: int | None, end: int | None, *, most: int, cut: bool
) -> Slice:
    """A part of a kept value, of text in whole characters. Blocking. Raises HandleError.

    See `handles.bounds` for ``start``, ``end``, ``most`` and ``cut``.
    """
    type_ = type_of(name)
    path = posixpath.join(folder, name)
    try:
        stat = files.stat(path)
        if stat is None or stat.kind != "file":
            raise HandleError(f"there is no {name} in this thread; a handle belongs to the thread it was made in")
        first, last = bounds(stat.size, start, end, most=most, cut=cut)
        if type_ == "bytes":
            data = files.read(path, start=first, limit=last - first)
            return Slice(type=type_, size=stat.size, start=first, end=first + len(data), data=data)
        below = max(first - BYTES_PER_CHARACTER, 0)
        window = files.read(path, start=below, limit=last + 1 - below)
    except OSError as error:
        raise HandleError(f"{name} cannot be read: {error.strerror}") from error
    begin, until = (down_to_character(window, at - below) for at in (first, last))
    return Slice(type=type_, size=stat.size, start=below + begin, end=below + until, data=window[begin:until])


def sweep(files: Files, folder: str) -> None:
    """Remove the handles of a thread that is gone. Blocking. What cannot be removed stays, and costs only its room."""
    with contextlib.suppress(OSError):
        for entry in files.list_dir(folder):
            files.remove(posixpath.join(folder, entry.name))
        files.remove_dir(folder)
