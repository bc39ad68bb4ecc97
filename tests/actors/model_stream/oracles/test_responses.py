"""The Responses wire against the stream state of the official SDK: items, words, calls and the ending."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai._models import construct_type_unchecked
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from actors.model_stream import report
from tests.actors.model_stream.oracles.framing import framed

Event = dict[str, Any]

words = st.text(max_size=12)
pieces = st.lists(words, max_size=5)
RESPONSE: Event = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m-1", "status": "in_progress"}
RESPONSE |= {"output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
USAGE = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3, "total_tokens": 8}
USAGE |= {"output_tokens_details": {"reasoning_tokens": 1}}
CITATION = {"type": "url_citation", "url": "https://example.org", "title": "t", "start_index": 0, "end_index": 1}


def event(type_: str, index: int, item: Event, **fields: Any) -> Event:
    return {"type": f"response.{type_}", "output_index": index, "item_id": item["id"], **fields}


def added(index: int, item: Event) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": {**item, "status": "in_progress"}}


def done(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


@st.composite
def messages(draw: st.DrawFn, index: int) -> tuple[list[Event], Event]:
    """A message of words and refusals, with citations."""
    item: Event = {"type": "message", "id": f"msg_{index}", "role": "assistant", "status": "completed", "content": []}
    if draw(st.booleans()):
        item["phase"] = draw(st.sampled_from(("commentary", "final_answer")))
    events = [added(index, item)]
    content: list[Event] = []
    for place in range(draw(st.integers(1, 2))):
        said = draw(pieces)
        if draw(st.integers(0, 3)):
            part: Event = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            kind, field = "output_text", "text"
        else:
            part, kind, field = {"type": "refusal", "refusal": ""}, "refusal", "refusal"
        events.append(event("content_part.added", index, item, content_index=place, part=part))
        events += [event(f"{kind}.delta", index, item, content_index=place, delta=each, logprobs=[]) for each in said]
        part = {**part, field: "".join(said)}
        if field == "text" and draw(st.booleans()):
            part["annotations"] = [CITATION]
            cited: Event = {"content_index": place, "annotation_index": 0, "annotation": CITATION}
            events.append(event("output_text.annotation.added", index, item, **cited))
        events.append(event(f"{kind}.done", index, item, content_index=place, **{field: part[field]}, logprobs=[]))
        events.append(event("content_part.done", index, item, content_index=place, part=part))
        content.append(part)
    item = {**item, "content": content}
    return [*events, done(index, item)], item


@st.composite
def thoughts(draw: st.DrawFn, index: int) -> tuple[list[Event], Event]:
    """A summary in parts, or thinking as it is, or nothing but what replays it."""
    item: Event = {"type": "reasoning", "id": f"rs_{index}", "summary": []}
    events = [added(index, item)]
    if draw(st.booleans()):
        item["encrypted_content"] = "ZW5j"
    summary: list[Event] = []
    for place in range(draw(st.integers(0, 2))):
        said = draw(pieces)
        part = {"type": "summary_text", "text": ""}
        events.append(event("reasoning_summary_part.added", index, item, summary_index=place, part=part))
        events += [event("reasoning_summary_text.delta", index, item, summary_index=place, delta=each) for each in said]
        part = {**part, "text": "".join(said)}
        events.append(event("reasoning_summary_text.done", index, item, summary_index=place, text=part["text"]))
        events.append(event("reasoning_summary_part.done", index, item, summary_index=place, part=part))
        summary.append(part)
    if draw(st.booleans()):
        said = draw(pieces)
        events += [event("reasoning_text.delta", index, item, content_index=0, delta=each) for each in said]
        events.append(event("reasoning_text.done", index, item, content_index=0, text="".join(said)))
        item["content"] = [{"type": "reasoning_text", "text": "".join(said)}]
    item = {**item, "summary": summary}
    return [*events, done(index, item)], item


@st.composite
def calls(draw: st.DrawFn, index: int) -> tuple[list[Event], Event]:
    """A structured or a freeform call."""
    base: Event = {"call_id": f"call_{index}", "name": "look", "status": "completed"}
    if draw(st.booleans()):
        whole = draw(st.sampled_from(("{}", '{"path": "a.py"}', '{"a": [1, {"b": "ü"}]}', "")))
        item: Event = {"type": "function_call", "id": f"fc_{index}", "arguments": "", **base}
        field, kind = "arguments", "function_call_arguments"
    else:
        whole = draw(words)
        item = {"type": "custom_tool_call", "id": f"ctc_{index}", "input": "", **base}
        field, kind = "input", "custom_tool_call_input"
    half = draw(st.integers(0, len(whole)))
    events = [added(index, item)]
    events += [event(f"{kind}.delta", index, item, delta=each) for each in (whole[:half], whole[half:])]
    item = {**item, field: whole}
    return [*events, event(f"{kind}.done", index, item, **{field: whole}), done(index, item)], item


@st.composite
def hosted(draw: st.DrawFn, index: int) -> tuple[list[Event], Event]:
    """What runs at the provider, with its progress."""
    kind = draw(
        st.sampled_from(
            ("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call")
        )
    )
    item: Event = {"type": kind, "id": f"x_{index}", "status": "completed"}
    progress = [event(f"{kind}.in_progress", index, item)]
    match kind:
        case "web_search_call":
            item["action"] = {"type": "search", "query": "q", "sources": None}
            progress.append(event("web_search_call.searching", index, item))
        case "file_search_call":
            item |= {"queries": ["q"], "results": None}
        case "code_interpreter_call":
            item |= {"code": "1+1", "container_id": "c", "outputs": []}
            progress += [event("code_interpreter_call_code.delta", index, item, delta=each) for each in ("1", "+1")]
            progress.append(event("code_interpreter_call_code.done", index, item, code="1+1"))
        case "image_generation_call":
            item["result"] = "iVBORw0KGgo="
            partial: Event = {"partial_image_index": 0, "partial_image_b64": "iVBORw0KGgo="}
            progress.append(event("image_generation_call.partial_image", index, item, **partial))
        case _:
            item |= {"name": "n", "server_label": "s", "arguments": "{}", "output": "o", "error": None}
            progress.append(event("mcp_call_arguments.delta", index, item, delta="{}"))
            progress.append(event("mcp_call_arguments.done", index, item, arguments="{}"))
    return [added(index, item), *progress, event(f"{kind}.completed", index, item), done(index, item)], item


@st.composite
def responses(draw: st.DrawFn) -> tuple[list[Event], list[Event], Event]:
    """(all events, the finished items, the last snapshot) of a whole response."""
    opened = [
        {"type": "response.created", "response": RESPONSE},
        {"type": "response.in_progress", "response": RESPONSE},
    ]
    said: list[list[Event]] = []
    items: list[Event] = []
    for index in range(draw(st.integers(0, 5))):
        events, item = draw(st.one_of(messages(index), thoughts(index), calls(index), hosted(index)))
        said.append(events)
        items.append(item)
    woven = draw(st.integers(0, 3)) == 0  # xAI and OpenRouter begin an item before they end the one before
    body = _woven(draw, said) if woven else [each for events in said for each in events]
    last = {**RESPONSE, "status": "completed", "output": items, "usage": draw(st.sampled_from((USAGE, None)))}
    events = [*opened, *body, {"type": "response.completed", "response": last}]
    return [{**each, "sequence_number": number} for number, each in enumerate(events)], items, last


def _woven(draw: st.DrawFn, said: list[list[Event]]) -> list[Event]:
    """The items' events among each other, each item's own in order; they begin in the order of their indices."""
    left = [list(events) for events in said]
    woven = [events.pop(0) for events in left]
    while any(left):
        choice = draw(st.sampled_from([events for events in left if events]))
        woven.append(choice.pop(0))
    return woven


def accumulated(events: list[Event]) -> Any:
    """What the SDK makes of it."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for raw in events:
        made: Any = construct_type_unchecked(type_=ResponseStreamEvent, value=raw)  # type: ignore[arg-type]  # a union
        state.handle_event(made)
    return state._completed_response.to_dict(mode="json")


