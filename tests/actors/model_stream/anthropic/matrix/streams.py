"""SE: streaming; TU: token usage."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.anthropic.decode import MAX_UNREADABLE_EVENTS, MessagesDecoder
from actors.model_stream.sse import SseDecoder
from actors.session.open_text import TextTable
from messages.items import CustomToolCall, FunctionCall
from messages.model import ItemBegan, ItemFinished, TextBegan, TokenUsage
from tests.actors.model_stream.anthropic.hearing import (
    ORIGIN,
    delta,
    ending,
    hear,
    hear_all,
    message_start,
    response,
    start,
    stop,
    stream,
    text,
    thinking,
    tool,
)
from tests.actors.model_stream.anthropic.matrix.registry import case
from tests.actors.model_stream.hearing import Heard

PING = {"type": "ping"}


def raw(heard: Heard) -> list[Any]:
    return [msgspec.json.decode(each.raw) for each in heard.items]


def arguments(heard: Heard) -> list[str]:
    calls = [each for each in heard.items if each.kind == "function_call"]
    return [msgspec.json.decode(each.raw, type=FunctionCall).arguments for each in calls]


@case("SE-01", "`message_start` says the response's id and model")
def _() -> None:
    done = hear([response(text(0, "x"))]).completed
    assert done is not None
    assert (done.response_id, done.model) == ("msg_1", "claude-haiku-5-5")


@case("SE-02", "text deltas are one text, bound to their item")
def _() -> None:
    heard = hear([response(text(0, "Hel", "lo", ", world"))])
    assert heard.texts == ((0, "text", 0, "Hello, world"),)
    assert heard.began == (ItemBegan(request_id="r1", slot=0, kind="message"),)


@case("SE-03", "reasoning deltas are a summary, bound to their item, before the text's")
def _() -> None:
    heard = hear([response(thinking(0, "Let me see."), text(1, "Yes."))])
    assert heard.texts == ((0, "summary", 0, "Let me see."), (1, "text", 0, "Yes."))
    assert [event.kind for event in heard.began] == ["reasoning", "message"]


@case("SE-04", "a signature is set, never appended")
def _() -> None:
    events = [
        start(0, "thinking"),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="one"),
        delta(0, "signature_delta", signature="two"),
        stop(0),
    ]
    assert raw(hear([response(events, text(1, "x"))]))[0]["encrypted_content"] == "two"


@case("SE-05", "redacted thinking comes whole in its beginning")
def _() -> None:
    heard = hear([response([start(0, "redacted_thinking", data="ZGF0YQ=="), stop(0)], text(1, "x"))])
    assert raw(heard)[0] == {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": "ZGF0YQ==",
        "callboard": {"block": {"type": "redacted_thinking"}},
    }


@case("SE-06", "thinking whose text is omitted is kept for its signature")
def _() -> None:
    heard = hear([response(thinking(0, "", "c2ln"), text(1, "x"))])
    assert raw(heard)[0] == {"type": "reasoning", "summary": [], "encrypted_content": "c2ln"}
    assert [channel for _, channel, _, _ in heard.texts] == ["text"]


@case("SE-07", "the pieces of an input are joined as they are, an empty first one included")
def _() -> None:
    assert arguments(hear([response(tool(0, "", '{"pa', 'th": ', '"a.py"}'), reason="tool_use")])) == [
        '{"path": "a.py"}'
    ]


@case("SE-08", "an input without a word is an empty object")
def _() -> None:
    assert arguments(hear([response(tool(0, ""), tool(1, id_="toolu_2"), reason="tool_use")])) == ["{}", "{}"]


@case("SE-09", "an input that came with the beginning stays when no delta follows")
def _() -> None:
    begun = start(0, "tool_use", id="toolu_1", name="look", input={"path": "a.py"})
    assert arguments(hear([response([begun, stop(0)], reason="tool_use")])) == ['{"path":"a.py"}']


@case("SE-10", "citations are collected, also those that come before the text")
def _() -> None:
    first, second = ({"type": "char_location", "document_index": index} for index in range(2))
    [begun, *rest] = text(0, "So.")
    events = [begun, delta(0, "citations_delta", citation=first), *rest[:-1]]
    events += [delta(0, "citations_delta", citation=second), rest[-1]]
    assert raw(hear([response(events)]))[0]["callboard"] == {"block": {"citations": [first, second]}}


@case("SE-11", "a compaction's content is set by its delta, null included")
def _() -> None:
    begun = start(0, "compaction", content=None, encrypted_content=None)
    change = delta(0, "compaction_delta", content="Summary.", encrypted_content="ZW5j")
    heard = hear([response([begun, change, stop(0)], text(1, "x"))])
    block = {"type": "compaction", "content": "Summary.", "encrypted_content": "ZW5j"}
    assert raw(heard)[0] == {"type": "callboard_block", "block": block}
    nothing = delta(0, "compaction_delta", content=None, encrypted_content=None)
    assert raw(hear([response([begun, nothing, stop(0)])]))[0]["block"]["content"] is None


@case("SE-12", "calls of the provider's own tools and their results are kept raw, with the input of the deltas")
def _() -> None:
    called = tool(0, '{"query":', '"x"}', id_="srvtoolu_1", name="web_search")
    called[0]["content_block"]["type"] = "server_tool_use"
    result = {"tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "u", "page_age": None}]}
    heard = hear([response(called, [start(1, "web_search_tool_result", **result), stop(1)])])
    assert raw(heard) == [
        {
            "type": "callboard_block",
            "block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        },
        {"type": "callboard_block", "block": {"type": "web_search_tool_result", **result}},
    ]
    assert [event.kind for event in heard.began] == ["opaque", "opaque"]


@case("SE-13", "a ping means nothing, wherever it comes")
def _() -> None:
    [begun, one, two, ended] = text(0, "a", "b")
    events = [PING, message_start(), PING, begun, one, PING, two, PING, ended, PING, *ending()]
    assert hear([stream(*events)]) == hear([response(text(0, "a", "b"))])


@case("SE-14", "unknown events and deltas are ignored, unknown blocks are kept")
def _() -> None:
    [begun, *rest] = text(0, "a")
    odd = [{"type": "surprise", "index": 0}, begun, delta(0, "surprise_delta", text="boo"), *rest]
    future = [start(1, "hologram", data={"x": [1]}), delta(1, "hologram_delta", beam=1), stop(1)]
    heard = hear([response(odd, future)])
    assert heard.texts == ((0, "text", 0, "a"),)
    assert raw(heard)[1] == {"type": "callboard_block", "block": {"type": "hologram", "data": {"x": [1]}}}


@case("SE-15", "an error event fails the attempt, retryably if it is passing trouble, and keeps the request's id")
def _() -> None:
    def told(kind: str) -> Heard:
        error = {"type": "error", "error": {"type": kind, "message": "Oh."}, "request_id": "req_1"}
        return hear([stream(message_start(), *text(0, "so far"), error, *ending())])

    overloaded, invalid = told("overloaded_error"), told("invalid_request_error")
    assert overloaded.failure is not None
    assert (overloaded.failure.kind, overloaded.failure.retryable) == ("overloaded", True)
    assert overloaded.failure.request_id == "req_1"
    assert overloaded.items == ()
    assert overloaded.completed is None
    assert overloaded.texts == ((0, "text", 0, "so far"),)
    assert invalid.failure is not None
    assert (invalid.failure.kind, invalid.failure.retryable) == ("invalid_request", False)


@case("SE-16", "`message_delta` may come several times: the last word counts, and null takes nothing back")
def _() -> None:
    def change(reason: str | None, tokens: int) -> dict[str, Any]:
        delta_: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None}
        return {"type": "message_delta", "delta": delta_, "usage": {"output_tokens": tokens}}

    events = [message_start(), *text(0, "x"), change("pause_turn", 3), change("end_turn", 5), change(None, 9)]
    done = hear([stream(*events, {"type": "message_stop"})]).completed
    assert done is not None
    assert (done.wire_stop, done.usage.output) == ("end_turn", 9)


@case("SE-17", "a stream without a block is a response")
def _() -> None:
    heard = hear([response(reason="refusal", stop_details={"type": "refusal", "category": None})])
    assert heard.failure is None
    assert heard.completed is not None
    assert (heard.completed.stop, heard.items) == ("refused", ())


@case("SE-18", "a second `message_start` begins nothing anew")
def _() -> None:
    begun = message_start()
    other = {**begun, "message": {**begun["message"], "id": "msg_2", "usage": {"input_tokens": 99}}}
    heard = hear([stream(begun, begun, *text(0, "x"), other, *text(1, "y"), *ending())])
    assert heard == hear([response(text(0, "x"), text(1, "y"))])


@case("SE-19", "what is said twice of a block counts once")
def _() -> None:
    once = tool(0, '{"a":1}')
    twice = [once[0], *once, once[-1], delta(0, "input_json_delta", partial_json="garbage")]
    assert hear([response(twice, reason="tool_use")]) == hear([response(once, reason="tool_use")])


@case("SE-20", "the end of a stream is no end of a response: nothing of it is finished, and it may be asked for again")
def _() -> None:
    events = [message_start(), *thinking(0, "Hm."), *tool(1, '{"path":"a.py"}')]
    for cut_off in (events, events[:-1], [*events, ending("tool_use")[0]]):
        heard = hear([stream(*cut_off)])
        assert heard.failure is not None
        assert (heard.failure.kind, heard.failure.retryable) == ("stream_disconnected", True)
        assert heard.items == ()
        assert heard.completed is None


@case("SE-21", "without a stop reason a stream that broke off is broken, and one that was stopped has ended")
def _() -> None:
    silent = ending(None)
    broken = hear([stream(message_start(), *text(0, "x"), silent[0])])
    assert broken.failure is not None
    assert broken.completed is None
    ended = hear([stream(message_start(), *text(0, "x"), *silent)]).completed
    assert ended is not None
    assert (ended.stop, ended.wire_stop) == ("end", None)


@case("SE-22", "blocks that interleave keep apart, begin in the order of their blocks and finish in it")
def _() -> None:
    events = [
        start(0, "text"),
        start(1, "tool_use", id="toolu_1", name="look", input={}),
        start(2, "text"),
        delta(2, "text_delta", text="c"),
        delta(0, "text_delta", text="a"),
        delta(1, "input_json_delta", partial_json="{}"),
        delta(2, "text_delta", text="C"),
        delta(0, "text_delta", text="A"),
        stop(2),
        stop(1),
        stop(0),
    ]
    heard = hear([response(events, reason="tool_use")])
    assert sorted((slot, words) for slot, _, _, words in heard.texts) == [(0, "aA"), (2, "cC")]
    assert [each.kind for each in heard.items] == ["message", "function_call", "message"]
    assert [event.slot for event in heard.events if isinstance(event, ItemFinished)] == [0, 1, 2]


@case("SE-23", "an empty text is shown to nobody and kept nowhere")
def _() -> None:
    heard = hear([response(text(0), text(1, ""), tool(2, "{}"), reason="tool_use")])
    assert [event.kind for event in heard.began] == ["function_call"]
    assert [each.kind for each in heard.items] == ["function_call"]


@case("SE-24", "the deltas of one batch are one piece, and wake for structure alone")
def _() -> None:
    texts = TextTable()
    decoder = MessagesDecoder("r1", ORIGIN, texts)
    sse = SseDecoder()
    begun = decoder.take(sse.feed(stream(message_start(), start(0, "text"), delta(0, "text_delta", text="a"))))
    assert [type(event) for event in begun] == [ItemBegan, TextBegan]
    flood = stream(*(delta(0, "text_delta", text="b") for _ in range(500)))
    assert decoder.take(sse.feed(flood)) == []
    assert texts.attach(0).pieces == ["a", "b" * 500]


@case("SE-25", "no `event:` line is needed, garbage is skipped up to a limit, nothing after the end is heard")
def _() -> None:
    whole = response(text(0, "x"))
    bare = b"".join(line + b"\n\n" for line in whole.split(b"\n") if line.startswith(b"data"))
    assert hear([bare]) == hear([whole])
    assert hear([whole + b'event: error\ndata: {"type":"error"}\n\n: late\n\ndata: {']) == hear([whole])
    garbled = hear([b"data: [DONE]\n\n" + b"data: {{\n\n" * (MAX_UNREADABLE_EVENTS - 1) + whole])
    assert garbled.completed == hear([whole]).completed
    given_up = hear([b"data: {{\n\n" * MAX_UNREADABLE_EVENTS + whole])
    assert given_up.failure is not None
    assert given_up.failure.kind == "protocol"
    nulls = b'data: {"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":null}}\n\n'
    start_, rest = whole.split(b"event: content_block_delta", 1)
    assert hear([start_ + nulls + b"event: content_block_delta" + rest]).texts == hear([whole]).texts


# --- token usage ----------------------------------------------------------------------------------------------------

COUNTERS = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 400,
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 30},
}


def counted(**counters: Any) -> tuple[TokenUsage, TokenUsage | None]:
    done = hear([stream(message_start(), *text(0, "x"), *ending(usage={**COUNTERS, **counters}))]).completed
    assert done is not None
    return done.usage, done.billed


@case("TU-01", "input is the uncached, the written and the cached tokens together")
def _() -> None:
    assert counted()[0].input == 423


@case("TU-02", "what was read from the cache and what was written to it are told apart")
def _() -> None:
    usage, _ = counted()
    assert (usage.cached_input, usage.cache_write_input) == (400, 20)


@case("TU-03", "output includes thinking, which is told apart and is never more than the output")
def _() -> None:
    assert (counted()[0].output, counted()[0].reasoning_output) == (50, 30)
    assert counted(output_tokens_details={"thinking_tokens": 70})[0].reasoning_output == 50
    assert counted(output_tokens_details=None)[0].reasoning_output == 0


@case("TU-04", "the total is input and output; counters that are no numbers count nothing")
def _() -> None:
    assert counted()[0].total == 473
    odd = hear_all(
        [stream(message_start(input_tokens="many", output_tokens=-1), *ending(usage={"output_tokens": True}))]
    )
    assert odd[0].completed is not None
    assert odd[0].completed.usage == TokenUsage()


@case("TU-05", "compactions and advisors on the way are billed, and are not in the context")
def _() -> None:
    own = {"input_tokens": 612, "output_tokens": 2819}
    iterations = [{"type": "compaction", "input_tokens": 60_385, "output_tokens": 522}, {"type": "message", **own}]
    none = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens_details": None}
    usage, billed = counted(**own, **none, iterations=iterations)
    assert usage == TokenUsage(input=612, output=2819, total=3431)
    assert billed == TokenUsage(input=60_997, output=3341, total=64_338)
    assert counted(**own, **none, iterations=iterations[1:])[1] is None


@case("TC-14", "a call of a wrapped freeform tool is a freeform call, whatever the model made of the wrapper")
def _() -> None:
    for pieces, expected in (
        (('{"input":"*** Begin', ' Patch"}'), "*** Begin Patch"),
        (('{"patch":"x"}',), '{"patch":"x"}'),
        (('"bare"',), "bare"),
        (("not json",), "not json"),
    ):
        heard = hear(
            [response(tool(0, *pieces, name="apply_patch"), reason="tool_use")], freeform=frozenset(("apply_patch",))
        )
        [call] = [msgspec.json.decode(each.raw, type=CustomToolCall) for each in heard.items]
        assert (call.call_id, call.name, call.input) == ("toolu_1", "apply_patch", expected)
        assert heard.began[0].kind == "custom_tool_call"


@case("TC-30", "a call that a limit cut off is never finished, and neither is the provider's own without its result")
def _() -> None:
    own = tool(1, '{"query":"x"}', id_="srvtoolu_1", name="web_search")
    own[0]["content_block"]["type"] = "server_tool_use"
    for reason in ("max_tokens", "model_context_window_exceeded"):
        heard = hear([response(text(0, "x"), own, tool(2, '{"path": "a'), reason=reason)])
        assert [each.kind for each in heard.items] == ["message"]
        assert heard.failure is None
