"""What a patch did to files, with their contents: from it the turn's diff is made."""

from __future__ import annotations

import msgspec


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """Stands for content that exists but was not read: too large, not a regular file, or not ours to read."""


UNREAD = Unread()

FileContent = bytes | Unread | None
"""None: there is no such file."""


REGULAR, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
"""git's modes: all that it keeps of a file's permissions is whether its owner may run it."""


class FileRevision(msgspec.Struct, frozen=True, kw_only=True):
    """One file before and after one hunk of a patch. Paths are absolute."""

    path: str
    before: FileContent
    after: bytes | None
    """None: deleted. Of a move, what is now at ``moved_to``."""
    moved_to: str | None = None
    overwritten: FileContent = None
    """What a move replaced at its destination."""
    mode_before: int = REGULAR
    """Of what was there, as git names it; the same of what is there now, and of what was replaced."""
    mode_after: int = REGULAR
    mode_overwritten: int = REGULAR
