"""What servers do to a Responses stream, one habit at a time. The streams here are made up; the habits are not."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream import report
from messages.base import CallId
from messages.items import HistoryItem
from messages.model import ItemBegan, ItemFinished, SampleCompleted, TextBegan, TokenUsage
from tests.actors.model_stream.hearing import ORIGIN, cut, hear, sse

Event = dict[str, Any]


def created(id_: str = "resp_1") -> Event:
    return {"type": "response.created", "response": {"id": id_, "model": "m-1", "status": "in_progress"}}


def completed(**fields: Any) -> Event:
    return {"type": "response.completed", "response": {"id": "resp_1", "model": "m-1", "status": "completed", **fields}}


def added(index: int | None, item: Event) -> Event:
    event: Event = {"type": "response.output_item.added", "item": item}
    return event if index is None else {**event, "output_index": index}


def done(index: int | None, item: Event) -> Event:
    event: Event = {"type": "response.output_item.done", "item": item}
    return event if index is None else {**event, "output_index": index}


def delta(index: int | None, text: str, part: int = 0) -> Event:
    event: Event = {"type": "response.output_text.delta", "content_index": part, "delta": text}
    return event if index is None else {**event, "output_index": index}


def message(text: str, id_: str = "msg_1", **fields: Any) -> Event:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": id_, "role": "assistant", "status": "completed", "content": content, **fields}


def call(call_id: str = "call_1", **fields: Any) -> Event:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "look", "arguments": "{}", **fields}


EMPTY: Event = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}


def test_one_message_is_heard_as_four_events_and_its_item_is_kept_as_sent_but_for_the_status() -> None:
    stream = sse(
        created(),
        added(0, EMPTY),
        delta(0, "Hel"),
        delta(0, "lo"),
        done(0, message("Hello", phase="final_answer")),
        completed(usage={"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}),
    )
    heard = hear([stream])
    raw = (
        b'{"type":"message","id":"msg_1","role":"assistant",'
        b'"content":[{"type":"output_text","text":"Hello","annotations":[]}],"phase":"final_answer"}'
    )
    assert heard.events == (
        ItemBegan(request_id="r1", slot=0, kind="message", provider_item_id="msg_1"),
        TextBegan(request_id="r1", slot=0, text_slot=0, channel="text", index=0),
        ItemFinished(request_id="r1", slot=0, item=HistoryItem(kind="message", raw=raw, origin=ORIGIN)),
        SampleCompleted(
            request_id="r1",
            response_id="resp_1",
            stop="end",
            usage=TokenUsage(input=5, output=2, total=7),
            model="m-1",
            wire_stop="completed",
            wire_usage=b'{"input_tokens":5,"output_tokens":2,"total_tokens":7}',
        ),
    )
    assert heard.texts == ((0, "text", 0, "Hello"),)


def test_ids_that_change_with_every_event_do_not_matter() -> None:
    events = [created("a"), added(0, {**EMPTY, "id": "b"})]
    events += [{**delta(0, "x"), "item_id": f"c{n}"} for n in range(3)]
    events += [done(0, message("xxx", id_="d")), completed(id="e")]
    heard = hear([sse(*events)])
    assert heard.texts == ((0, "text", 0, "xxx"),)
    assert len(heard.items) == 1


def test_interleaved_items_keep_their_texts_apart_and_finish_in_the_order_they_began() -> None:
    heard = hear(
        [
            sse(
                created(),
                added(0, EMPTY),
                added(1, EMPTY),
                delta(0, "a"),
                delta(1, "b"),
                delta(0, "a"),
                done(1, message("b", id_="second")),
                delta(0, "a"),
                done(0, message("aaa", id_="first")),
                completed(),
            )
        ]
    )
    assert [(slot, text) for slot, _, _, text in heard.texts] == [(0, "aaa"), (1, "b")]
    assert [e.slot for e in heard.events if isinstance(e, ItemFinished)] == [0, 1]


def test_events_without_any_index_belong_to_the_latest_item() -> None:
    heard = hear(
        [
            sse(
                added(None, EMPTY),
                delta(None, "one"),
                done(None, message("one")),
                added(None, EMPTY),
                delta(None, "two"),
                done(None, message("two", id_="msg_2")),
                completed(),
            )
        ]
    )
    assert [(slot, text) for slot, _, _, text in heard.texts] == [(0, "one"), (1, "two")]
    assert len(heard.items) == 2


def test_items_that_were_never_announced_begin_with_their_first_sign() -> None:
    heard = hear([sse(delta(0, "hi"), done(0, message("hi")), done(1, call()), completed())])
    assert [(e.slot, e.kind) for e in heard.began] == [(0, "message"), (1, "function_call")]
    assert heard.completed is not None
    assert heard.completed.stop == "tool_use"


def test_an_event_may_be_named_by_its_event_line_alone() -> None:
    stream = sse(added(0, EMPTY), delta(0, "a"), delta(0, "b"), done(0, message("ab")), completed())
    lines = [line for line in stream.decode().splitlines() if line]
    bare = "".join(
        f"{line}\n" if line.startswith("event") else "data: " + _without_type(line[6:]) + "\n\n" for line in lines
    )
    assert hear([bare.encode()]) == hear([stream])


def _without_type(data: str) -> str:
    event = msgspec.json.decode(data)
    del event["type"]
    return msgspec.json.encode(event).decode()


def test_the_done_event_decides_about_a_calls_id_and_name() -> None:
    heard = hear([sse(added(0, call("early", name="l")), done(0, call("late")), completed())])
    assert heard.items[0].call_id == CallId("late")


def test_a_call_that_could_not_be_answered_is_repaired() -> None:
    broken = {"type": "function_call", "id": "fc_9", "arguments": {"path": "a b"}}
    heard = hear([sse(done(0, broken), completed())])
    item = heard.items[0]
    assert (item.kind, item.call_id) == ("function_call", "fc_9")
    assert msgspec.json.decode(item.raw) == {**broken, "call_id": "fc_9", "name": "", "arguments": '{"path":"a b"}'}


def test_an_item_that_is_finished_twice_is_one_item() -> None:
    heard = hear([sse(added(0, call()), done(0, call()), done(0, call()), completed())])
    assert len(heard.items) == 1


def test_unknown_items_are_kept_whole_and_unknown_events_pass() -> None:
    thing = {"type": "hologram_call", "id": "h1", "payload": {"deep": [1, 2.50, {"x": None}]}}
    heard = hear(
        [
            sse(
                created(),
                {"type": "response.hologram_call.shimmering", "output_index": 0, "delta": {"lights": 3}},
                done(0, thing),
                {"type": "keepalive"},
                completed(),
            )
        ]
    )
    assert [(item.kind, item.raw) for item in heard.items] == [("opaque", msgspec.json.encode(thing))]


def test_numbers_and_escapes_of_an_item_survive_to_the_byte() -> None:
    raw = b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"a\\/b\\u00e9","n":1.0e2}'
    heard = hear(
        [b'data: {"type":"response.output_item.done","output_index":0,"item":' + raw + b"}\n\n", sse(completed())]
    )
    assert heard.items[0].raw == raw


def test_an_item_on_many_lines_is_kept_on_one() -> None:
    raw = msgspec.json.format(msgspec.json.encode(message("a\nb")), indent=2)
    data = b'{"type":"response.output_item.done","output_index":0,"item":%b}' % raw
    stream = b"".join(b"data: " + line + b"\n" for line in data.splitlines()) + b"\n" + sse(completed())
    item = hear([stream]).items[0]
    assert b"\n" not in item.raw
    assert msgspec.json.decode(item.raw)["content"][0]["text"] == "a\nb"


def test_a_lone_surrogate_and_broken_utf8_become_replacement_characters() -> None:
    heard = hear(
        [
            sse(delta(0, "a-")).replace(b"-", b"\\ud83d"),
            sse(delta(0, "-")).replace(b'"-"', b'"\xff\\ud83d\\ude00"'),
            sse(done(0, message("a"))).replace(b'"a"', b'"\\\\ud83d \\ud83d \xff"'),
            sse(completed()),
        ]
    )
    assert heard.texts == ((0, "text", 0, "a\ufffd\ufffd\U0001f600"),)
    assert msgspec.json.decode(heard.items[0].raw)["content"][0]["text"] == "\\ud83d \ufffd \ufffd"


def test_text_that_came_without_deltas_is_shown_when_its_part_is_done() -> None:
    part = {"type": "response.content_part.done", "output_index": 0, "content_index": 0}
    heard = hear(
        [
            sse(
                added(0, EMPTY),
                {**part, "part": {"type": "output_text", "text": "whole"}},
                done(0, message("whole")),
                completed(),
            )
        ]
    )
    assert heard.texts == ((0, "text", 0, "whole"),)


def test_refusals_and_reasoning_have_their_own_channels() -> None:
    refusal = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    heard = hear(
        [
            sse(
                {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "p"},
                {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "q"},
                {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "raw"},
                done(0, {"type": "reasoning", "summary": []}),
                {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "delta": "No."},
                done(1, refusal),
                completed(),
            )
        ]
    )
    assert heard.texts == (
        (0, "summary", 0, "p"),
        (0, "summary", 1, "q"),
        (0, "reasoning", 0, "raw"),
        (1, "refusal", 0, "No."),
    )
    assert heard.completed is not None
    assert heard.completed.stop == "refused"


def test_an_error_and_the_failure_that_repeats_it_are_one_failure() -> None:
    error = {"code": "insufficient_quota", "message": "no money"}
    firsts: tuple[Event, ...] = (
        {"type": "error", "error": {"type": "insufficient_quota", **error}},
        {"type": "error", **error},
    )
    for first in firsts:
        heard = hear([sse(created(), first, {"type": "response.failed", "response": {"error": error}})])
        assert heard.failure is not None
        assert (heard.failure.kind, heard.failure.retryable) == ("quota_exhausted", False)
        assert heard.completed is None


def test_a_gateways_bare_error_ends_the_stream() -> None:
    heard = hear([sse(created()), b'data: {"error":{"message":"upstream died","code":502}}\n\n'])
    assert heard.failure is not None
    assert (heard.failure.kind, heard.failure.retryable) == ("server_error", True)


def test_incomplete_is_a_stop_and_not_an_error() -> None:
    for reason, stop in (("max_output_tokens", "length"), ("content_filter", "filtered"), ("steered", "length")):
        ending: Event = {"type": "response.incomplete", "response": {"incomplete_details": {"reason": reason}}}
        heard = hear([sse(created(), done(0, call()), ending)])
        assert heard.failure is None
        assert heard.completed is not None
        assert heard.completed.stop == stop


def test_a_backend_that_wants_another_sampling_pauses() -> None:
    heard = hear([sse(created(), done(0, message("hm")), completed(end_turn=False))])
    assert heard.completed is not None
    assert heard.completed.stop == "pause"


def test_the_status_of_a_misnamed_ending_counts() -> None:
    heard = hear([sse(created(), completed(status="failed", error={"code": "server_error", "message": "oh"}))])
    assert heard.failure is not None
    assert heard.failure.kind == "server_error"


def test_without_done_events_the_terminal_event_tells_the_items() -> None:
    heard = hear([sse(created(), completed(output=[message("all at once"), call()]))])
    assert [item.kind for item in heard.items] == ["message", "function_call"]
    heard = hear([sse(created(), done(0, message("x")), completed(output=[message("other"), call()]))])
    assert [item.kind for item in heard.items] == ["message"]


def test_done_and_the_end_of_the_stream_are_no_terminal_events() -> None:
    heard = hear([sse(created(), delta(0, "half")), b"data: [DONE]\n\n"])
    assert heard.failure is not None
    assert (heard.failure.kind, heard.failure.retryable) == ("stream_disconnected", True)


def test_nothing_at_all_may_be_tried_again_but_another_protocol_may_not() -> None:
    nothing = hear([])
    assert nothing.failure is not None
    assert (nothing.failure.kind, nothing.failure.retryable) == ("stream_disconnected", True)
    for other in (
        b"<html><body>hello</body></html>",
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n',
        b"event: ping\ndata: pong\n\n" * 40,
        b'{"answer": 42}',
    ):
        heard = hear([other])
        assert heard.failure is not None
        assert (heard.failure.kind, heard.failure.retryable) == ("protocol", False)


def test_an_error_object_that_calls_itself_a_stream_is_still_that_error() -> None:
    heard = hear([b'{"error":{"message":"no money","code":"insufficient_quota"}}'])
    assert heard.failure is not None
    assert heard.failure.kind == "quota_exhausted"


def test_an_endless_event_is_given_up() -> None:
    heard = hear([b"data: "] + [b"x" * 1_000_000] * 17)
    assert heard.failure is not None
    assert heard.failure.kind == "protocol"


def test_json_as_deep_as_a_well_is_only_an_unreadable_event() -> None:
    well = b"data: " + b'{"type":"response.output_item.done","item":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n\n"
    heard = hear([sse(created()), well, sse(done(0, message("x")), completed())])
    assert heard.failure is None
    assert len(heard.items) == 1


WHOLE = sse(
    created(),
    added(0, EMPTY),
    delta(0, "Grüße 🙂"),
    delta(0, "!"),
    done(0, message("Grüße 🙂!")),
    added(1, call()),
    done(1, call(status="completed")),
    completed(),
)


@given(seed=st.integers(0, 10_000))
def test_a_stream_is_the_same_wherever_it_is_cut(seed: int) -> None:
    assert hear(cut(WHOLE, seed)) == hear([WHOLE])


@settings(max_examples=200)
@given(data=st.data())
def test_whatever_is_done_to_a_stream_it_ends_in_an_answer_or_a_failure(data: st.DataObject) -> None:
    stream = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(stream) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert"])):
            case "flip":
                stream[at] = data.draw(st.integers(0, 255))
            case "drop":
                del stream[at : at + data.draw(st.integers(1, 40))]
            case _:
                stream[at:at] = data.draw(st.binary(max_size=20))
        if not stream:
            break
    heard = hear([bytes(stream)])
    assert (heard.completed is None) != (heard.failure is None)


def test_a_call_of_a_freeform_tool_that_was_offered_as_a_function_is_told_as_the_freeform_call_it_is() -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "apply_patch",
        "arguments": '{"input":"*** x"}',
    }
    stream = b"".join(
        b"data: %b\n\n" % msgspec.json.encode(event)
        for event in (
            {"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}},
            {"type": "response.output_item.done", "output_index": 0, "item": call},
            {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}},
        )
    )
    heard = report.hear("responses", stream, freeform=frozenset(("apply_patch",)))
    assert [event.kind for event in heard.events if isinstance(event, ItemBegan)] == ["custom_tool_call"]
    assert [msgspec.json.decode(item.raw) for item in heard.items] == [
        {"type": "custom_tool_call", "id": "fc_1", "call_id": "c", "name": "apply_patch", "input": "*** x"}
    ]


def test_a_type_that_is_no_text_is_no_event() -> None:
    events = [{"type": {}, "delta": 1}, {"type": [], "output_index": {}}, {"type": None, "delta": {"x": 1}}]
    body = b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events)
    assert hear([sse(created()) + body + sse(completed())]).completed is not None
