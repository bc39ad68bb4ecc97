"""Requests on the Responses wire against the types of the official SDK, and against requests that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from openai.types.responses import ResponseInputItemParam, ToolParam
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter

from actors.model_stream.responses.request import body
from messages.items import HistoryItem, ItemKind
from messages.model import ToolSpec
from tests.actors.model_stream.rendering.histories import GPT, Thread, threads
from tests.actors.model_stream.rendering.test_round_trips import request
from tests.reference import reference_path, reference_root

whole: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)
# The SDK's lists are iterables, which pydantic checks only when they are walked; so their parts are checked one by one.
item_: TypeAdapter[Any] = TypeAdapter(ResponseInputItemParam)
tool_: TypeAdapter[Any] = TypeAdapter(ToolParam)


def check(sent: dict[str, Any]) -> None:
    """Raises pydantic.ValidationError for what the SDK would not take."""
    # What a model made goes back byte for byte, with whatever its provider put there; the rest is our own making.
    items = [_detailed(item) for item in sent["input"] if item.get("role") != "assistant"]
    whole.validate_python({**sent, "input": items})
    for item in items:
        item_.validate_python(item)
    for tool in sent.get("tools", ()):
        tool_.validate_python(tool)


def _detailed(item: dict[str, Any]) -> dict[str, Any]:
    """The SDK's type wants an image's detail said; the API has a default for it."""
    filled = dict(item)
    for name in ("content", "output"):
        if isinstance(item.get(name), list):
            filled[name] = [
                {"detail": "auto", **part} if part.get("type") == "input_image" else part for part in item[name]
            ]
    return filled


@settings(max_examples=40)
@given(thread=threads(makers=(GPT,)))
def test_a_request_is_one_that_the_official_sdk_would_send(thread: Thread) -> None:
    for length in thread.requests:
        asked = request(
            thread,
            length,
            GPT.provider,
            GPT.model,
            reasoning_effort="high",
            reasoning_summary="auto",
            verbosity="low",
            output_schema={"type": "object", "properties": {}},
        )
        check(msgspec.json.decode(body(asked)))


def _names() -> list[str]:
    root = reference_root()
    return sorted(p.name for p in (root / "wire/corpus/dev/responses").glob("*.request.json")) if root else ["(none)"]


KINDS: dict[str, ItemKind] = {
    "message": "message",
    "function_call": "function_call",
    "function_call_output": "function_call_output",
}


def _history(items: list[dict[str, Any]]) -> tuple[HistoryItem, ...]:
    """What we would have in our history had that conversation been ours."""
    return tuple(
        HistoryItem(kind=KINDS[item.get("type", "message")], raw=msgspec.json.encode(item), call_id=item.get("call_id"))
        for item in items
    )


@pytest.mark.reference
@pytest.mark.parametrize("name", _names())
def test_a_recorded_conversation_is_sent_as_it_was_recorded(name: str) -> None:
    recorded = msgspec.json.decode((Path(reference_path("wire/corpus/dev/responses")) / name).read_bytes())
    items = recorded.get("input")
    if not isinstance(items, list) or any(item.get("type", "message") not in KINDS for item in items):
        pytest.skip("the recording holds other items than messages, calls and outputs")
    functions = [tool for tool in recorded.get("tools", ()) if tool["type"] == "function"]  # the others are hosted
    tools = tuple(
        ToolSpec(name=tool["name"], description=tool.get("description", ""), parameters=tool["parameters"])
        for tool in functions
    )
    thread = Thread(history=_history(items), requests=(len(items),))
    asked = msgspec.structs.replace(request(thread, len(items), GPT.provider, recorded["model"]), tools=tools)
    sent = msgspec.json.decode(body(asked))
    check(sent)
    assert sent["input"][-len(items) :] == items
    assert [tool["name"] for tool in sent.get("tools", ())] == [tool["name"] for tool in functions]
    assert (sent["model"], sent["stream"]) == (recorded["model"], True)
