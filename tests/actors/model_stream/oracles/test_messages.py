"""The Messages wire against the accumulator of the official SDK (its beta one, which knows more blocks)."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
from anthropic.lib.streaming._beta_messages import accumulate_event
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model_stream import report
from tests.actors.model_stream.anthropic.hearing import Event, delta, ending, message_start, start, stop
from tests.actors.model_stream.oracles.framing import framed

words = st.text(max_size=12)
pieces = st.lists(words, max_size=5)
ids = st.integers(0, 10**6).map(str)
CITATION = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
    "file_id": None,
}
SEARCHED = {
    "type": "web_search_result",
    "url": "https://example.org",
    "title": "A page",
    "encrypted_content": "ZW5j",
    "page_age": None,
}
RAN = {"type": "bash_code_execution_result", "stdout": "1\n", "stderr": "", "return_code": 0, "content": []}
PYTHON = {"type": "code_execution_result", "stdout": "2", "stderr": "", "return_code": 0, "content": []}
TOO_MANY = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}


@st.composite
def inputs(draw: st.DrawFn) -> list[str]:
    """The JSON of an input, in pieces; the first is empty, as Anthropic's is."""
    whole = draw(
        st.sampled_from(('{"path": "a.py", "deep": {"a": [1, 2.5, null, true]}}', '{"text": "ü☃\\n"}', "{}", ""))
    )
    at = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return ["", *(whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True))]


@st.composite
def calls(draw: st.DrawFn, /, index: int, type_: str, **fields: Any) -> list[Event]:
    began = start(index, type_, id=f"{type_}_{draw(ids)}", input={}, **fields)
    return [began, *(delta(index, "input_json_delta", partial_json=piece) for piece in draw(inputs())), stop(index)]


@st.composite
def blocks(draw: st.DrawFn, index: int) -> list[Event]:
    """One block of any kind."""
    kind = draw(st.integers(0, 12))
    match kind:
        case 0 | 1:
            said = [delta(index, "text_delta", text=piece) for piece in draw(pieces)]
            return [start(index, "text"), *said, stop(index)]
        case 2:
            cited = [delta(index, "citations_delta", citation=CITATION) for _ in range(draw(st.integers(1, 2)))]
            said = [delta(index, "text_delta", text=piece) for piece in draw(pieces)]
            order = [*cited, *said] if draw(st.booleans()) else [*said, *cited]
            return [start(index, "text", citations=[]), *order, stop(index)]
        case 3 | 4:
            thought = [delta(index, "thinking_delta", thinking=piece) for piece in draw(pieces)]
            signed = delta(index, "signature_delta", signature=draw(st.sampled_from(("c2ln", ""))))
            return [start(index, "thinking"), *thought, signed, stop(index)]
        case 5:
            return [start(index, "redacted_thinking", data="ZGF0YQ=="), stop(index)]
        case 6 | 7:
            return draw(calls(index, "tool_use", name="look", caller={"type": "direct"}))
        case 8:
            return draw(calls(index, "server_tool_use", name="web_search"))
        case 9:
            return draw(calls(index, "mcp_tool_use", name="look", server_name="s"))
        case 10:
            found = draw(st.sampled_from(([SEARCHED], [], TOO_MANY)))
            return [start(index, "web_search_tool_result", tool_use_id="srvtoolu_1", content=found), stop(index)]
        case 11:
            name, ran = draw(
                st.sampled_from((("bash_code_execution_tool_result", RAN), ("code_execution_tool_result", PYTHON)))
            )
            return [start(index, name, tool_use_id="srvtoolu_1", content=ran), stop(index)]
        case _:
            compacted = delta(index, "compaction_delta", content=draw(st.none() | words), encrypted_content="ZQ==")
            return [start(index, "compaction", content=None, encrypted_content=None), compacted, stop(index)]


@st.composite
def responses(draw: st.DrawFn) -> list[Event]:
    """All events of one whole response."""
    opened = message_start(cache_read_input_tokens=draw(st.integers(0, 9)), cache_creation_input_tokens=None)
    opened["message"] |= {"stop_sequence": None, "content": []}
    said = [event for index in range(draw(st.integers(0, 5))) for event in draw(blocks(index))]
    counted = {"output_tokens": draw(st.integers(0, 99))}
    if draw(st.booleans()):
        counted |= {"input_tokens": draw(st.integers(0, 99)), "cache_read_input_tokens": 3}
    reason = draw(
        st.sampled_from(("end_turn", "tool_use", "max_tokens", "stop_sequence", "pause_turn", "refusal", "compaction"))
    )
    details = None
    if reason == "refusal":
        details = {"type": "refusal", "category": "cyber", "explanation": "No.", "recommended_model": None}
        details |= {"fallback_credit_token": None, "fallback_has_prefill_claim": None}
    first, last = ending(reason, counted, stop_details=details, container=None)
    events = [opened, *said, first, last]
    for at in sorted(draw(st.lists(st.integers(1, len(events) - 1), max_size=3)), reverse=True):
        events.insert(at, {"type": "ping"})
    return events


def accumulated(events: list[Event]) -> Any:
    """What the SDK makes of it."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for raw in events:
        if raw["type"] != "ping":
            event: Any = raw  # as it came: the SDK makes its own of it
            snapshot = accumulate_event(
                event=event, current_snapshot=snapshot, json_bufs=buffers, request_headers=httpx2.Headers()
            )
    return snapshot.to_dict(mode="json")


def bare(value: Any) -> Any:
    """Without what is null: the SDK adds the fields it knows."""
    if isinstance(value, dict):
        return {name: bare(each) for name, each in value.items() if each is not None and each != []}
    return [bare(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=80, deadline=None)
@given(data=st.data(), events=responses())
def test_we_come_to_what_the_sdk_comes_to(data: st.DataObject, events: list[Event]) -> None:
    heard = report.hear("messages", b"".join(data.draw(framed(events, names=True, done=False))))
    assert heard.failure is None
    told, theirs = report.normalized(heard), accumulated(events)
    content = theirs["content"]
    assert bare(heard.decoder.accumulated()) == bare(theirs)  # type: ignore[attr-defined]  # this wire's decoder has it
    assert told["text"] == "".join(block["text"] for block in content if block["type"] == "text")
    assert told["reasoning"] == "".join(block["thinking"] for block in content if block["type"] == "thinking")
    assert [(call["id"], call["name"], call["arguments"]) for call in told["tool_calls"]] == [
        (block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"
    ]
    assert (told["stop"], bare(told["usage"])) == (theirs["stop_reason"], bare(theirs["usage"]))


@settings(max_examples=30, deadline=None)
@given(data=st.data(), events=responses())
def test_a_response_that_was_not_streamed_comes_to_the_same(data: st.DataObject, events: list[Event]) -> None:
    streamed = report.hear("messages", b"".join(data.draw(framed(events, names=True, done=False))))
    whole = report.hear("messages", msgspec.json.encode(accumulated(events)))
    assert whole.failure is None
    assert bare(report.normalized(whole)) == bare(report.normalized(streamed))
    said, again = report.told(streamed), report.told(whole)
    assert (again["stop"], again["usage"]) == (said["stop"], said["usage"])
    assert [_meaning(item.raw) for item in whole.items] == [_meaning(item.raw) for item in streamed.items]


def _meaning(raw: bytes) -> Any:
    item = msgspec.json.decode(raw)
    if "arguments" in item:
        item["arguments"] = msgspec.json.decode(item["arguments"])
    return bare(item)
