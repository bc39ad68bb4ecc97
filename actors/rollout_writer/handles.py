"""Handles: how kept values are named, cut and previewed. Pure; the files are `handle_store`'s.

A name is ``<type>-<128 bits of SHA-256>``: the same content is kept once, a name cannot be a path, and nothing but the
file has to be written to know what a handle is. Offsets are bytes, because a size is, and because a slice of a large
text can then be read without reading what is in front of it. Of text, both ends of a slice are moved *down* to where a
character begins. So slices that meet at an offset never lose or repeat anything, wherever that offset is.

Rejected: offsets in characters (every read would have to count from the beginning), names that are counted (a replay
would have to count the same), and a table in the log of what is kept (it could disagree with the files).
"""

from __future__ import annotations

import hashlib
import re
from typing import get_args

from messages.handle import Handle, HandleType

PREVIEW_CHARACTERS = 1_000
"""Enough to tell what it is; it is told to models, who pay for it."""

BYTES_PER_CHARACTER = 4
"""In UTF-8, at most."""

_NAME = re.compile(rf"({'|'.join(get_args(HandleType))})-[0-9a-f]{{32}}")


class HandleError(Exception):
    """The text is for whoever asked: a script, a model, a client."""


def name_of(data: bytes, type_: HandleType) -> str:
    """What this value is called, and its file."""
    return f"{type_}-{hashlib.sha256(data).hexdigest()[:32]}"


def type_of(name: str) -> HandleType:
    """Raises HandleError for what is no handle's name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise HandleError(f"{name[:80]!r} is no handle: they look like text-0123…, as they were given")
    found: HandleType = next(each for each in get_args(HandleType) if each == match[1])
    return found


def handle_of(data: bytes, type_: HandleType, media_type: str | None = None) -> Handle:
    """What stands for this value."""
    if type_ == "bytes":
        preview = f"{media_type or 'bytes'}, {len(data)} bytes"
    else:
        end = down_to_character(data, min(PREVIEW_CHARACTERS * BYTES_PER_CHARACTER, len(data)))
        preview = data[:end].decode()[:PREVIEW_CHARACTERS]
    return Handle(handle=name_of(data, type_), size=len(data), type=type_, preview=preview, media_type=media_type)


def down_to_character(window: bytes, at: int) -> int:
    """``at``, or the offset below it where a character begins. ``window`` reaches three bytes below ``at`` and one
    above it, where the text does."""
    while 0 < at < len(window) and window[at] & 0xC0 == 0x80:
        at -= 1
    return at


def bounds(size: int, start: int | None, end: int | None, *, most: int, cut: bool) -> tuple[int, int]:
    """Where a slice begins and ends, in bytes. Negative offsets count from the end; None is the beginning or the end.

    ``most`` bytes are given at once: a longer slice is cut there if ``cut``, else refused. Raises HandleError.
    """
    first = 0 if start is None else start + size if start < 0 else start
    last = size if end is None else end + size if end < 0 else min(end, size)
    if not 0 <= first <= size:
        raise HandleError(f"the slice begins at {start}, but the value has {size} bytes")
    if last < first:
        raise HandleError(f"the slice ends before it begins: from {start}, to {end}, of {size} bytes")
    if last - first > most:
        if not cut:
            raise HandleError(
                f"the slice has {last - first} bytes, and {most} are given at once: read it in pieces, from and to"
            )
        last = first + most
    return first, last
