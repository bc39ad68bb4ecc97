"""A worker's end of its socket."""

from __future__ import annotations

import os

from .protocol import LENGTH, REQUEST_BYTES


def read_frame(fd: int) -> bytes:
    """The next frame; b"" at the end. Raises OSError."""
    head = _read_exactly(fd, LENGTH.size)
    if not head:
        return b""
    (length,) = LENGTH.unpack(head)
    return _read_exactly(fd, min(length, REQUEST_BYTES))


def write_frame(fd: int, frame: bytes) -> None:
    """Raises OSError."""
    rest = memoryview(LENGTH.pack(len(frame)) + frame)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read_exactly(fd: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0:
        part = os.read(fd, min(length, 1 << 20))
        if not part:
            return b""
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
