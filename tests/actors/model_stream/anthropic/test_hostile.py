"""Whatever a server sends, it is heard or told as a failure: nothing it says can crash a session."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream.anthropic.partial import certain
from tests.actors.model_stream.anthropic.hearing import ending, hear, hear_all, hear_whole, message_start, stream, text

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
TYPES = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
    *("message_stop", "ping", "error", "text", "tool_use", "thinking", "text_delta", "input_json_delta", "fallback"),
    *("signature_delta", "citations_delta", "compaction", "compaction_delta", "server_tool_use", "max_tokens"),
)
NAMES = (
    *("type", "index", "delta", "content_block", "message", "usage", "text", "id", "name", "input", "partial_json"),
    *("content", "citations", "signature", "stop_reason", "stop_details", "iterations", "error", "to", "model"),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, st.sampled_from(TYPES), st.integers(0, 2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)),
    max_leaves=12,
)
events = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
    st.builds(
        lambda type_, rest: {**rest, "type": type_},
        st.sampled_from(TYPES),
        st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=8))
def test_any_events_are_heard_or_told_as_a_failure(said: list[dict[str, Any]]) -> None:
    body = b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in said)
    heard, _ = hear_all([stream(message_start()) + body + stream(*text(0, "x"), *ending())])
    assert (heard.failure is None) == (heard.completed is not None)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=6), st.lists(values, max_size=3))
def test_any_object_is_a_response_or_none(fields: dict[str, Any], content: list[Any]) -> None:
    heard = hear_whole(msgspec.json.encode({**fields, "content": content}))
    assert heard is None or (heard.failure is None) == (heard.completed is not None)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_told_as_a_failure(garbage: bytes, place: int) -> None:
    whole = stream(message_start(), *text(0, "x"), *ending())
    heard = hear([whole[:place] + garbage])
    assert heard.failure is not None or heard.completed is not None


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**64, 1e308])
def test_a_counter_beyond_all_bounds_counts_nothing(number: float) -> None:
    body = b'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":%b}}\n\n' % str(number).encode()
    heard = hear([stream(message_start()) + body + stream({"type": "message_stop"})])
    assert heard.failure is not None or heard.completed is not None


@settings(max_examples=200, deadline=None)
@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)), st.data())
def test_what_is_certain_of_json_that_was_cut_off_is_a_part_of_it(value: Any, data: st.DataObject) -> None:
    written = msgspec.json.encode(value).decode()
    assert certain(written) == msgspec.json.decode(written)
    cut = certain(written[: data.draw(st.integers(0, len(written)))])
    if isinstance(value, list) and cut is not None:
        assert isinstance(cut, list)
        assert len(cut) <= len(value)
    if isinstance(value, dict) and cut is not None:
        assert isinstance(cut, dict)
        assert cut.keys() <= value.keys()
