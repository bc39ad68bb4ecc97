"""thread/turns/list and thread/items/list: a thread's history, page by page.

A cursor is the position of the next entry, counted from the thread's beginning, with the direction: what was there when
it was given stays where it is, because a history only grows at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.gateway.views import turn_body
from messages.client.envelope import INVALID_PARAMS
from messages.client.thread import (
    ItemAnchor,
    ItemEntry,
    ItemsListParams,
    ItemsListResponse,
    TurnsListParams,
    TurnsListResponse,
)
from messages.session import ReadThread, ThreadView

T = TypeVar("T")

DEFAULT_TURNS: Final = 25
DEFAULT_ITEMS: Final = 100
MAX_PAGE: Final = 1000
"""In one answer."""


def page(
    entries: Sequence[T], *, start_at: int | None, limit: int, descending: bool
) -> tuple[list[T], int | None, int | None]:
    """Entries from a position on, in the asked direction: (the page, where the next begins, where to go back from).

    ``start_at`` None is the beginning in that direction.
    """
    if descending:
        first = len(entries) - 1 if start_at is None else min(start_at, len(entries) - 1)
        last = max(first - limit, -1)
        found = [entries[i] for i in range(first, last, -1)]
        return found, last if last >= 0 else None, first + 1 if first + 1 < len(entries) else None
    first = 0 if start_at is None else max(start_at, 0)
    found = list(entries[first : first + limit])
    following = first + len(found)
    return found, following if following < len(entries) else None, first - 1 if first > 0 and found else None


def position(cursor: str | None, name: str) -> int | None:
    """Raises RpcError for what is no cursor of ours."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 12:
        raise RpcError(INVALID_PARAMS, f"{name}: invalid cursor: {cursor[:50]!r}")
    return int(cursor)


def _text(at: int | None) -> str | None:
    return None if at is None else str(at)


def _limit(asked: int | None, default: int) -> int:
    return min(max(asked or default, 1), MAX_PAGE)


async def turns(caller: Caller, params: TurnsListParams) -> TurnsListResponse:
    start_at = position(params.cursor, "thread/turns/list")
    view = await caller.ask(params.thread_id, ReadThread(), ThreadView)
    found, following, previous = page(
        view.turns,
        start_at=start_at,
        limit=_limit(params.limit, DEFAULT_TURNS),
        descending=params.sort_direction != "asc",
    )
    return TurnsListResponse(
        data=tuple(turn_body(turn, items_view=params.items_view or "summary") for turn in found),
        next_cursor=_text(following),
        backwards_cursor=_text(previous),
    )


async def items(caller: Caller, params: ItemsListParams) -> ItemsListResponse:
    view = await caller.ask(params.thread_id, ReadThread(), ThreadView)
    entries = [
        ItemEntry(item=item, turn_id=turn.id, started_at_ms=item.started_at_ms, completed_at_ms=item.completed_at_ms)
        for turn in view.turns
        if params.turn_id is None or turn.id == params.turn_id
        for item in turn.items
    ]
    if isinstance(params.cursor, ItemAnchor):
        anchor = params.cursor.item_id
        start_at = next((at for at, entry in enumerate(entries) if entry.item.id == anchor), None)
        if start_at is None:
            raise RpcError(INVALID_PARAMS, f"thread/items/list: there is no item {anchor[:100]!r} in this thread")
    else:
        start_at = position(params.cursor, "thread/items/list")
    found, following, previous = page(
        entries,
        start_at=start_at,
        limit=_limit(params.limit, DEFAULT_ITEMS),
        descending=params.sort_direction == "desc",
    )
    return ItemsListResponse(data=tuple(found), next_cursor=_text(following), backwards_cursor=_text(previous))


METHODS = (
    method("thread/turns/list", TurnsListParams, turns),
    method("thread/items/list", ItemsListParams, items),
)
