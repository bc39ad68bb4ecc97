"""A value that is too large to be passed on, kept on disk with its thread: what stands for it, and where it is read.

A script's call or its return value becomes one when it is over its cap. Whoever holds the handle reads slices: the
script (`handle.slice`), the model (`read_handle`, also in later turns), a client (`callboard/handle/read`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

HandleType = Literal["text", "json", "bytes"]
"""text: UTF-8. json: UTF-8 that is one JSON value. bytes: anything; slices of it are told in base64."""


class Handle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """In place of the value, also in JSON: what scripts, models and clients are given."""

    handle: str
    """Its name in its thread: the type, and a digest of the content."""
    size: int
    """In bytes."""
    type: HandleType
    preview: str
    """How it begins; of bytes, what they are."""
    media_type: str | None = None
    """Of bytes, where it is known."""


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a kept value. ``start`` and ``end`` are where it really begins and ends, in bytes."""

    type: HandleType
    size: int
    """Of the whole."""
    start: int
    end: int
    data: bytes
    """Of text and JSON whole characters."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What of a call's output was kept, by the place it had there."""

    text: Handle | None = None
    images: tuple[Handle | None, ...] = ()
    """One for each image, None for one that is passed on; empty: all are."""
    problem: str | None = None
    """It was too large to be passed on, and could not be kept: why."""
