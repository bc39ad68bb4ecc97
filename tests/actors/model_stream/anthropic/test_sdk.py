"""Requests against the types of the official SDK, and against requests that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from anthropic.types import MessageParam, ToolUnionParam
from anthropic.types.content_block_param import ContentBlockParam
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from anthropic.types.text_block_param import TextBlockParam
from anthropic.types.tool_result_block_param import Content
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from actors.model_stream.anthropic.request import body
from messages.model import ToolSpec
from tests.actors.model_stream.anthropic.asking import LOOK, PATCH, PROVIDER, request
from tests.actors.model_stream.rendering.histories import Thread, said, threads
from tests.reference import reference_path, reference_root

whole: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
# The SDK's lists are iterables, which pydantic checks only when they are walked; so their parts are checked one by one.
message_: TypeAdapter[Any] = TypeAdapter(MessageParam)
block_: TypeAdapter[Any] = TypeAdapter(ContentBlockParam)
part_: TypeAdapter[Any] = TypeAdapter(Content)
system_: TypeAdapter[Any] = TypeAdapter(TextBlockParam)
tool_: TypeAdapter[Any] = TypeAdapter(ToolUnionParam)

BETA_BLOCKS = ("compaction", "fallback", "mcp_tool_use", "mcp_tool_result", "advisor_tool_result")


def check(made: dict[str, Any]) -> None:
    """Raises pydantic.ValidationError for what the SDK would not take."""
    whole.validate_python(made)
    for text in made.get("system", ()):
        system_.validate_python(text)
    for tool in made.get("tools", ()):
        tool_.validate_python(tool)
    for message in made["messages"]:
        message_.validate_python(message)
        for block in message["content"]:
            if block["type"] in BETA_BLOCKS:
                continue
            block_.validate_python(block)
            for part in block.get("content", ()) if isinstance(block.get("content"), list) else ():
                if block["type"] == "tool_result":
                    part_.validate_python(part)


@settings(max_examples=40, deadline=None)
@given(
    thread=threads(),
    model=st.sampled_from(("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5", "qwen")),
    effort=st.sampled_from((None, "none", "low", "max")),
    parallel=st.booleans(),
)
def test_a_request_is_one_that_the_official_sdk_would_send(
    thread: Thread, model: str, effort: str | None, parallel: bool
) -> None:
    asked = request(
        *thread.history[: thread.requests[-1]],
        model=model,
        tools=(LOOK, PATCH),
        reasoning_effort=effort,
        parallel_tool_calls=parallel,
        stop_sequences=("END",),
        output_schema={"type": "object", "properties": {}},
    )
    check(msgspec.json.decode(body(asked, PROVIDER)))


def _recorded() -> list[str]:
    root = reference_root()
    folder = root / "wire/corpus/dev/anthropic" if root else None
    names = sorted(path.name for path in folder.glob("*.request.json")) if folder else []
    return names or ["(no reference material)"]


def _asked(recorded: dict[str, Any]) -> Any:
    """What the recorded request asked for, in our terms; None if it holds what we never send."""
    system = recorded.get("system", "")
    words = system if isinstance(system, str) else "\n".join(block["text"] for block in system)
    history = []
    for message in recorded["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [block.get("text") for block in content]
        if message["role"] != "user" or not all(isinstance(part, str) for part in parts):
            return None
        history.append(said("user", *parts))
    tools = [tool for tool in recorded.get("tools", ()) if "input_schema" in tool]
    if len(tools) != len(recorded.get("tools", ())) or any("defer_loading" in tool for tool in tools):
        return None
    offered = tuple(
        ToolSpec(name=tool["name"], description=tool["description"], parameters=tool["input_schema"]) for tool in tools
    )
    return request(
        *history,
        model=recorded["model"],
        instructions=words,
        tools=offered,
        max_output_tokens=recorded["max_tokens"],
        reasoning_effort="minimal" if recorded.get("thinking", {}).get("type") == "enabled" else None,
    )


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    """Without a breakpoint of its own: ours stand elsewhere."""
    return {name: value for name, value in block.items() if name != "cache_control"}


@pytest.mark.reference
@pytest.mark.parametrize("name", _recorded())
def test_a_recorded_request_comes_out_in_the_recorded_shape(name: str) -> None:
    """Field by field where both say something; what recorders added (citations, temperature) we do not send."""
    path: Path = reference_path("wire/corpus/dev/anthropic") / name
    recorded = msgspec.json.decode(path.read_bytes())
    asked = _asked(recorded)
    if asked is None:
        pytest.skip("it holds documents, assistant turns or the provider's own tools, which we never send like that")
    made = msgspec.json.decode(body(asked, PROVIDER))
    check(made)
    assert (made["model"], made["max_tokens"], made["stream"]) == (recorded["model"], recorded["max_tokens"], True)
    said_there = [
        [_bare(block) for block in content]
        if isinstance(content := message["content"], list)
        else [{"type": "text", "text": content}]
        for message in recorded["messages"]
    ]
    assert [message["content"] for message in made["messages"]] == said_there
    assert [tool["name"] for tool in made.get("tools", ())] == [tool["name"] for tool in recorded.get("tools", ())]
    if recorded.get("thinking", {}).get("type") == "enabled":
        assert made["thinking"] == recorded["thinking"]


def test_the_check_would_notice() -> None:
    unasked = {"role": "user", "content": [{"type": "tool_result"}]}
    with pytest.raises(ValueError, match="tool_use_id"):
        check({"model": "m", "max_tokens": 1, "stream": True, "messages": [unasked]})
