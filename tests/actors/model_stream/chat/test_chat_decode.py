"""What servers do to a Chat Completions stream, one habit at a time. The streams are made up; the habits are not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.chat.decode import MAX_UNREADABLE_EVENTS
from messages.base import CallId
from messages.items import HistoryItem
from messages.model import ItemBegan, ItemFinished, SampleCompleted, StopReason, TextBegan, TokenUsage
from tests.actors.model_stream.chat.listening import ORIGIN, call, chunk, hear, listen, stream
from tests.actors.model_stream.hearing import Heard, cut

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def calls(heard: Heard) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of the finished calls."""
    found = [msgspec.json.decode(item.raw) for item in heard.items if item.kind == "function_call"]
    return [(each["call_id"], each["name"], each["arguments"]) for each in found]


def of_calls(*deltas: Any, finish: str | None = "tool_calls") -> Heard:
    return hear([stream(*(chunk(delta) for delta in deltas), chunk(finish=finish))])


def test_reasoning_text_and_a_call_become_three_items_in_that_order_and_usage_after_the_finish_counts() -> None:
    heard = hear(
        [
            stream(
                chunk({"role": "assistant", "content": ""}),
                chunk({"reasoning_content": "Hm"}),
                chunk({"reasoning_content": "m."}),
                chunk({"content": "Let me "}),
                chunk({"content": "look."}),
                chunk(call(id_="call_a", name="look", arguments="")),
                chunk(call(arguments='{"at":')),
                chunk(call(arguments='"x"}')),
                chunk(finish="tool_calls"),
                {"id": "chatcmpl-1", "choices": [], "usage": USAGE},
            )
        ]
    )
    reasoning = (
        b'{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Hmm."}],'
        b'"callboard":{"block":{"field":"reasoning_content"}}}'
    )
    said = (
        b'{"type":"message","role":"assistant",'
        b'"content":[{"type":"output_text","text":"Let me look.","annotations":[]}]}'
    )
    called = b'{"type":"function_call","call_id":"call_a","name":"look","arguments":"{\\"at\\":\\"x\\"}"}'
    assert heard.events == (
        ItemBegan(request_id="r1", slot=0, kind="reasoning"),
        TextBegan(request_id="r1", slot=0, text_slot=0, channel="reasoning"),
        ItemBegan(request_id="r1", slot=1, kind="message"),
        TextBegan(request_id="r1", slot=1, text_slot=1, channel="text"),
        ItemBegan(request_id="r1", slot=2, kind="function_call", call_id=CallId("call_a"), name="look"),
        ItemFinished(request_id="r1", slot=0, item=HistoryItem(kind="reasoning", raw=reasoning, origin=ORIGIN)),
        ItemFinished(request_id="r1", slot=1, item=HistoryItem(kind="message", raw=said, origin=ORIGIN)),
        ItemFinished(
            request_id="r1",
            slot=2,
            item=HistoryItem(kind="function_call", raw=called, call_id=CallId("call_a"), origin=ORIGIN),
        ),
        SampleCompleted(
            request_id="r1",
            response_id="chatcmpl-1",
            stop="tool_use",
            usage=TokenUsage(input=5, output=2, total=7),
            model="m-1",
            wire_stop="tool_calls",
            wire_usage=msgspec.json.encode(USAGE),
        ),
    )
    assert heard.texts == ((0, "reasoning", 0, "Hmm."), (1, "text", 0, "Let me look."))


def test_a_whole_response_is_heard_by_the_same_rules() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "Hm.",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }
    _, decoder = listen([stream(chunk(finish="stop"))])
    assert decoder.take_whole(b'{"choices":[]}') is None
    streamed = hear(
        [
            stream(
                chunk({"reasoning": "Hm."}), chunk(call(id_="c", name="f", arguments="{}")), chunk(finish="tool_calls")
            )
        ]
    )
    fresh = type(decoder)("r1", ORIGIN, decoder._texts)
    events = fresh.take_whole(msgspec.json.encode(body))
    assert events is not None
    assert [event.item for event in events if isinstance(event, ItemFinished)] == list(streamed.items)
    assert isinstance(events[-1], SampleCompleted)
    assert events[-1].stop == "tool_use"


