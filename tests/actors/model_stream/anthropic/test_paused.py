"""Turns that the provider paused, and calls of its own tools that never came to an end."""

from __future__ import annotations

from messages.items import HistoryItem
from tests.actors.model_stream.anthropic.asking import LOOK, MADE, call, messages, output, said, sent
from tests.actors.model_stream.anthropic.hearing import Event, hear, response, start, stop, text, tool


def searching(id_: str = "srvtoolu_1") -> list[Event]:
    events = tool(1, '{"query":"x"}', id_=id_, name="web_search")
    events[0]["content_block"]["type"] = "server_tool_use"
    return events


def heard(*blocks: list[Event], reason: str) -> tuple[HistoryItem, ...]:
    return hear([response(*blocks, reason=reason)], origin=MADE).items


def test_a_paused_turn_is_sent_again_as_it_is_without_a_result() -> None:
    paused = heard(text(0, "Let me search. "), searching(), reason="pause_turn")
    last = messages(said("user", "hello"), *paused)[-1]
    assert last == {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me search. "},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        ],
    }


def test_what_it_says_when_it_goes_on_is_the_same_message() -> None:
    paused = heard(text(0, "Let me search."), searching(), reason="pause_turn")
    result = {"tool_use_id": "srvtoolu_1", "content": []}
    rest = heard([start(0, "web_search_tool_result", **result), stop(0)], text(1, "Found."), reason="end_turn")
    made = messages(said("user", "hello"), *paused, *rest, said("user", "thanks"))
    assert [message["role"] for message in made] == ["user", "assistant", "user"]
    assert [block["type"] for block in made[1]["content"]] == [
        "text",
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]


def test_a_search_that_was_never_answered_is_left_out_once_the_user_speaks() -> None:
    paused = heard(text(0, "Let me search."), searching(), reason="pause_turn")
    made = messages(said("user", "hello"), *paused, said("user", "never mind"))
    assert [block["type"] for block in made[1]["content"]] == ["text"]


def test_a_search_that_runs_beside_calls_of_ours_stays() -> None:
    both = heard(searching(), reason="tool_use")
    made = messages(said("user", "hello"), *both, call("a"), output("a"))
    assert [block["type"] for block in made[1]["content"]] == ["server_tool_use", "tool_use"]


def test_text_that_ends_the_last_message_ends_without_blanks() -> None:
    paused = heard(text(0, "One moment. \n"), reason="pause_turn")
    assert messages(said("user", "hello"), *paused)[-1]["content"] == [{"type": "text", "text": "One moment."}]


def test_a_history_that_a_model_begins_is_opened_by_a_user() -> None:
    words = heard(text(0, "Hello."), reason="end_turn")
    assert [message["role"] for message in messages(*words, said("user", "hi"))] == ["user", "assistant", "user"]


def test_tools_that_are_gone_but_were_called_are_still_named() -> None:
    body = sent(said("user", "hello"), call("a"), output("a"))
    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert sent(said("user", "hello"), call("a"), output("a"), tools=(LOOK,))["tool_choice"] == {"type": "auto"}
