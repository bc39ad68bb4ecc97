"""Records survive the trip through a line; lines of others are read for what they say."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer.lines import UnencodableError, encode
from actors.rollout_writer.parsing import Line, Skipped, decode, decode_ordinal
from actors.rollout_writer.shown import argv_of, command_of, keep, show
from messages.base import CallId, TurnId
from messages.client.item import (
    AddChange,
    AgentMessage,
    ByteRange,
    CommandExecution,
    ContextCompaction,
    DeleteChange,
    DynamicToolCall,
    FileChange,
    FileUpdateChange,
    FindInPage,
    ImageContentItem,
    ImageInput,
    ImageView,
    ListFilesAction,
    LocalImageInput,
    MentionInput,
    OpenPage,
    OtherWebAction,
    Plan,
    ReadAction,
    Reasoning,
    ScriptCallEnd,
    ScriptEnd,
    ScriptProblem,
    SearchAction,
    SkillInput,
    TextContentItem,
    TextElement,
    TextInput,
    ThreadItem,
    UnknownAction,
    UpdateChange,
    UserMessage,
    WebQuery,
    WebSearch,
)
from messages.items import HistoryItem
from messages.log import MessageQuarantined, Record, ResponseItem, SessionMeta, TurnContext
from tests.actors.rollout_writer.rollouts import (
    META,
    ORIGIN,
    SETTINGS,
    START,
    THREAD,
    conversation,
    pair,
    said,
    shown,
    user_item,
)

TURN = TurnId("turn_1")

ITEMS: tuple[ThreadItem, ...] = (
    UserMessage(
        id="u",
        content=(
            TextInput(
                text="hé\n\u2028", text_elements=(TextElement(byte_range=ByteRange(start=0, end=3), placeholder="p"),)
            ),
            ImageInput(url="data:image/png;base64,AA==", detail="high"),
            LocalImageInput(path="/a b.png"),
            SkillInput(name="s", path="/s"),
            MentionInput(name="m", path="app://m"),
        ),
        client_id="c1",
        started_at_ms=1,
        completed_at_ms=2,
    ),
    AgentMessage(id="a", text="", phase="final_answer"),
    AgentMessage(id="a2", text="two\nlines", completed_at_ms=5),
    Reasoning(id="r", summary=("one", "two"), content=("raw",)),
    Plan(id="p", text="1. do"),
    CommandExecution(
        id="c",
        command="/bin/bash -lc 'echo '\"'\"'hi'\"'\"' && ls'",
        cwd="/tmp/ünter/a%20b",
        status="declined",
        command_actions=(
            ReadAction(command="cat x", name="x", path="/x"),
            ListFilesAction(command="ls", path=None),
            SearchAction(command="rg y", query="y", path="src"),
            UnknownAction(command="make"),
        ),
        process_id="12",
        source="userShell",
        aggregated_output="ä\x00\x1b[0m",
        exit_code=-1,
        duration_ms=61_005,
    ),
    CommandExecution(id="c2", command="odd  spacing 'and", cwd="file://x", status="inProgress", command_actions=()),
    FileChange(
        id="f",
        changes=(
            FileUpdateChange(path="/a", kind=AddChange(), diff="new\n"),
            FileUpdateChange(path="/b", kind=DeleteChange(), diff=""),
            FileUpdateChange(path="/c", kind=UpdateChange(move_path="/d"), diff="@@\n"),
        ),
        status="inProgress",
    ),
    FileChange(
        id="f2",
        changes=(
            FileUpdateChange(path="/a", kind=AddChange(), diff="1"),
            FileUpdateChange(path="/a", kind=UpdateChange(), diff="2"),
        ),
        status="failed",
    ),
    DynamicToolCall(
        id="d",
        tool="read_file",
        arguments={"file_path": "/a", "n": [1, None]},
        status="failed",
        namespace="ns",
        content_items=(TextContentItem(text="t"), ImageContentItem(image_url="data:x")),
        success=False,
        duration_ms=0,
    ),
    DynamicToolCall(
        id="s",
        tool="script",
        arguments={"source": "throw 1"},
        status="failed",
        callboard=ScriptEnd(
            status="threw",
            failure=ScriptProblem(kind="tool", code="odd", message="no", line=3, call=1),
            calls=(
                ScriptCallEnd(number=1, name="exec", line=3, column=7, outcome="failed", started=True, seconds=0.5),
            ),
            seconds=1.5,
        ),
    ),
    ImageView(id="i", path="/pics/ä.png"),
    WebSearch(id="w0", query=""),
    WebSearch(id="w1", query="q", action=WebQuery(query="q", queries=("q", "r"))),
    WebSearch(id="w2", query="u", action=OpenPage(url="u")),
    WebSearch(id="w3", query="p", action=FindInPage(url="u", pattern="p")),
    WebSearch(id="w4", query="", action=OtherWebAction()),
    ContextCompaction(id="k"),
)


def there_and_back(*records: Record) -> list[Record]:
    read: list[Record] = []
    for line in encode(records, thread_id=THREAD, first_ordinal=3, at=START):
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        decoded = decode(line)
        assert isinstance(decoded, Line), decoded
        assert decoded.ordinal == 3 + len(read)
        assert decoded.timestamp == "2025-11-21T04:40:00.500Z"
        read.append(decoded.record)
    return read


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{type(item).__name__}-{item.id}")
def test_a_shown_item_reads_back_as_it_was(item: ThreadItem) -> None:
    record = shown(TURN, item, partial=item.id == "a2")
    assert there_and_back(record) == [record]
    assert show(msgspec.json.decode(msgspec.json.encode(keep(item)), type=type(keep(item)))) == item


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_every_record_reads_back_as_it_was(seed: int) -> None:
    for append in conversation(random.Random(seed)):
        assert there_and_back(*append) == list(append)


def test_records_outside_the_conversations_read_back_too() -> None:
    records: list[Record] = [
        msgspec.structs.replace(META, settings=msgspec.structs.replace(SETTINGS, base_instructions="be kind")),
        TurnContext(turn_id=TURN, settings=msgspec.structs.replace(SETTINGS, reasoning_effort="high")),
        MessageQuarantined(kind="StartTurn", reason="ValueError twice"),
    ]
    assert there_and_back(*records) == records


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_display_string_survives_being_taken_apart(command: str) -> None:
    for shape in (command, f"/bin/bash -lc {command}", f"/bin/sh -c '{command}'"):
        assert command_of(argv_of(shape)) == shape


def test_an_items_two_records_must_be_side_by_side() -> None:
    first, second = pair(TURN, said("hi", "m1"), AgentMessage(id="m1", text="hi"))
    for records in ([first], [first, shown(TURN, Plan(id="other", text=""))], [first, first]):
        with pytest.raises(UnencodableError, match="directly follow"):
            encode(records, thread_id=THREAD, first_ordinal=0, at=START)
    assert len(encode([first, second], thread_id=THREAD, first_ordinal=0, at=START)) == 2


@pytest.mark.parametrize("raw", [b"{", b"", b'{"type":"message"} {}', b'{"text":"\xff"}'])
def test_an_item_that_is_not_json_is_refused_rather_than_written(raw: bytes) -> None:
    record = ResponseItem(turn_id=TURN, item=HistoryItem(kind="message", raw=raw))
    with pytest.raises(UnencodableError, match="not JSON"):
        encode([record], thread_id=THREAD, first_ordinal=0, at=START)


def test_an_items_bytes_are_kept_as_they_are_but_for_line_breaks_between_tokens() -> None:
    raw = b'{ "type" : "message",\n "role":"assistant","content":[] ,"x":1.50}'
    record = ResponseItem(turn_id=TURN, item=HistoryItem(kind="message", raw=raw, origin=ORIGIN))
    [read] = there_and_back(record)
    assert isinstance(read, ResponseItem)
    assert read.item.raw == raw.replace(b"\n", b" ")


def line(type_: str, payload: Any, **head: Any) -> bytes:
    return msgspec.json.encode({"timestamp": "2026-11-21T01:02:03.456Z", "type": type_, "payload": payload, **head})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (line("world_state", {"a": 1}, ordinal=7), "unknown_type"),
        (line("event_msg", {"type": "thread_settings_applied"}, ordinal=7), "unknown_event"),
        (line("event_msg", {"type": "token_count", "info": None}, ordinal=7), "unknown_event"),
        (
            line("event_msg", {"type": "item_completed", "item": {"type": "Sleep", "id": "1"}}, ordinal=7),
            "unknown_event",
        ),
        (line("event_msg", {"type": "item_completed", "item": {"type": "Plan", "id": "1"}}, ordinal=7), "unreadable"),
        (line("callboard_thread_named", {"name": 3}, ordinal=7), "unreadable"),
        (line("response_item", [], ordinal=7), "unreadable"),
    ],
)
def test_what_is_not_for_us_is_told_from_what_is_damaged_and_keeps_its_ordinal(raw: bytes, reason: str) -> None:
    skipped = decode(raw)
    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.ordinal) == (reason, 7)
    assert decode_ordinal(raw) == 7


@given(st.binary(max_size=200) | st.just(b"[" * 50_000) | st.just(b'{"type":"x","payload":' + b"[" * 50_000))
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_make_reading_raise(raw: bytes) -> None:
    assert isinstance(decode(raw), Skipped)
    decode_ordinal(raw)


def test_invalid_utf8_inside_an_item_makes_the_line_unreadable() -> None:
    good = encode([ResponseItem(turn_id=TURN, item=user_item("hello"))], thread_id=THREAD, first_ordinal=0, at=START)[0]
    assert isinstance(decode(good), Line)
    assert isinstance(decode(good.replace(b"hello", b"he\xc3lo")), Skipped)


def test_settings_that_a_later_version_wrote_do_not_lock_the_thread() -> None:
    [meta] = encode([META], thread_id=THREAD, first_ordinal=0, at=START)
    read = decode(meta.replace(b'"danger-full-access"', b'"from-the-future"'))
    assert isinstance(read, Line)
    assert isinstance(read.record, SessionMeta)
    assert read.record.settings.provider == "rehearsal"
    assert read.record.thread_id == THREAD


def test_metadata_may_be_absent_and_fields_may_be_added() -> None:
    payload = {"type": "function_call", "call_id": "c1", "name": "x", "arguments": "{}", "new": True}
    read = decode(line("response_item", payload, ordinal=1, another={"field": 1}))
    assert isinstance(read, Line)
    assert isinstance(read.record, ResponseItem)
    assert read.record.item.kind == "function_call"
    assert read.record.item.call_id == CallId("c1")
    assert read.record.item_id is None
