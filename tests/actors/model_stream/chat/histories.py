"""Histories that a conversation can have, told by several models, and the points at which each would be sent."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from messages.base import CallId, ThreadId, TurnId
from messages.items import HistoryItem, ItemKind, Origin
from messages.model import SampleRequest

HERE = Origin(provider="p", model="m", wire="chat")
ORIGINS = (
    HERE,
    HERE,
    Origin(provider="p", model="older", wire="chat"),
    Origin(provider="openai", model="gpt-6", wire="responses"),
    Origin(provider="anthropic", model="claude", wire="messages"),
)
IMAGE = "data:image/png;base64,iVBORw0KGgo="

texts = st.sampled_from(("ok", "Look here.", "ünï¢ode ✓", '{"a": 1}', "  two\nlines "))
call_ids = st.sampled_from(("0", "call_1", "toolu_01AbCd", "functions.look:0", "x" * 70, "gSIMJiOkT", "weird id!"))
names = st.sampled_from(("look", "apply_patch", "mcp__server__a.b", "", "n" * 80))
arguments = st.sampled_from(("{}", '{"a":1}', "", '{"a":', "[1]", '{"input":"x"}'))


def item(kind: ItemKind, origin: Origin | None = None, **fields: Any) -> HistoryItem:
    """An item from its fields."""
    raw = msgspec.json.encode({"type": kind, **fields})
    return HistoryItem(kind=kind, raw=raw, call_id=fields.get("call_id"), origin=origin)


def user(text: str = "hi", **fields: Any) -> HistoryItem:
    return item("message", role="user", content=[{"type": "input_text", "text": text}], **fields)


def said(text: str, origin: Origin = HERE, **fields: Any) -> HistoryItem:
    return item("message", origin, role="assistant", content=[{"type": "output_text", "text": text}], **fields)


def thought(text: str, origin: Origin = HERE, **block: Any) -> HistoryItem:
    fields = {"callboard": {"block": block}} if block else {}
    return item("reasoning", origin, summary=[], content=[{"type": "reasoning_text", "text": text}], **fields)


def called(call_id: str, name: str, arguments: str = "{}", origin: Origin = HERE, **fields: Any) -> HistoryItem:
    return item("function_call", origin, call_id=CallId(call_id), name=name, arguments=arguments, **fields)


def output(call_id: str, content: Any = "ok") -> HistoryItem:
    return item("function_call_output", call_id=CallId(call_id), output=content)


def request(*history: HistoryItem, **fields: Any) -> SampleRequest:
    basis = SampleRequest(
        request_id="r",
        thread_id=ThreadId("t-1"),
        turn_id=TurnId("u"),
        provider="p",
        model="m",
        instructions="Be brief.",
        history=history,
    )
    return msgspec.structs.replace(basis, **fields)


@st.composite
def inputs(draw: st.DrawFn) -> HistoryItem:
    """What a person or we ourselves say."""
    if draw(st.integers(0, 5)) == 0:
        return item("message", role="developer", content=[{"type": "input_text", "text": draw(texts)}])
    content: list[dict[str, Any]] = [{"type": "input_text", "text": draw(texts)}]
    if draw(st.booleans()):
        content.append(
            {"type": "input_image", "image_url": IMAGE, "detail": draw(st.sampled_from(("high", "original")))}
        )
    return item("message", role="user", content=content)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[HistoryItem], list[HistoryItem]]:
    """What a model said in one response, and the outputs of its calls in the order in which they ended."""
    origin = draw(st.sampled_from(ORIGINS))
    items: list[HistoryItem] = []
    if draw(st.booleans()):
        block: dict[str, Any] = draw(
            st.sampled_from(
                ({}, {"field": "reasoning_content"}, {"field": "reasoning", "reasoning_details": [{"type": "x"}]})
            )
        )
        items.append(thought(draw(texts), origin, **block))
    calls = draw(st.lists(call_ids, max_size=3, unique=True))
    if draw(st.booleans()) or not calls:
        items.append(said(draw(texts), origin))
    outputs = []
    for call_id in calls:
        content: Any = draw(texts | st.just(""))
        if draw(st.integers(0, 3)) == 0:
            content = [{"type": "input_text", "text": content}, {"type": "input_image", "image_url": IMAGE}]
        if draw(st.booleans()):
            items.append(called(call_id, draw(names), draw(arguments), origin))
            outputs.append(output(call_id, content))
        else:
            items.append(item("custom_tool_call", origin, call_id=call_id, name="apply_patch", input=draw(texts)))
            outputs.append(item("custom_tool_call_output", call_id=call_id, output=content))
    return items, draw(st.permutations(outputs))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[tuple[HistoryItem, ...], ...]:
    """The histories of a conversation at each of its requests."""
    history: list[HistoryItem] = []
    sent = []
    for _ in range(draw(st.integers(1, 4))):
        history += draw(st.lists(inputs(), min_size=1, max_size=2))
        history.append(user(draw(texts)))
        sent.append(tuple(history))
        for _ in range(draw(st.integers(1, 3))):
            said_, outputs = draw(answers())
            history += [*said_, *outputs]
            if not outputs:
                break
            if draw(st.integers(0, 3)) == 0:
                history.append(user("and also"))  # steering
            sent.append(tuple(history))
    return tuple(sent)