def test_parallel_calls_of_one_index_are_told_apart_by_their_ids() -> None:
    heard = of_calls(call(0, id_="a", name="f", arguments="{}"), call(0, id_="b", name="f", arguments="{}"))
    assert calls(heard) == [("a", "f", "{}"), ("b", "f", "{}")]


def test_parallel_calls_of_one_index_without_ids_are_told_apart_by_their_whole_objects() -> None:
    heard = of_calls(call(0, name="f", arguments='{"a":1}'), call(0, name="f", arguments='{"a":2}'))
    assert [(name, arguments) for _, name, arguments in calls(heard)] == [("f", '{"a":1}'), ("f", '{"a":2}')]
    ids = [id_ for id_, _, _ in calls(heard)]
    assert len(set(ids)) == 2
    assert all(ids)


def test_without_an_index_an_id_or_a_name_begins_a_call_and_the_rest_goes_on_with_the_last() -> None:
    heard = of_calls(
        call(None, id_="a", name="f", arguments='{"x"'),
        call(None, arguments=":1}"),
        call(None, name="g", arguments="{}"),
        call(None, id_="a", arguments=" "),
    )
    first, second = calls(heard)
    assert first == ("a", "f", '{"x":1} ')
    assert second[1:] == ("g", "{}")


def test_id_and_name_repeated_in_every_delta_are_taken_once() -> None:
    heard = of_calls(*(call(0, id_="0", name="llm_version", arguments=piece) for piece in (None, "{", "}")))
    assert calls(heard) == [("0", "llm_version", "{}")]


def test_arguments_sent_once_more_as_a_whole_are_not_appended() -> None:
    heard = of_calls(
        call(0, id_="a", name="f", arguments='{"x":'),
        call(0, arguments='{"y":1}'),
        call(0, arguments="}"),
        call(0, name="f", arguments='{"x":{"y":1}}'),
    )
    assert calls(heard) == [("a", "f", '{"x":{"y":1}}')]


def test_arguments_as_an_object_become_text_and_those_that_never_come_are_none() -> None:
    heard = of_calls(call(0, id_="a", name="f", arguments={"x": 1}), call(1, id_="b", name="g", arguments=None))
    assert calls(heard) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_two_calls_of_one_id_get_one_each() -> None:
    heard = of_calls(call(0, id_="x", name="f", arguments="{}"), call(1, id_="x", name="g", arguments="{}"))
    assert [(name, id_ == "x") for id_, name, _ in calls(heard)] == [("f", True), ("g", False)]


