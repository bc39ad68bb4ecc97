"""Requests against the types of the official SDK, and against requests that were recorded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from openai.types.chat import (
    ChatCompletionMessageParam,
    ChatCompletionMessageToolCallUnionParam,
    ChatCompletionToolUnionParam,
)
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from actors.model_stream.chat.request import fields
from actors.model_stream.profiles import dialect_of
from messages.items import HistoryItem
from messages.model import ForcedTool, ToolSpec
from messages.settings import ProviderSettings
from tests.actors.model_stream.chat.histories import called, conversations, item, output, request, said
from tests.reference import reference_path, reference_root

whole: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)
# The SDK's lists are iterables, which pydantic checks only when they are walked; so their parts are checked one by one.
message_: TypeAdapter[Any] = TypeAdapter(ChatCompletionMessageParam)
call_: TypeAdapter[Any] = TypeAdapter(ChatCompletionMessageToolCallUnionParam)
tool_: TypeAdapter[Any] = TypeAdapter(ChatCompletionToolUnionParam)

TOOLS = (
    ToolSpec(name="look", description="d", parameters={"type": "object", "properties": {}}),
    ToolSpec(name="apply_patch", description="p", grammar="start: x"),
    ToolSpec(name="note", description="n"),
)
OPENAI = ProviderSettings(base_url="https://api.openai.com/v1", wire_api="chat")


def check(body: dict[str, Any]) -> None:
    """Raises pydantic.ValidationError for what the SDK would not take."""
    whole.validate_python(body)
    for message in body["messages"]:
        message_.validate_python(message)
        for call in message.get("tool_calls", ()):
            call_.validate_python(call)
    for tool in body.get("tools", ()):
        tool_.validate_python(tool)


@settings(max_examples=40)
@given(conversation=conversations())
def test_a_request_to_openai_is_one_that_the_official_sdk_would_send(
    conversation: tuple[tuple[HistoryItem, ...], ...],
) -> None:
    for model in ("gpt-6-sol", "gpt-4o"):
        dialect = dialect_of("openai", OPENAI, model)
        asked = request(
            *conversation[-1],
            model=model,
            tools=TOOLS,
            tool_choice=ForcedTool(name="note"),
            reasoning_effort="high",
            verbosity="low",
            output_schema={"type": "object", "properties": {}},
            max_output_tokens=100,
            stop_sequences=("END",) if dialect.stop_sequences else (),
        )
        check(fields(asked, dialect))


def _names() -> list[str]:
    root = reference_root()
    return sorted(p.name for p in (root / "wire/corpus/dev/chat").glob("*.request.json")) if root else ["(none)"]


def _history(messages: list[dict[str, Any]]) -> list[HistoryItem]:
    """What we would have in our history had that conversation been ours."""
    history: list[HistoryItem] = []
    for message in messages:
        match message:
            case {"role": "tool", "tool_call_id": id_, "content": content}:
                history.append(output(id_, content))
            case {"role": "assistant"}:
                if message.get("content"):
                    history.append(said(message["content"]))
                for call in message.get("tool_calls") or ():
                    function = call["function"]
                    history.append(called(call["id"], function["name"], function["arguments"]))
            case {"role": role, "content": str(text)}:
                history.append(item("message", role=role, content=[{"type": "input_text", "text": text}]))
            case {"role": role, "content": parts}:
                text = "\n".join(part.get("text", "") for part in parts)
                history.append(item("message", role=role, content=[{"type": "input_text", "text": text}]))
    return history


def _shape(message: dict[str, Any]) -> tuple[Any, ...]:
    calls = [
        (call["id"], call["function"]["name"], msgspec.json.decode(call["function"]["arguments"] or "{}"))
        for call in message.get("tool_calls") or ()
    ]
    content = message.get("content")
    return (
        message["role"],
        content if isinstance(content, str) and content else None,
        calls,
        message.get("tool_call_id"),
    )


@pytest.mark.reference
@pytest.mark.parametrize("name", _names())
def test_a_recorded_conversation_is_sent_as_it_was_recorded(name: str) -> None:
    recorded = msgspec.json.decode((Path(reference_path("wire/corpus/dev/chat")) / name).read_bytes())
    if "messages" not in recorded:
        pytest.skip("the recording holds no messages")
    offered = [tool["function"] for tool in recorded.get("tools", ()) if "function" in tool]  # the others are hosted
    tools = tuple(
        ToolSpec(
            name=tool["name"],
            description=tool.get("description", ""),
            parameters=tool.get("parameters") or {"type": "object", "properties": {}},
        )
        for tool in offered
    )
    asked = request(*_history(recorded["messages"]), model=recorded["model"], instructions="", tools=tools)
    body = fields(asked, dialect_of("openai", OPENAI, "gpt-4o"))
    check(body)
    plain = [message for message in recorded["messages"] if not isinstance(message.get("content"), list)]
    if len(plain) == len(recorded["messages"]) and not _consecutive_assistants(plain):
        assert [_shape(message) for message in body["messages"]] == [_shape(message) for message in plain]
    assert [tool["function"]["name"] for tool in body.get("tools", ())] == [tool["name"] for tool in offered]


def _consecutive_assistants(messages: list[dict[str, Any]]) -> bool:
    """Recorded by a client that sends words and calls of one answer apart; we send them as the one message they are."""
    roles = [message["role"] for message in messages]
    return ("assistant", "assistant") in pairwise(roles)
