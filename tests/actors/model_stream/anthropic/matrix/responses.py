"""RP: responses that are not streamed, and what both ways have in common."""

from __future__ import annotations

from typing import Any

import msgspec

from messages.base import CallId
from messages.items import FunctionCall, MessageItem, ReasoningItem
from messages.model import ItemBegan, TokenUsage
from tests.actors.model_stream.anthropic.hearing import (
    ORIGIN,
    delta,
    ending,
    hear,
    hear_whole,
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

Fields = dict[str, Any]


def whole(*content: Fields, stop_reason: str | None = "end_turn", **fields: Any) -> Heard:
    """What is heard of a response that came as one JSON object."""
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 7},
        **fields,
    }
    heard = hear_whole(msgspec.json.encode(body))
    assert heard is not None
    return heard


_KINDS: dict[type, str] = {MessageItem: "message", ReasoningItem: "reasoning", FunctionCall: "function_call"}


def read(heard: Heard, kind: type) -> list[Any]:
    return [msgspec.json.decode(each.raw, type=kind) for each in heard.items if each.kind == _KINDS[kind]]


TEXT = {"type": "text", "text": "Hello."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"path": "a.py"}}


@case("RP-01", "a text is a message of the assistant, shown and kept")
def _() -> None:
    heard = whole(TEXT)
    assert [each.raw for each in heard.items] == [
        b'{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello."}]}'
    ]
    assert heard.items[0].origin == ORIGIN
    assert heard.texts == ((0, "text", 0, "Hello."),)


@case("RP-02", "several texts are several messages, in order")
def _() -> None:
    heard = whole(TEXT, {"type": "text", "text": "Bye."})
    assert [each.content[0].text for each in read(heard, MessageItem)] == ["Hello.", "Bye."]


