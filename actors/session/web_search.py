"""What people see of a search that a provider made: read from the item or block that it left in the answer. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from messages.base import ItemId
from messages.client.item import FindInPage, OpenPage, OtherWebAction, WebAction, WebQuery, WebSearch
from messages.items import BLOCK_TYPE, HistoryItem

TOOL = "web_search"
"""What an opened item is called that will be a search."""

QUERY_CHARS_MAX = 2_000
"""Shown of what was searched for: a line or two, whatever a provider makes of it."""


class _Action(msgspec.Struct, frozen=True):
    type: str = ""
    query: str | None = None
    queries: tuple[str, ...] | None = None
    url: str | None = None
    pattern: str | None = None


class _Input(msgspec.Struct, frozen=True):
    query: str | None = None
    url: str | None = None


class _Block(msgspec.Struct, frozen=True):
    """Of Anthropic: ``server_tool_use``."""

    name: str = ""
    input: _Input = _Input()


class _Searched(msgspec.Struct, frozen=True):
    """Of OpenAI: ``web_search_call``; or a block of Anthropic's, kept as it came."""

    type: str = ""
    action: _Action | None = None
    block: _Block | None = None


_decoder: msgspec.json.Decoder[_Searched] = msgspec.json.Decoder(_Searched)


def begun(item_id: ItemId) -> WebSearch:
    """As it is shown while nobody knows what is searched for."""
    return WebSearch(id=item_id, query="")


def finished(item_id: ItemId, item: HistoryItem) -> WebSearch:
    """What was searched for, or which page was opened; what cannot be read is a search without words."""
    try:
        read = _decoder.decode(item.raw)
    except (msgspec.MsgspecError, RecursionError):
        return begun(item_id)
    if read.type == BLOCK_TYPE and read.block is not None:
        asked = read.block.input
        return _shown(item_id, asked.query or asked.url or "", WebQuery(query=asked.query))
    if read.action is None:
        return begun(item_id)
    did = read.action
    first = did.query or (did.queries[0] if did.queries else None)
    match did.type:
        case "search":
            return _shown(item_id, first or "", WebQuery(query=did.query, queries=did.queries))
        case "open_page":
            return _shown(item_id, did.url or "", OpenPage(url=did.url))
        case "find_in_page":
            return _shown(item_id, did.pattern or "", FindInPage(url=did.url, pattern=did.pattern))
        case _:
            return _shown(item_id, first or did.url or "", OtherWebAction())


def _shown(item_id: ItemId, query: Any, action: WebAction) -> WebSearch:
    return WebSearch(id=item_id, query=str(query)[:QUERY_CHARS_MAX], action=action)