def without_status(item: Event) -> Event:
    return {name: value for name, value in item.items() if name != "status"}


@settings(max_examples=30, deadline=None)
@given(data=st.data(), made=responses())
def test_we_come_to_what_the_sdk_comes_to(data: st.DataObject, made: tuple[list[Event], list[Event], Event]) -> None:
    events, items, last = made
    names, done_ = data.draw(st.booleans()), data.draw(st.booleans())
    heard = report.hear("responses", b"".join(data.draw(framed(events, names=names, done=done_))))
    assert heard.failure is None
    told, theirs = report.normalized(heard), accumulated(events)
    assert [msgspec.json.decode(item.raw) for item in heard.items] == [without_status(item) for item in items]
    parts = [part for item in theirs["output"] if item["type"] == "message" for part in item["content"]]
    assert told["text"] == "".join(part["text"] for part in parts if part["type"] == "output_text")
    assert (told["refusal"] or "") == "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    assert [(call["id"], call["kind"], call["arguments"]) for call in told["tool_calls"]] == [
        (item["call_id"], item["type"], item.get("arguments", item.get("input")))
        for item in theirs["output"]
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    assert told["replay"]["item_order"] == [item["type"] for item in theirs["output"]]
    assert (told["stop"], told["usage"]) == (theirs["status"], last["usage"])
    streamed = "".join(each["delta"] for each in events if each["type"] == "response.output_text.delta")
    assert told["deltas_equal_final_text"] == (streamed == told["text"])  # not where messages interleave
    # What was streamed is what the items say in the end.
    for item in items:
        if item["type"] == "reasoning":
            assert [part["text"] for part in item["summary"]] == [
                text for slot, channel, text in heard.texts if channel == "summary" and slot == items.index(item)
            ]


@settings(max_examples=25, deadline=None)
@given(made=responses())
def test_a_response_that_was_not_streamed_comes_to_the_same(made: tuple[list[Event], list[Event], Event]) -> None:
    events, _, last = made
    streamed = report.hear("responses", b"".join(b"data: %b\n\n" % msgspec.json.encode(each) for each in events))
    whole = report.hear("responses", msgspec.json.encode(last))
    assert [item.raw for item in whole.items] == [item.raw for item in streamed.items]
    same = {"deltas_equal_final_text": True}  # only one of them was streamed
    assert report.normalized(whole) | same == report.normalized(streamed) | same
    said, again = report.told(streamed), report.told(whole)
    assert (again["stop"], again["usage"], again["error"]) == (said["stop"], said["usage"], None)
