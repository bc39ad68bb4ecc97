"""Requests for tests, and the bodies that are made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.anthropic.request import body, headers
from messages.base import ThreadId, TurnId
from messages.items import HistoryItem, Origin
from messages.model import SampleRequest, ToolSpec
from messages.settings import ProviderSettings
from tests.actors.model_stream.rendering.histories import item, said

MODEL = "claude-haiku-5-5"
MADE = Origin(provider="anthropic", model=MODEL, wire="messages")
FOREIGN = Origin(provider="openai", model="gpt-6-sol", wire="responses")
PROVIDER = ProviderSettings(base_url="http://127.0.0.1:7/v1", wire_api="messages")

LOOK = ToolSpec(
    name="look",
    description="Look at a file.",
    parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)
PATCH = ToolSpec(name="apply_patch", description="Change files.", grammar="start: /.+/")


def request(*history: HistoryItem, model: str = MODEL, **fields: Any) -> SampleRequest:
    return SampleRequest(
        request_id="r1",
        thread_id=ThreadId("t1"),
        turn_id=TurnId("u1"),
        provider=fields.pop("provider", "anthropic"),
        model=model,
        instructions=fields.pop("instructions", "You are a test."),
        history=history or (said("user", "hello"),),
        **fields,
    )


def sent(*history: HistoryItem, **fields: Any) -> dict[str, Any]:
    """The body of a request with this history."""
    made: dict[str, Any] = msgspec.json.decode(body(request(*history, **fields), PROVIDER))
    return made


def messages(*history: HistoryItem, **fields: Any) -> list[dict[str, Any]]:
    """Its messages."""
    made: list[dict[str, Any]] = sent(*history, **fields)["messages"]
    return made


def beside(model: str = MODEL, provider: ProviderSettings = PROVIDER, **fields: Any) -> dict[str, str]:
    """The headers of a request."""
    return dict(headers(request(model=model, **fields), provider))


def call(call_id: str, name: str = "look", arguments: str = "{}", origin: Origin = MADE, **fields: Any) -> HistoryItem:
    return item("function_call", origin, call_id=call_id, name=name, arguments=arguments, **fields)


def output(call_id: str, output: Any = "done", *, failed: bool = False) -> HistoryItem:
    note: dict[str, Any] = {"callboard": {"failed": True}} if failed else {}
    return item("function_call_output", call_id=call_id, output=output, **note)


def answer(text: str, origin: Origin = MADE, **fields: Any) -> HistoryItem:
    return item("message", origin, role="assistant", content=[{"type": "output_text", "text": text}], **fields)


def thought(text: str = "Let me see.", signature: str = "c2ln", origin: Origin = MADE) -> HistoryItem:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return item("reasoning", origin, summary=summary, encrypted_content=signature)


__all__ = ["item", "said"]