def test_a_freeform_call_is_one_whether_it_comes_as_such_or_wrapped_into_a_function() -> None:
    native = {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** B"}}]}
    more = {"tool_calls": [{"index": 0, "custom": {"input": "egin"}}]}
    wrapped = call(1, id_="b", name="patch", arguments='{"input":"text"}')
    heard, _ = listen([stream(chunk(native), chunk(more), chunk(wrapped), chunk(finish="tool_calls"))])
    assert [each.kind for each in heard.began] == ["custom_tool_call", "function_call"]
    heard, _ = listen(
        [stream(chunk(native), chunk(more), chunk(wrapped), chunk(finish="tool_calls"))], freeform=frozenset({"patch"})
    )
    assert [each.kind for each in heard.began] == ["custom_tool_call", "custom_tool_call"]
    assert [msgspec.json.decode(item.raw)["input"] for item in heard.items] == ["*** Begin", "text"]


def test_a_call_of_the_time_before_tools_is_a_call() -> None:
    heard = hear(
        [
            stream(
                chunk({"function_call": {"name": "f", "arguments": '{"a"'}}),
                chunk({"function_call": {"arguments": ":1}"}}),
                chunk(finish="function_call"),
            )
        ]
    )
    assert [each[1:] for each in calls(heard)] == [("f", '{"a":1}')]


def test_thought_signatures_are_kept_with_what_they_belong_to() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    delta = call(None, id_="", name="f", arguments="{}")
    delta["tool_calls"][0]["extra_content"] = signature
    heard = of_calls(delta)
    assert msgspec.json.decode(heard.items[0].raw)["callboard"] == {"block": {"extra_content": signature}}
    alone = hear([stream(chunk({"content": "4"}), chunk({"extra_content": signature}), chunk(finish="stop"))])
    assert msgspec.json.decode(alone.items[0].raw)["callboard"] == {"block": {"extra_content": signature}}
    metadata_only = hear(
        [stream(chunk({"tool_calls": [{"extra_content": signature}]}), chunk({"content": "4"}), chunk(finish="stop"))]
    )
    assert metadata_only.items == alone.items


def test_encrypted_reasoning_without_words_is_kept_for_replay() -> None:
    details = [{"type": "reasoning.encrypted", "data": "gAAA"}]
    heard = hear([stream(chunk({"content": "", "reasoning_details": details}), chunk({"content": "4"}, "stop"))])
    assert [item.kind for item in heard.items] == ["reasoning", "message"]
    assert msgspec.json.decode(heard.items[0].raw) == {
        "type": "reasoning",
        "summary": [],
        "callboard": {"block": {"reasoning_details": details}},
    }


def test_reasoning_sent_under_both_names_is_heard_once() -> None:
    heard = hear([stream(chunk({"reasoning": "Hm", "reasoning_content": "Hm"}), chunk({"content": "4"}, "stop"))])
    assert heard.texts == ((0, "reasoning", 0, "Hm"), (1, "text", 0, "4"))


def test_citations_are_kept_in_our_vocabulary_and_other_annotations_are_not() -> None:
    citation = {"url": "https://e.example", "title": "E", "start_index": 0, "end_index": 2, "content": "…"}
    annotations = [{"type": "url_citation", "url_citation": citation}, {"type": "file", "file": {}}]
    heard = hear([stream(chunk({"content": "ok", "annotations": annotations}, "stop"))])
    part = msgspec.json.decode(heard.items[0].raw)["content"][0]
    assert part["annotations"] == [
        {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://e.example", "title": "E"}
    ]


@pytest.mark.parametrize(
    ("finish", "with_call", "stop"),
    [
        ("stop", False, "end"),
        ("stop", True, "tool_use"),
        ("tool_calls", False, "end"),
        ("tool_calls", True, "tool_use"),
        ("function_call", True, "tool_use"),
        ("eos", False, "end"),
        ("something_new", False, "end"),
        ("something_new", True, "tool_use"),
        ("length", False, "length"),
        ("length", True, "length"),
        ("content_filter", True, "filtered"),
        ("content_filter", False, "filtered"),
        ("model_length", False, "length"),
        (None, False, "end"),
        (None, True, "tool_use"),
    ],
)
def test_calls_are_asked_for_whatever_the_finish_reason_says_unless_it_says_that_the_answer_was_cut(
    finish: str | None, with_call: bool, stop: StopReason
) -> None:
    delta = call(0, id_="a", name="f", arguments="{}") if with_call else {"content": "x"}
    heard = hear([stream(chunk(delta), chunk(finish=finish))])
    assert heard.completed is not None
    assert (heard.completed.stop, heard.completed.wire_stop) == (stop, finish)


def test_a_refusal_is_one_though_the_finish_reason_is_stop() -> None:
    heard = hear([stream(chunk({"refusal": "No, "}), chunk({"refusal": "sorry."}), chunk(finish="stop"))])
    assert heard.completed is not None
    assert heard.completed.stop == "refused"
    assert msgspec.json.decode(heard.items[0].raw)["content"] == [{"type": "refusal", "refusal": "No, sorry."}]


def test_the_stream_may_end_without_done_after_a_finish_reason_and_not_without_one() -> None:
    heard = hear([stream(chunk({"content": "x"}), chunk(finish="stop"), done=False)])
    assert heard.completed is not None
    assert [item.kind for item in heard.items] == ["message"]
    broken = hear([stream(chunk(call(0, id_="a", name="f", arguments="{}")), done=False)])
    assert broken.completed is None
    assert broken.items == ()
    assert broken.failure is not None
    assert (broken.failure.kind, broken.failure.retryable) == ("stream_disconnected", True)


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 502, "message": "Provider returned error"}, "server_error", True),
        ({"code": 429, "message": "slow down"}, "rate_limited", True),
        ({"code": 402, "message": "no credits"}, "quota_exhausted", False),
        ({"code": "tool_use_failed", "type": "invalid_request_error", "message": "no call"}, "invalid_request", False),
        ({"message": "This model's maximum context length is 8192 tokens."}, "context_window_exceeded", False),
        ("overloaded", "server_error", True),
        ({}, None, None),
    ],
)
def test_an_error_in_a_chunk_fails_the_answer_even_after_a_finish_reason(
    error: Any, kind: str | None, retryable: bool | None
) -> None:
    heard = hear([stream(chunk({"content": "x"}, "stop"), {"error": error, "choices": []})])
    if kind is None:
        assert heard.completed is not None
        return
    assert heard.completed is None
    assert heard.failure is not None
    assert (heard.failure.kind, heard.failure.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    "frame",
    [
        b'event: error\ndata: {"error":{"message":"Tool choice is required","code":"tool_use_failed"}}\n\n',
        b'event: error\ndata: {"message":"it broke","code":"x"}\n\n',
        b"event: error\ndata: it broke\n\n",
        b'data: {"object":"error","message":"it broke","type":"InternalServerError","code":500}\n\n',
        b'data: {"detail":"it broke"}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502,"message":"x"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\ndata: [DONE]\n\n',
        b'data: {"x_groq":{"error":"over_capacity"}}\n\n',
    ],
)
def test_every_way_to_report_an_error_in_a_stream_is_heard(frame: bytes) -> None:
    heard = hear([stream(chunk({"content": "x"}), done=False) + frame])
    assert heard.completed is None
    assert heard.failure is not None
    assert heard.failure.kind in ("server_error", "invalid_request")