@case("RP-03", "thinking is reasoning: its text a summary, its signature the opaque part")
def _() -> None:
    heard = whole({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, TEXT)
    [reasoning] = read(heard, ReasoningItem)
    assert [part.text for part in reasoning.summary] == ["Hm."]
    assert reasoning.encrypted_content == "c2ln"
    assert heard.texts[0] == (0, "summary", 0, "Hm.")


@case("RP-04", "redacted thinking is reasoning without words")
def _() -> None:
    heard = whole({"type": "redacted_thinking", "data": "ZGF0YQ=="}, TEXT)
    [reasoning] = read(heard, ReasoningItem)
    assert (reasoning.summary, reasoning.encrypted_content) == ((), "ZGF0YQ==")
    assert reasoning.callboard.block == {"type": "redacted_thinking"}


@case("RP-05", "a tool use is a function call with its id, name and input")
def _() -> None:
    heard = whole(CALL, stop_reason="tool_use")
    [call] = read(heard, FunctionCall)
    assert call == FunctionCall(call_id=CallId("toolu_1"), name="look", arguments='{"path":"a.py"}')
    assert heard.completed is not None
    assert heard.completed.stop == "tool_use"


@case("RP-06", "several tool uses are several calls, in order")
def _() -> None:
    heard = whole(CALL, {**CALL, "id": "toolu_2"}, stop_reason="tool_use")
    assert [each.call_id for each in heard.items] == ["toolu_1", "toolu_2"]


@case("RP-07", "words and calls keep their order")
def _() -> None:
    heard = whole({"type": "thinking", "thinking": "Hm.", "signature": "s"}, TEXT, CALL, stop_reason="tool_use")
    assert [each.kind for each in heard.items] == ["reasoning", "message", "function_call"]


@case("RP-08", "citations of a text are kept with it")
def _() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    heard = whole({**TEXT, "citations": [citation]}, {**TEXT, "citations": None}, {**TEXT, "citations": []})
    cited, *others = read(heard, MessageItem)
    assert cited.callboard.block == {"citations": [citation]}
    assert all(each.callboard is msgspec.UNSET for each in others)


@case("RP-09", "a block of the provider's own is kept as it is and shown to nobody")
def _() -> None:
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u", "x": 1.5}]}
    heard = whole(block)
    assert msgspec.json.decode(heard.items[0].raw) == {"type": "callboard_block", "block": block}
    assert heard.items[0].kind == "opaque"
    assert heard.texts == ()


@case("RP-10", "streamed or not, the same response is the same items, texts and ending")
def _() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    [begun, *rest] = text(2, "Hel", "lo.")
    streamed = hear(
        [
            response(
                thinking(0, "Hm."),
                [start(1, "redacted_thinking", data="ZGF0YQ=="), stop(1)],
                [begun, delta(2, "citations_delta", citation=citation), *rest],
                tool(3, '{"path":', '"a.py"}', caller={"type": "direct"}),
                reason="tool_use",
            )
        ]
    )
    at_once = whole(
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {**TEXT, "citations": [citation]},
        {**CALL, "caller": {"type": "direct"}},
        stop_reason="tool_use",
    )
    assert at_once.items == streamed.items
    assert at_once.texts == streamed.texts
    assert at_once.completed == streamed.completed


@case("RP-11", "usage of a stream is what `message_delta` says last; what it leaves out stays as `message_start` said")
def _() -> None:
    heard = hear(
        [
            stream(
                message_start(cache_read_input_tokens=100, input_tokens=408),
                *text(0, "x"),
                *ending(usage={"input_tokens": 412, "output_tokens": 9, "cache_creation_input_tokens": None}),
            )
        ]
    )
    assert heard.completed is not None
    assert heard.completed.usage == TokenUsage(input=512, cached_input=100, output=9, total=521)


@case("RP-12", "`end_turn` ends")
def _() -> None:
    assert (done := whole(TEXT).completed) is not None
    assert (done.stop, done.wire_stop, done.response_id, done.model) == ("end", "end_turn", "msg_1", "claude-haiku-5-5")


@case("RP-13", "`max_tokens` is a cut at a limit")
def _() -> None:
    assert (done := whole(TEXT, stop_reason="max_tokens").completed) is not None
    assert (done.stop, done.wire_stop) == ("length", "max_tokens")


@case("RP-14", "a stop sequence ends")
def _() -> None:
    assert (done := whole(TEXT, stop_reason="stop_sequence", stop_sequence="END").completed) is not None
    assert (done.stop, done.wire_stop) == ("end", "stop_sequence")


@case("RP-15", "a refusal takes back text and calls, and says why")
def _() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "That would harm."}
    heard = whole(TEXT, CALL, stop_reason="refusal", stop_details=details)
    assert heard.items == ()
    assert heard.completed is not None
    assert (heard.completed.stop, heard.completed.why) == ("refused", "That would harm.")
    bare = whole(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": None})
    assert bare.completed is not None
    assert bare.completed.why == "(category: bio)"


@case("RP-16", "`pause_turn` asks to be sampled again")
def _() -> None:
    paused = whole(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}, stop_reason="pause_turn"
    )
    assert paused.completed is not None
    assert paused.completed.stop == "pause"
    assert len(paused.items) == 1


@case("RP-17", "`model_context_window_exceeded` is a limit of its own")
def _() -> None:
    assert (done := whole(TEXT, stop_reason="model_context_window_exceeded").completed) is not None
    assert done.stop == "context_window"


@case("RP-18", "an unknown stop reason ends, an unknown field passes; calls are calls whatever the reason says")
def _() -> None:
    assert (done := whole(TEXT, stop_reason="bored", new_field={"a": 1}).completed) is not None
    assert (done.stop, done.wire_stop) == ("end", "bored")
    assert (calls := whole(CALL, stop_reason="end_turn").completed) is not None
    assert calls.stop == "tool_use"


@case("RP-19", "the counters of the cache are kept as they came")
def _() -> None:
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 400,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 5,
        "service_tier": "standard",
    }
    assert (done := whole(TEXT, usage=usage).completed) is not None
    assert done.wire_usage is not None
    assert msgspec.json.decode(done.wire_usage) == usage
    assert (done.usage.cached_input, done.usage.cache_write_input) == (400, 20)


@case("RP-20", "a response without blocks is one; JSON that is no message is none")
def _() -> None:
    empty = whole()
    assert empty.items == ()
    assert empty.completed is not None
    assert not any(isinstance(event, ItemBegan) for event in empty.events)
    for body in (b'{"answer":42}', b"[1]", b"{", b'{"content":"text"}'):
        assert hear_whole(body) is None
