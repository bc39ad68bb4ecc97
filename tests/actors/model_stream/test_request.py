"""A request's body, and what of a history is sent to whom."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.responses.recital import Recital
from actors.model_stream.responses.request import body
from messages.base import CallId, ThreadId, TurnId
from messages.items import HistoryItem, ItemKind, Origin
from messages.model import SampleRequest, ToolSpec

HERE = Origin(provider="p", model="m", wire="responses")
OTHER_MODEL = Origin(provider="p", model="older", wire="responses")


def item(kind: ItemKind, raw: bytes, origin: Origin | None = None, call_id: str | None = None) -> HistoryItem:
    return HistoryItem(kind=kind, raw=raw, origin=origin, call_id=CallId(call_id) if call_id else None)


USER = item("message", b'{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}')
REASONING = item("reasoning", b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"xx=="}', HERE)
CALL = item(
    "function_call", b'{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"}', HERE, "c"
)
OUTPUT = item("function_call_output", b'{"type":"function_call_output","call_id":"c","output":"ok"}', None, "c")


def said(*history: HistoryItem) -> list[bytes]:
    return Recital().say(history, "p", "m")


def request(*history: HistoryItem, **fields: object) -> SampleRequest:
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


def test_the_whole_body() -> None:
    asked = request(
        USER,
        REASONING,
        CALL,
        OUTPUT,
        tools=(
            ToolSpec(name="f", description="d", parameters={"type": "object", "properties": {}}),
            ToolSpec(name="apply_patch", description="p", grammar="start: x"),
            ToolSpec(name="note", description="n"),
        ),
        reasoning_effort="high",
        reasoning_summary="auto",
        verbosity="low",
        output_schema={"type": "object"},
        max_output_tokens=9,
    )
    assert msgspec.json.decode(body(asked)) == {
        "model": "m",
        "instructions": "Be brief.",
        "tools": [
            {
                "type": "function",
                "name": "f",
                "description": "d",
                "strict": False,
                "parameters": {"type": "object", "properties": {}},
            },
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "p",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
            },
            {"type": "custom", "name": "note", "description": "n", "format": {"type": "text"}},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "output", "schema": {"type": "object"}, "strict": True},
        },
        "max_output_tokens": 9,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "t-1",
        "input": [msgspec.json.decode(part.raw) for part in (USER, REASONING, CALL, OUTPUT)],
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    sent = msgspec.json.decode(body(request(USER, instructions="", reasoning_summary="none", reasoning_effort="none")))
    assert set(sent) == {"model", "store", "stream", "include", "prompt_cache_key", "input"}


def test_the_history_is_in_the_body_byte_for_byte() -> None:
    odd = item("opaque", b'{ "type":"x" , "n":1.0e2,"s":"a\\/b" }', HERE)
    assert body(request(USER, odd)).endswith(b'"input":[' + USER.raw + b"," + odd.raw + b"]}")


def test_opaque_data_of_another_model_is_left_out_and_what_was_said_stays_without_the_id_that_tied_it() -> None:
    older = [msgspec.structs.replace(part, origin=OTHER_MODEL) for part in (REASONING, CALL)]
    opaque = item("opaque", b'{"type":"web_search_call","id":"ws"}', OTHER_MODEL)
    compaction = item("compaction", b'{"type":"compaction","encrypted_content":"y"}', OTHER_MODEL)
    kept = said(USER, older[0], opaque, older[1], OUTPUT, compaction, USER)
    without_id = b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}'
    assert kept == [USER.raw, without_id, OUTPUT.raw, USER.raw]


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    assert said(USER, REASONING, USER) == [USER.raw, USER.raw]
    assert said(USER, REASONING) == [USER.raw]
    assert said(REASONING, REASONING, CALL, OUTPUT) == [REASONING.raw, REASONING.raw, CALL.raw, OUTPUT.raw]


CALL_TWICE = item("function_call", CALL.raw, OTHER_MODEL, "c")
UNREADABLE = item("message", b"[]", OTHER_MODEL)
PARTS = st.sampled_from(
    [
        *(USER, REASONING, CALL, OUTPUT, CALL_TWICE),
        *(msgspec.structs.replace(p, origin=OTHER_MODEL) for p in (REASONING, CALL)),
    ]
)


@given(history=st.lists(PARTS), later=st.lists(PARTS))
def test_a_longer_history_begins_with_the_same_bytes(history: list[HistoryItem], later: list[HistoryItem]) -> None:
    """Prefix caches and signed thinking depend on it. Only reasoning at the very end may yet find its follower."""
    settled = len(history)
    while settled and history[settled - 1].kind == "reasoning":
        settled -= 1
    before = said(*history[:settled])
    after = said(*history[:settled], *history[settled:], *later)
    assert after[: len(before)] == before


MODELS = st.sampled_from(["m", "older"])


@given(requests=st.lists(st.tuples(st.booleans(), st.lists(PARTS, max_size=6), MODELS), max_size=6))
def test_what_was_said_before_never_changes_what_is_said(requests: list[tuple[bool, list[HistoryItem], str]]) -> None:
    """The history grows, or is another one (a compaction, a rollback); the model stays, or changes."""
    kept = Recital()
    history: tuple[HistoryItem, ...] = ()
    for grows, items, model in requests:
        history = (*history, *items) if grows else tuple(items)
        assert kept.say(history, "p", model) == Recital().say(history, "p", model)


def test_an_item_that_cannot_be_said_leaves_nothing_half_said() -> None:
    kept = Recital()
    with pytest.raises(msgspec.ValidationError):
        kept.say((USER, UNREADABLE), "p", "m")
    assert kept.say((USER, USER), "p", "m") == [USER.raw, USER.raw]
    with pytest.raises(msgspec.ValidationError):
        kept.say((USER, USER, OUTPUT, UNREADABLE), "p", "m")
    assert kept.say((USER, USER, OUTPUT), "p", "m") == [USER.raw, USER.raw, OUTPUT.raw]
