"""Any history, whoever made it, can be said on any wire by that wire's rules, and only grows from turn to turn."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream.anthropic.request import body as messages_body
from actors.model_stream.responses.request import body as responses_body
from messages.base import ThreadId, TurnId
from messages.model import SampleRequest, ToolSpec
from messages.settings import ProviderSettings
from tests.actors.model_stream.rendering.histories import CLAUDE, GPT, Thread, threads
from tests.actors.model_stream.rules import anthropic, responses

PROVIDER = ProviderSettings(base_url="http://127.0.0.1:9")
TOOLS = (
    ToolSpec(name="look", description="Look at a file.", parameters={"type": "object", "properties": {}}),
    ToolSpec(name="apply_patch", description="Change files.", grammar="start: /.+/"),
)


def request(thread: Thread, length: int, provider: str, model: str, **fields: Any) -> SampleRequest:
    return SampleRequest(
        request_id="r",
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        provider=provider,
        model=model,
        instructions="You are a test.",
        history=thread.history[:length],
        tools=TOOLS,
        **fields,
    )


@pytest.mark.parametrize("model", list(anthropic.FACTS))
@settings(max_examples=60, deadline=None)
@given(thread=threads(), effort=st.sampled_from((None, "none", "low", "medium", "xhigh")))
def test_on_the_messages_wire_every_request_is_valid_and_continues_the_one_before(
    model: str, thread: Thread, effort: str | None
) -> None:
    before: list[Any] = []
    for length in thread.requests:
        asked = request(thread, length, CLAUDE.provider, model, reasoning_effort=effort)
        body = msgspec.json.decode(messages_body(asked, PROVIDER))
        assert anthropic.offences(body, anthropic.FACTS[model]) == []
        assert body["messages"][: len(before)] == before
        before = body["messages"]


@settings(max_examples=100, deadline=None)
@given(thread=threads())
def test_on_the_responses_wire_every_request_is_valid_and_continues_the_one_before(thread: Thread) -> None:
    before: list[Any] = []
    for length in thread.requests:
        body = msgspec.json.decode(responses_body(request(thread, length, GPT.provider, GPT.model)))
        assert responses.offences(body) == []
        assert body["input"][: len(before)] == before
        before = body["input"]


@settings(max_examples=100, deadline=None)
@given(thread=threads(makers=(GPT,)))
def test_a_server_without_freeform_tools_is_never_told_of_any(thread: Thread) -> None:
    before: list[Any] = []
    for length in thread.requests:
        made = responses_body(request(thread, length, GPT.provider, GPT.model), freeform=False)
        body = msgspec.json.decode(made)
        assert responses.offences(body) == []
        assert not [kind for kind in _types(body) if kind.startswith("custom")]
        assert body["input"][: len(before)] == before
        before = body["input"]


def _types(body: Any) -> list[str]:
    return [each["type"] for each in (*body["tools"], *body["input"])]


@settings(max_examples=60, deadline=None)
@given(thread=threads(makers=(CLAUDE,)))
def test_what_a_claude_model_said_goes_back_to_it_unmodified(thread: Thread) -> None:
    """Every block but the blank ones, in order; thinking with its signature, calls with their inputs."""
    asked = request(thread, len(thread.history), CLAUDE.provider, CLAUDE.model)
    body = msgspec.json.decode(messages_body(asked, PROVIDER))
    again = [block for message in body["messages"] if message["role"] == "assistant" for block in message["content"]]
    kinds = [block["type"] for block in again]
    made = [each for each in thread.history if each.origin == CLAUDE]
    opaque = [each for each in made if each.kind in ("reasoning", "opaque")]
    assert len([kind for kind in kinds if kind not in ("text", "tool_use")]) == len(opaque)
    assert len([kind for kind in kinds if kind == "tool_use"]) == len([each for each in made if each.call_id])
