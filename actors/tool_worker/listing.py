"""list_dir: a directory as an indented tree, a page at a time.

Entries stand in the order of a depth-first walk with names sorted, so that a page is a readable piece of the tree and
the walk can stop where the page ends. Links are shown and not followed. Source: CORE appendix A.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import msgspec

from actors.ports.files import DirEntry, FileKind
from actors.tool_worker.os_errors import os_error_text

NAME_BYTES_MAX = 500
"""Twice what a file system allows; a guard against one that does not keep to it."""

ENTRIES_SCANNED_MAX = 100_000
"""Walked for one call: beyond it a page is not what anybody needs."""

INDENT = "  "
MARKS: dict[FileKind, str] = {"directory": "/", "symlink": "@", "file": "", "other": "?"}


class ListableFiles(Protocol):
    """The part of the files port that listing needs."""

    def list_dir(self, path: str) -> tuple[DirEntry, ...]: ...


class ListingError(Exception):
    """The text is for the model: what was wrong with its request, or with the directory."""


class ListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to list. ``path`` is absolute; ``offset`` counts entries from 1; ``depth`` 1 is the directory alone."""

    path: str
    offset: int = 1
    limit: int = 25
    depth: int = 2


def list_dir(request: ListRequest, files: ListableFiles) -> str:
    """The page asked for. Blocking. Raises ListingError."""
    if request.offset < 1:
        raise ListingError("offset must be a 1-indexed entry number")
    if request.limit < 1:
        raise ListingError("limit must be greater than zero")
    if request.depth < 1:
        raise ListingError("depth must be greater than zero")
    if not posixpath.isabs(request.path):
        raise ListingError("dir_path must be an absolute path")
    if "\0" in request.path:
        raise ListingError("failed to read directory: the path contains a NUL character")
    try:
        top = files.list_dir(request.path)
    except OSError as error:
        raise ListingError(f"failed to read directory: {os_error_text(error)}") from error
    start = request.offset - 1
    end = min(start + request.limit, ENTRIES_SCANNED_MAX)
    walked = list(islice(_walk(request.path, top, request.depth, files), end + 1))
    page = walked[start:end]
    if not page and top:
        raise ListingError("offset exceeds directory entry count")
    lines = [f"Absolute path: {request.path}", *page]
    if len(walked) > end:
        lines.append(f"More than {len(page)} entries found")
    return "\n".join(lines)


def _walk(path: str, top: tuple[DirEntry, ...], depth: int, files: ListableFiles) -> Iterator[str]:
    """The lines of the tree. A directory below the top that cannot be read is shown without its entries."""
    pending = [(posixpath.join(path, entry.name), entry, 0) for entry in _backwards(top)]
    while pending:
        full, entry, level = pending.pop()
        yield INDENT * level + _shown(entry.name) + MARKS[entry.kind]
        if entry.kind == "directory" and level + 1 < depth:
            try:
                below = files.list_dir(full)
            except OSError:
                continue
            pending += [(posixpath.join(full, each.name), each, level + 1) for each in _backwards(below)]


def _backwards(entries: tuple[DirEntry, ...]) -> list[DirEntry]:
    return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _shown(name: str) -> str:
    """A name may be any bytes: what is not UTF-8 is shown as U+FFFD."""
    return name.encode("utf-8", "surrogateescape")[:NAME_BYTES_MAX].decode("utf-8", "replace")
