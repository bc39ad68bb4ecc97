"""Histories of any kind that a thread may have: made by models on three wires, cut where requests are made.

What a model on the Messages wire said comes out of our own decoder, so that it is what would really be there.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from messages.base import CallId
from messages.items import HistoryItem, ItemKind, Note, Origin
from tests.actors.model_stream.anthropic import hearing

CLAUDE = Origin(provider="anthropic", model="claude-opus-5-5", wire="messages")
GPT = Origin(provider="openai", model="gpt-6-sol", wire="responses")
OPEN = Origin(provider="somewhere", model="open-weights", wire="chat")

PIXEL = "data:image/png;base64,iVBORw0KGgo="


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A history and the places where it was as long as a request needs it: a model is to speak next."""

    history: tuple[HistoryItem, ...]
    requests: tuple[int, ...]


def item(kind: ItemKind, origin: Origin | None = None, **fields: Any) -> HistoryItem:
    """An item of our own making."""
    call_id = fields.get("call_id")
    raw = msgspec.json.encode({"type": kind, **fields})
    return HistoryItem(kind=kind, raw=raw, origin=origin, call_id=None if call_id is None else CallId(call_id))


def said(role: str, *parts: str | dict[str, Any]) -> HistoryItem:
    """A message that no model made."""
    content = [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in parts]
    return item("message", role=role, content=content)


def new_instructions(text: str, *, before: str) -> HistoryItem:
    """A change of instructions as the session remembers it."""
    content = [{"type": "input_text", "text": text}]
    return item("message", role="developer", content=content, callboard={"replaces": before})


texts = st.sampled_from(("Hello.", "Look at a.py, please.", "Two\n\nparagraphs.", " padded ", "ünïcødé ☃", ""))
call_ids = st.sampled_from(
    ("toolu_01A", "call_abcdefghijklmnopqrstuvwx", "0", "", "a.b:c/d", "x" * 100, "abc123XYZ", "call_1", "call_2")
)
names = st.sampled_from(("look", "apply_patch", "functions.odd", "look"))
arguments = st.sampled_from(("{}", '{"path":"a.py"}', '{"deep":{"a":[1,2.5,null]}}', "", "not json", "[1]", '"text"'))
images = st.just({"type": "input_image", "image_url": PIXEL})
outputs: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(("done", "", " \n", "Exit code: 1")),
    st.lists(
        st.one_of(st.builds(lambda text: {"type": "input_text", "text": text}, texts), images), min_size=1, max_size=3
    ),
)


@st.composite
def claude_answers(draw: st.DrawFn, calls: int) -> tuple[HistoryItem, ...]:
    """What a Claude model said, with so many calls."""
    makers: list[list[hearing.Event]] = []
    for _ in range(draw(st.integers(0, 3))):
        index = len(makers)
        kind = draw(st.sampled_from(("text", "empty", "thinking", "omitted", "redacted", "cited", "searched")))
        if kind == "text":
            makers.append(hearing.text(index, draw(texts)))
        elif kind == "empty":
            makers.append(hearing.text(index, ""))
        elif kind == "thinking":
            makers.append(hearing.thinking(index, "Let me see."))
        elif kind == "omitted":
            makers.append(hearing.thinking(index, ""))
        elif kind == "redacted":
            makers.append([hearing.start(index, "redacted_thinking", data="ZGF0YQ=="), hearing.stop(index)])
        elif kind == "cited":
            citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
            cited = hearing.delta(index, "citations_delta", citation=citation)
            begun, *rest = hearing.text(index, "As it says.")
            makers.append([begun, cited, *rest])
        else:
            id_ = f"srvtoolu_{draw(st.integers(0, 10**6))}"
            called = hearing.tool(index, '{"query":"x"}', id_=id_, name="web_search")
            called[0]["content_block"]["type"] = "server_tool_use"
            makers.append(called)
            result = {"tool_use_id": id_, "content": []}
            makers.append([hearing.start(index + 1, "web_search_tool_result", **result), hearing.stop(index + 1)])
    if not calls:
        makers.append(hearing.text(len(makers), "That is all."))
    ids = draw(st.lists(call_ids.filter(bool), min_size=calls, max_size=calls, unique=True))
    for id_ in ids:
        name = draw(names)
        pieces = draw(st.sampled_from((("{}",), ('{"path":', '"a.py"}'), ("",))))
        if name == "apply_patch":
            pieces = ('{"input":', '"*** Begin Patch"}')
        makers.append(hearing.tool(len(makers), *pieces, id_=id_, name=name, caller={"type": "direct"}))
    stream = hearing.response(*makers, reason="tool_use" if calls else "end_turn")
    return hearing.hear([stream], freeform=frozenset(("apply_patch",)), origin=CLAUDE).items