def test_another_protocol_is_named_as_such() -> None:
    garbage = hear([b"data: garbage\n\n" * MAX_UNREADABLE_EVENTS])
    assert garbage.failure is not None
    assert garbage.failure.kind == "protocol"
    other = hear([b'event: message_start\ndata: {"type":"message_start"}\n\n'])
    assert other.failure is not None
    assert other.failure.kind == "protocol"
    assert "wire_api" in other.failure.message


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 354,
                "prompt_tokens_details": {"cached_tokens": 11},
                "completion_tokens_details": {"reasoning_tokens": 340},
            },
            TokenUsage(input=12, cached_input=11, output=342, reasoning_output=340, total=354),
        ),
        (
            {"prompt_tokens": 451, "completion_tokens": 21, "total_tokens": 472, "prompt_cache_hit_tokens": 384},
            TokenUsage(input=451, cached_input=384, output=21, total=472),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 11}},
            TokenUsage(input=9, output=10, reasoning_output=10, total=19),
        ),
        (
            {"prompt_tokens": 347, "completion_tokens": 18, "prompt_tokens_details": {"cached_tokens": 403}},
            TokenUsage(input=347, cached_input=347, output=18, total=365),
        ),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 3}},
            TokenUsage(input=5, cached_input=1, cache_write_input=3, total=5),
        ),
        ({"prompt_tokens": "many", "completion_tokens": -1, "prompt_tokens_details": None}, TokenUsage()),
        ("nothing", TokenUsage()),
    ],
    ids=["xai", "deepseek", "more reasoning than output", "more cached than input", "writes", "nonsense", "a string"],
)
def test_usage_is_counted_one_way(raw: Any, usage: TokenUsage) -> None:
    heard = hear([stream(chunk({"content": "x"}, "stop", usage={"prompt_tokens": 1}), {"choices": [], "usage": raw})])
    assert heard.completed is not None
    assert heard.completed.usage == usage


def test_groqs_usage_counts_where_there_is_no_other() -> None:
    heard = hear([stream(chunk({"content": "x"}, "stop", x_groq={"id": "r", "usage": USAGE}))])
    assert heard.completed is not None
    assert heard.completed.usage == TokenUsage(input=5, output=2, total=7)


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call", "reasoning_details")


@given(
    deltas=st.lists(st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4), max_size=5),
    top=st.dictionaries(st.sampled_from(("id", "model", "usage", "x_groq", "object")), JUNK, max_size=3),
    seed=st.integers(0, 1000),
)
def test_fields_of_any_shape_neither_break_the_decoder_nor_depend_on_the_cuts(
    deltas: list[dict[str, Any]], top: dict[str, Any], seed: int
) -> None:
    data = stream(*({**chunk(delta), **top} for delta in deltas), chunk(finish="stop"))
    whole = hear([data])
    assert (whole.completed is None) != (whole.failure is None)
    assert hear(cut(data, seed)) == whole
