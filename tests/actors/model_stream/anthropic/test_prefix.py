"""Thinking of the models that bind it to what stands before it: instructions and tools must be the ones it was made
behind, or it is left out."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.anthropic.request import prefix
from actors.model_stream.core import Sampling
from actors.session.open_text import TextTable
from messages.items import HistoryItem, Origin
from messages.model import ItemFinished
from tests.actors.model_stream.anthropic.asking import LOOK, answer, request, said, sent
from tests.actors.model_stream.anthropic.hearing import response, text, thinking


def heard(model: str, **fields: Any) -> tuple[HistoryItem, ...]:
    """What a model says behind these instructions and tools, through the very door of the daemon."""
    asked = request(model=model, **fields)
    hearing = Sampling(asked, "messages", TextTable(), where="x").next_attempt()
    events = hearing.feed(response(thinking(0, "Hm."), text(1, "So.")))
    return tuple(event.item for event in events if isinstance(event, ItemFinished))


def kinds(model: str, history: tuple[HistoryItem, ...], **fields: Any) -> list[str]:
    body = sent(said("user", "hello"), *history, said("user", "go on"), model=model, **fields)
    return [block["type"] for block in body["messages"][1]["content"]]


def test_bound_thinking_goes_back_behind_the_same_instructions_and_tools_only() -> None:
    for model in ("claude-opus-5-5", "claude-haiku-5-5", "claude-fable-5-1"):
        said_so = heard(model, tools=(LOOK,))
        assert kinds(model, said_so, tools=(LOOK,)) == ["thinking", "text"]
        assert kinds(model, said_so, tools=(LOOK,), instructions="Be another.") == ["text"]
        assert kinds(model, said_so) == ["text"]


def test_thinking_that_is_not_bound_goes_back_whatever_the_instructions() -> None:
    said_so = heard("claude-opus-5")
    assert said_so[0].origin == Origin(provider="anthropic", model="claude-opus-5", wire="messages")
    assert kinds("claude-opus-5", said_so, instructions="Be another.") == ["thinking", "text"]


def test_an_origin_that_does_not_say_is_believed() -> None:
    [reasoning, _] = heard("claude-opus-5-5")
    bare = msgspec.structs.replace(
        reasoning, origin=Origin(provider="anthropic", model="claude-opus-5-5", wire="messages")
    )
    assert kinds("claude-opus-5-5", (bare, answer("So."))) == ["thinking", "text"]
    assert prefix(request(model="claude-opus-5-5")) == prefix(request(said("user", "other"), model="claude-opus-5-5"))