@st.composite
def other_answers(draw: st.DrawFn, calls: int, origin: Origin) -> tuple[HistoryItem, ...]:
    """What a model on one of OpenAI's wires said, with so many calls."""
    own = origin.wire == "responses"
    items: list[HistoryItem] = []
    if draw(st.booleans()):
        number = draw(st.integers(0, 999))
        if own:
            items.append(item("reasoning", origin, id=f"rs_{number}", summary=[], encrypted_content="Z0FBQQ=="))
        else:
            thoughts = [{"type": "reasoning_text", "text": "Hmm."}]
            items.append(item("reasoning", origin, summary=[], content=thoughts))
    if not calls or draw(st.booleans()):
        content = [{"type": "output_text", "text": draw(texts) or "So."}]
        message = {"role": "assistant", "content": content, **({"id": "msg_1", "phase": "commentary"} if own else {})}
        items.append(item("message", origin, **message))
    for id_ in draw(st.lists(call_ids.filter(bool), min_size=calls, max_size=calls, unique=True)):
        name = draw(names)
        if name == "apply_patch":
            items.append(item("custom_tool_call", origin, call_id=id_, name=name, input="*** Begin Patch"))
        else:
            items.append(item("function_call", origin, call_id=id_, name=name, arguments=draw(arguments)))
    return tuple(items)


@st.composite
def threads(draw: st.DrawFn, makers: tuple[Origin, ...] = (CLAUDE, GPT, OPEN)) -> Thread:
    """A thread of a few turns, which may change hands with every response."""
    history: list[HistoryItem] = []
    requests: list[int] = []
    if draw(st.booleans()):
        history.append(said("developer", "Be brief."))
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(1, 2))):
            parts = draw(st.lists(st.one_of(texts, images), min_size=1, max_size=3))
            history.append(said("user", *parts))
            if draw(st.integers(0, 5)) == 0:
                history.append(said("developer", "The rules have changed."))
        if requests and draw(st.integers(0, 3)) == 0:
            history.append(new_instructions("You are another test.", before="You are a test."))
        for calls in (*draw(st.lists(st.integers(1, 3), max_size=2)), 0):
            requests.append(len(history))
            origin = draw(st.sampled_from(makers))
            answers = claude_answers(calls) if origin == CLAUDE else other_answers(calls, origin)
            answer = draw(answers)
            history.extend(answer)
            history.extend(_output(draw, call) for call in answer if call.call_id is not None)
            if calls and draw(st.integers(0, 4)) == 0:
                history.append(said("user", "By the way:", "be quick."))
    return Thread(history=tuple(history), requests=tuple(requests))


def _output(draw: st.DrawFn, call: HistoryItem) -> HistoryItem:
    kind: ItemKind = "custom_tool_call_output" if call.kind == "custom_tool_call" else "function_call_output"
    note: dict[str, Any] = {"callboard": Note(failed=True)} if draw(st.integers(0, 3)) == 0 else {}
    return item(kind, call_id=call.call_id, output=draw(outputs), **note)
