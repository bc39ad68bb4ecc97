"""The hosted search in each wire's own form, and the item that says that one has begun."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.model_stream.anthropic import request as messages_wire
from actors.model_stream.chat import request as chat_wire
from actors.model_stream.rendering import UnsupportedError, freeform_names
from actors.model_stream.responses.request import body
from messages.base import ThreadId, TurnId
from messages.model import SampleRequest, ToolSpec
from messages.settings import ProviderSettings

SEARCH = ToolSpec(name="web_search", description="Search.", hosted="web_search")
FREE = ToolSpec(name="apply_patch", description="Patch.")
PROVIDER = ProviderSettings(base_url="https://llm.example/v1")


def request(search: ToolSpec = SEARCH, model: str = "m") -> SampleRequest:
    return SampleRequest(
        request_id="r",
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        provider="p",
        model=model,
        instructions="Be brief.",
        history=(),
        tools=(search, FREE),
    )


def tools_of(raw: bytes) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = msgspec.json.decode(raw)["tools"]
    return tools


def test_each_wire_has_its_own_form() -> None:
    live = msgspec.structs.replace(SEARCH, live=True)
    assert tools_of(body(request()))[0] == {"type": "web_search", "external_web_access": False}
    assert tools_of(body(request(live)))[0] == {"type": "web_search", "external_web_access": True}
    assert tools_of(messages_wire.body(request(model="claude-sonnet-5"), PROVIDER))[0] == {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": 10,
    }


def test_the_chat_wire_has_none_and_says_so() -> None:
    with pytest.raises(UnsupportedError, match="no form for the hosted tool web_search"):
        chat_wire.body(request(), PROVIDER)


def test_a_search_is_no_freeform_tool() -> None:
    assert freeform_names((SEARCH, FREE)) == frozenset({"apply_patch"})
