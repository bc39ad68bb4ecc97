"""Files as clients read and find them. Paths are absolute; a search's results keep the snake_case of the original."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.client.item import Wire


class PathParams(Wire, frozen=True, kw_only=True):
    path: str


class ReadFileResponse(Wire, frozen=True, kw_only=True):
    data_base64: str


class MetadataResponse(Wire, frozen=True, kw_only=True):
    """``created_at_ms`` is 0: most file systems here do not tell."""

    is_directory: bool
    is_file: bool
    is_symlink: bool
    created_at_ms: int
    modified_at_ms: int


class DirectoryEntry(Wire, frozen=True, kw_only=True):
    """A symlink is what it leads to; neither if it leads nowhere."""

    file_name: str
    is_directory: bool
    is_file: bool


class ReadDirectoryResponse(Wire, frozen=True, kw_only=True):
    entries: tuple[DirectoryEntry, ...]


class FuzzySearchParams(Wire, frozen=True, kw_only=True):
    """A search with the same ``cancellation_token`` takes the place of the one before."""

    query: str
    roots: tuple[str, ...]
    cancellation_token: str | None = None


class FoundFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``path`` is relative to ``root``; ``indices`` are the characters of it that matched."""

    root: str
    path: str
    match_type: Literal["file", "directory"]
    file_name: str
    score: int
    indices: tuple[int, ...] = ()


class FuzzySearchResponse(Wire, frozen=True, kw_only=True):
    files: tuple[FoundFile, ...]


class SearchStartParams(Wire, frozen=True, kw_only=True):
    session_id: str
    roots: tuple[str, ...]


class SearchUpdateParams(Wire, frozen=True, kw_only=True):
    session_id: str
    query: str


class SearchStopParams(Wire, frozen=True, kw_only=True):
    session_id: str


class SearchUpdated(Wire, frozen=True, kw_only=True):
    """What ``query`` finds so far."""

    session_id: str
    query: str
    files: tuple[FoundFile, ...]


class SearchCompleted(Wire, frozen=True, kw_only=True):
    """Every file was looked at for the last query told of."""

    session_id: str
