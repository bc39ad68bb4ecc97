"""A search that the provider made is seen by people as it goes, and stays what it was in the history."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.session.web_search import finished
from messages.base import ItemId
from messages.client.item import FindInPage, OpenPage, OtherWebAction, WebAction, WebQuery, WebSearch
from messages.items import HistoryItem
from messages.model import ItemBegan, ItemFinished
from messages.session import ItemCompleted, ItemStarted
from tests.actors.session.made import ORIGIN, Session, completed, message, response, start_turn
from tests.actors.session.test_turns import events, request_of


def searched(raw: Any) -> HistoryItem:
    return HistoryItem(kind="opaque", raw=msgspec.json.encode(raw), origin=ORIGIN)


def block(**input_: str) -> dict[str, Any]:
    used = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": input_}
    return {"type": "callboard_block", "block": used}


@pytest.mark.parametrize(
    ("raw", "query", "action"),
    [
        (
            {"type": "web_search_call", "action": {"type": "search", "query": "q", "queries": ["q"]}},
            "q",
            WebQuery(query="q", queries=("q",)),
        ),
        (
            {"type": "web_search_call", "action": {"type": "search", "queries": ["a", "b"]}},
            "a",
            WebQuery(queries=("a", "b")),
        ),
        ({"type": "web_search_call", "action": {"type": "open_page", "url": "u"}}, "u", OpenPage(url="u")),
        (
            {"type": "web_search_call", "action": {"type": "find_in_page", "url": "u", "pattern": "p"}},
            "p",
            FindInPage(url="u", pattern="p"),
        ),
        ({"type": "web_search_call", "action": {"type": "dream"}}, "", OtherWebAction()),
        ({"type": "web_search_call"}, "", None),
        ({"type": "web_search_call", "action": 5}, "", None),
        (block(query="q"), "q", WebQuery(query="q")),
        (block(), "", WebQuery()),
    ],
)
def test_what_it_did_is_read_from_what_it_left(raw: Any, query: str, action: WebAction | None) -> None:
    assert finished(ItemId("i"), searched(raw)) == WebSearch(id="i", query=query, action=action)


def test_it_is_shown_when_it_begins_and_told_when_it_ends_and_kept_as_it_came() -> None:
    session = Session()
    request = request_of(session.hear(start_turn())).child
    item = searched({"type": "web_search_call", "id": "ws", "action": {"type": "search", "query": "q"}})
    began = session.hear(ItemBegan(request_id=request, slot=0, kind="opaque", name="web_search"))
    [started] = [event for event in events(began) if isinstance(event, ItemStarted)]
    assert isinstance(started.item, WebSearch)
    session.hear(ItemFinished(request_id=request, slot=0, item=item))
    effects = session.hear(*response_after(request))
    [done] = [
        event.item for event in events(effects) if isinstance(event, ItemCompleted) and event.item.id == started.item.id
    ]
    assert isinstance(done, WebSearch)
    assert (done.query, done.action) == ("q", WebQuery(query="q"))
    assert item in session.state.history


def response_after(request: str) -> list[Any]:
    said = message("found it")
    return [
        ItemBegan(request_id=request, slot=1, kind="message"),
        ItemFinished(request_id=request, slot=1, item=said),
        completed(request),
    ]


def test_any_other_opaque_block_stays_unseen() -> None:
    session = Session()
    request = request_of(session.hear(start_turn())).child
    effects = session.hear(*response(request, searched({"type": "code_interpreter_call"}), message("done")))
    assert not [
        event for event in events(effects) if isinstance(event, ItemStarted) and isinstance(event.item, WebSearch)
    ]
