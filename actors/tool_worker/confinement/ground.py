"""What a confined call may change, as paths that exist. Pure; `launcher/ground.py` looks at the disk."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

PROTECTED_NAMES = (".git", ".callboard", ".codex", ".agents")
"""At the top of a workspace these steer tools and agents (hooks, rules): changing them is never a mere edit."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Absolute, without symbolic links, parents before what is in them."""

    writable: tuple[str, ...] = ()
    """Folders and files that may be changed."""
    pinned: tuple[str, ...] = ()
    """What exists in them and stays as it is. A symbolic link among them stands for itself."""
    links: frozenset[str] = frozenset()
    """Those of the pinned that are symbolic links: not every mechanism can hold one fast."""
    hidden: tuple[str, ...] = ()
    """Folders and files that exist and are not to be read: something empty is put in their place."""
    hidden_files: frozenset[str] = frozenset()
    """Those of the hidden that are no folders."""
    absent: tuple[str, ...] = ()
    """What does not exist in them, and must not come to."""


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or in it; both normal."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def in_order(paths: Iterable[str]) -> tuple[str, ...]:
    """Each once, parents before children."""
    return tuple(sorted(set(paths), key=lambda path: (path.count("/") if path != "/" else 0, path)))
