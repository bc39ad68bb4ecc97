"""Finding threads by words."""

from __future__ import annotations

from typing import Literal

from messages.client.item import Wire
from messages.client.thread import SortDirection, ThreadBody


class ThreadSearchParams(Wire, frozen=True, kw_only=True):
    search_term: str
    cursor: str | None = None
    limit: int | None = None
    sort_key: Literal["created_at", "updated_at", "recency_at"] | None = None
    sort_direction: SortDirection | None = None
    source_kinds: tuple[str, ...] | None = None
    archived: bool | None = None


class ThreadFound(Wire, frozen=True, kw_only=True):
    """``snippet``: the text around the first word that was found."""

    thread: ThreadBody
    snippet: str


class ThreadSearchResponse(Wire, frozen=True, kw_only=True):
    data: tuple[ThreadFound, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None
