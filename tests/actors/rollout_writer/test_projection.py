"""What a rollout means, case by case: item pairs, turns as shown, files recorded elsewhere."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer.loaded import Counts, OpenItem
from actors.rollout_writer.projection import Projector, project
from actors.rollout_writer.validity import validate_history
from actors.sandbox_pool.pool import DEFAULT_LIMITS
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client.item import (
    AgentMessage,
    CommandExecution,
    DynamicToolCall,
    TextContentItem,
    TextInput,
    UserMessage,
)
from messages.items import Origin
from messages.log import (
    Compacted,
    ItemShown,
    Record,
    ResponseItem,
    ScriptWritten,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import ThreadSettings, Turn
from messages.tool_set import DynamicTool
from tests.actors.rollout_writer.rollouts import (
    META,
    SETTINGS,
    START,
    THREAD,
    call_item,
    command,
    conversation,
    output_item,
    pair,
    said,
    shown,
    user_item,
    write,
)

TURN = TurnId("turn_1")
HELLO = UserMessage(id="u1", content=(TextInput(text="  hello\n there "),))
ANSWER = AgentMessage(id="m1", text="hi")
OPENED = TurnOpened(turn_id=TURN, submission_id="sub_1", started_at=START)


def uncompacted(seed: int) -> list[tuple[Record, ...]]:
    return [append for append in conversation(random.Random(seed), turns=3) if not isinstance(append[0], Compacted)]


def test_an_item_counts_only_when_both_of_its_records_are_there() -> None:
    data = write([(META, OPENED, *pair(TURN, said("hi", "m1"), ANSWER))])
    cut = data.rindex(b'{"timestamp"')
    assert project(data[:cut]).history == ()
    assert project(data[:cut]).turns[0].items == ()
    assert project(data[:cut]).counts.half_items == 1
    assert project(data).history == (said("hi", "m1"),)
    assert project(data).turns[0].items == (ANSWER,)


def test_a_shown_item_whose_history_item_was_damaged_does_not_count_either() -> None:
    data = write([(META, OPENED, *pair(TURN, said("hi", "m1"), ANSWER))])
    damaged = data.replace(b'{"type":"message"', b'{"type":message"')
    thread = project(damaged)
    assert (thread.history, thread.turns[0].items) == ((), ())
    assert (thread.counts.unreadable, thread.counts.half_items) == (1, 1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_what_clients_saw_and_what_the_model_is_sent_agree_at_every_record(seed: int) -> None:
    projector = Projector()
    for line in write(uncompacted(seed)).splitlines():
        projector.feed(line)
        thread = projector.loaded()
        items = [item for turn in thread.turns for item in turn.items]
        said_to_client = [i.text for i in items if isinstance(i, AgentMessage) and i.text != "half a sent"]
        said_to_model = [item for item in thread.history if item.kind == "message" and item.origin is not None]
        assert len(said_to_client) == len(said_to_model)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_whole_conversation_holds_every_output_that_was_recorded(seed: int) -> None:
    appends = uncompacted(seed)
    recorded = [
        record.item.raw
        for append in appends
        for record in append
        if isinstance(record, ResponseItem) and record.item.kind.endswith("_output")
    ]
    thread = project(write(appends))
    kept = [item.raw for item in thread.history if item.kind.endswith("_output")]
    assert sorted(kept) == sorted(recorded)


def test_a_thread_is_told_whole() -> None:
    usage = TokenUsage(input=5, output=2, total=7)
    records: list[Record] = [
        META,
        OPENED,
        TurnContext(turn_id=TURN, settings=msgspec.structs.replace(SETTINGS, model="rehearsal-2")),
        *pair(TURN, user_item("hello"), HELLO),
        SteerAccepted(turn_id=TURN, submission_id="sub_2"),
        *pair(TURN, said("hi", "m1"), ANSWER),
        UsageRecorded(turn_id=TURN, last=usage, total=usage),
        TurnClosed(turn_id=TURN, status="completed", completed_at=START + 1, last_message="hi"),
        ThreadNamed(name="greetings"),
    ]
    thread = project(write([tuple(records)], at=START + 1))
    assert thread.turns == (
        Turn(id=TURN, status="completed", started_at=START, completed_at=START + 1, items=(HELLO, ANSWER)),
    )
    assert thread.history == (user_item("hello"), said("hi", "m1"))
    assert thread.submissions == {"sub_1": TURN, "sub_2": TURN}
    assert (thread.usage, thread.name, thread.open_turn, thread.open_items) == (usage, "greetings", None, ())
    assert thread.counts == Counts(lines=len(records), records=len(records))
    assert thread.next_ordinal == len(records)
    summary = thread.summary("/x.jsonl")
    assert (summary.preview, summary.model, summary.turns, summary.total_tokens) == (
        "hello there",
        "rehearsal-2",
        1,
        7,
    )
    assert (summary.created_at, summary.updated_at) == (META.created_at, START + 1)


def test_a_persons_script_counts_as_a_submission_once_it_is_in_the_log() -> None:
    script = ScriptWritten(
        turn_id=TURN,
        call_id=CallId("s1"),
        item_id=ItemId("s1"),
        source="return 1",
        source_hash="h",
        behind=0,
        mode="enabled",
        tools=(),
        limits=DEFAULT_LIMITS,
    )
    assert project(write([(META, OPENED)], at=START)).submissions == {}
    assert project(write([(META, OPENED, script)], at=START)).submissions == {"sub_1": TURN}


def test_an_item_in_progress_keeps_its_place_when_it_completes() -> None:
    running = command("c1")
    done = msgspec.structs.replace(running, status="completed", exit_code=0)
    passed = TerminalPassed(turn_id=TURN, call_id=CallId("a"), terminal=7, item=running)
    output = ResponseItem(turn_id=TURN, item=output_item("a", "session 7", freeform=False), item_id=ItemId("c1"))
    log: list[Record] = [META, OPENED, ResponseItem(turn_id=TURN, item=call_item("a"), response_id="r"), output, passed]
    thread = project(write([tuple(log)]))
    assert thread.open_items == (OpenItem(turn_id=TURN, item=running, terminal=7),)
    log += pair(TURN, said("it runs", "m1"), ANSWER)
    log += [TurnClosed(turn_id=TURN, status="completed", completed_at=START), shown(TURN, done)]
    thread = project(write([tuple(log)]))
    assert thread.open_items == ()
    assert thread.turns[0].items == (done, ANSWER)
    assert validate_history(thread.history) == []


def test_a_checkpoint_is_shown_and_is_no_history() -> None:
    part = AgentMessage(id="m9", text="half")
    thread = project(write([(META, OPENED, TextCheckpoint(turn_id=TURN, item_id=ItemId("m9"), item=part))]))
    assert thread.turns[0].items == (part,)
    assert thread.history == ()
    assert thread.open_items == (OpenItem(turn_id=TURN, item=part, checkpoint=True),)


def test_a_gap_in_the_ordinals_is_told_and_nothing_more() -> None:
    data = write([(META, OPENED)]) + write([pair(TURN, user_item("hello"), HELLO)], first_ordinal=9)  # type: ignore[list-item]  # a list is as good as a tuple here
    thread = project(data)
    assert thread.counts.gaps == 1
    assert thread.warnings == ("line 3: ordinal 9 follows 1",)
    assert thread.next_ordinal == 11
    assert thread.history == (user_item("hello"),)


def test_a_file_that_lost_its_first_line_still_loads() -> None:
    data = write([(META, OPENED, *pair(TURN, user_item("hello"), HELLO))])
    thread = Projector(THREAD)
    for line in data.splitlines()[1:]:
        thread.feed(line)
    loaded = thread.loaded()
    assert loaded.meta.thread_id == THREAD
    assert loaded.history == (user_item("hello"),)


def test_an_empty_file_is_a_thread_without_anything() -> None:
    thread = project(b"", THREAD)
    assert (thread.meta.thread_id, thread.history, thread.turns, thread.next_ordinal) == (THREAD, (), (), 0)


def test_records_can_be_supposed_without_being_in_the_file() -> None:
    projector = Projector()
    for line in write([(META, OPENED, *pair(TURN, user_item("hello"), HELLO))]).splitlines():
        projector.feed(line)
    projector.suppose(
        [
            *pair(TURN, said("hi", "m1"), ANSWER),
            TurnClosed(turn_id=TURN, status="interrupted", completed_at=START),
        ]
    )
    thread = projector.loaded()
    assert thread.turns[0].items == (HELLO, ANSWER)
    assert thread.turns[0].status == "interrupted"
    assert thread.next_ordinal == 4


# --- recorded elsewhere -----------------------------------------------------------------------------------------


def elsewhere(*lines: tuple[str, Any], ordinals: bool = True) -> bytes:
    """A file of the other kind, in our own words: no field of ours in it."""
    return b"".join(
        msgspec.json.encode(
            {
                "timestamp": f"2026-11-20T10:00:{i:02}.000Z",
                **({"ordinal": i} if ordinals else {}),
                "type": type_,
                "payload": payload,
            }
        )
        + b"\n"
        for i, (type_, payload) in enumerate(lines)
    )


ELSEWHERE: tuple[tuple[str, Any], ...] = (
    (
        "session_meta",
        {
            "id": "0193aaaa-0000-7000-8000-000000000000",
            "timestamp": "2026-11-20T10:00:00.000Z",
            "cwd": "/proj",
            "originator": "other",
            "cli_version": "0.169.0",
            "source": {"subagent": "review"},
            "model_provider": "openai",
            "base_instructions": {"text": "be good"},
            "git": {"branch": "main", "commit_hash": "abc", "repository_url": "ssh://x"},
            "history_mode": "paginated",
            "context_window": 1000,
        },
    ),
    ("event_msg", {"type": "task_started", "turn_id": "t1", "started_at": 1795168800, "model_context_window": 1000}),
    (
        "turn_context",
        {
            "turn_id": "t1",
            "cwd": "/proj",
            "approval_policy": "on-failure",
            "sandbox_policy": {"type": "workspace-write"},
            "model": "gpt-x",
            "effort": "high",
            "summary": "auto",
        },
    ),
    ("world_state", {"anything": []}),
    ("response_item", {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]}),
    (
        "response_item",
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "run it"}],
            "internal_chat_message_metadata_passthrough": {"turn_id": "t1"},
        },
    ),
    (
        "event_msg",
        {
            "type": "item_completed",
            "thread_id": "x",
            "turn_id": "t1",
            "item": {
                "type": "UserMessage",
                "id": "u-1",
                "content": [{"type": "text", "text": "run it", "text_elements": []}],
            },
            "started_at_ms": 1795168801000,
            "completed_at_ms": 1795168801001,
        },
    ),
    ("response_item", {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}),
    ("response_item", {"type": "function_call", "name": "exec", "call_id": "c1", "arguments": "{}", "id": "fc_1"}),
    ("response_item", {"type": "function_call", "name": "exec", "call_id": "c2", "arguments": "{}", "id": "fc_2"}),
    ("response_item", {"type": "function_call_output", "call_id": "c2", "output": "two"}),
    (
        "event_msg",
        {
            "type": "item_completed",
            "thread_id": "x",
            "turn_id": "t1",
            "item": {
                "type": "CommandExecution",
                "id": "exec-1",
                "command": ["/bin/zsh", "-lc", "ls a b"],
                "cwd": "file:///proj/with%20space",
                "parsed_cmd": [{"type": "list_files", "cmd": "ls", "path": None}],
                "source": "unified_exec_startup",
                "status": "completed",
                "stdout": "x",
                "aggregated_output": "x",
                "exit_code": 0,
                "duration": {"secs": 1, "nanos": 5_000_000},
            },
            "completed_at_ms": 1795168805000,
        },
    ),
    ("response_item", {"type": "function_call_output", "call_id": "c1", "output": "one"}),
    ("response_item", {"type": "function_call_output", "call_id": "gone", "output": "orphan"}),
    (
        "event_msg",
        {
            "type": "item_completed",
            "turn_id": "t1",
            "item": {
                "type": "McpToolCall",
                "id": "mcp-1",
                "server": "docs",
                "tool": "find",
                "arguments": {"q": 1},
                "status": "completed",
                "result": {"content": []},
            },
            "completed_at_ms": 1795168805000,
        },
    ),
    (
        "event_msg",
        {
            "type": "token_count",
            "info": {
                "total_token_usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
                "last_token_usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
                "model_context_window": 1000,
            },
            "rate_limits": {"primary": {}},
        },
    ),
    ("event_msg", {"type": "turn_aborted", "turn_id": "t1", "reason": "interrupted"}),
)


def test_a_conversation_recorded_elsewhere_opens() -> None:
    thread = project(elsewhere(*ELSEWHERE))
    assert thread.meta.thread_id == ThreadId("0193aaaa-0000-7000-8000-000000000000")
    assert (thread.meta.source, thread.meta.git_branch) == ("unknown", "main")
    assert thread.settings == ThreadSettings(
        provider="openai",
        model="gpt-x",
        cwd="/proj",
        approval_policy="on-request",
        reasoning_effort="high",
        base_instructions="be good",
    )
    [turn] = thread.turns
    assert (turn.id, turn.status) == ("t1", "interrupted")
    assert turn.items == (
        UserMessage(
            id="u-1",
            content=(TextInput(text="run it"),),
            started_at_ms=1795168801000,
            completed_at_ms=1795168801001,
        ),
        CommandExecution(
            id="exec-1",
            command="/bin/zsh -lc 'ls a b'",
            cwd="/proj/with space",
            status="completed",
            command_actions=turn.items[1].command_actions,  # type: ignore[union-attr]  # compared below
            source="unifiedExecStartup",
            aggregated_output="x",
            exit_code=0,
            duration_ms=1005,
            completed_at_ms=1795168805000,
        ),
        DynamicToolCall(
            id="mcp-1",
            tool="find",
            arguments={"q": 1},
            status="completed",
            namespace="docs",
            content_items=(TextContentItem(text='{"content":[]}'),),
            success=True,
            completed_at_ms=1795168805000,
        ),
    )
    assert [item.kind for item in thread.history] == [
        "message",
        "message",
        "reasoning",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert validate_history(thread.history) == []
    assert thread.history[2].origin == Origin(provider="openai", model="gpt-x", wire="responses")
    assert b"passthrough" not in thread.history[1].raw
    assert thread.usage.total == 12
    assert thread.counts == Counts(lines=17, records=16, unknown=1)
    assert thread.warnings == ("line 14: function_call_output 'gone' has no place in the history and is left out",)


def test_every_prefix_of_a_conversation_recorded_elsewhere_is_valid() -> None:
    for ordinals in (True, False):
        data = elsewhere(*ELSEWHERE, ordinals=ordinals)
        for end in range(len(data) + 1):
            thread = project(data[:end])
            assert validate_history(thread.history) == []
            assert thread.next_ordinal == data[:end].count(b"\n")


def test_a_compaction_recorded_elsewhere_replaces_what_was_before() -> None:
    summary = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "so far: nothing"}]}
    replaced = project(elsewhere(*ELSEWHERE, ("compacted", {"message": "m", "replacement_history": [summary]})))
    assert [item.raw for item in replaced.history] == [msgspec.json.encode(summary)]
    assert len(replaced.turns[0].items) == 3
    older = project(elsewhere(*ELSEWHERE, ("compacted", {"message": "so far: nothing"})))
    assert [item.kind for item in older.history] == ["message"]
    assert validate_history(older.history) == []


def test_our_lines_say_the_same_to_a_reader_that_knows_only_the_other_vocabulary() -> None:
    """Every word of ours taken out, what is left is still the conversation."""
    log: list[Record] = [META, OPENED, TurnContext(turn_id=TURN, settings=SETTINGS)]
    log += pair(TURN, user_item("hello"), HELLO)
    log += pair(TURN, said("hi", "m1"), ANSWER, "r1")
    log += [TurnClosed(turn_id=TURN, status="completed", completed_at=START + 1, last_message="hi")]
    ours = write([tuple(log)])
    stripped = b""
    for line in ours.splitlines():
        fields = msgspec.json.decode(line)
        fields.pop("metadata", None)
        fields["payload"].pop("callboard", None)
        stripped += msgspec.json.encode(fields) + b"\n"
    theirs = project(stripped)
    mine = project(ours)
    assert [item.raw for item in theirs.history] == [item.raw for item in mine.history]
    assert [item.id for item in theirs.turns[0].items] == ["u1", "m1"]
    assert theirs.turns[0].status == "completed"
    assert theirs.settings == mine.settings


def test_shown_records_can_be_built_without_a_pair() -> None:
    log: list[Record] = [META, OPENED, ItemShown(turn_id=TURN, item=ANSWER, at_ms=1, partial=True)]
    thread = project(write([tuple(log)]))
    assert (thread.history, thread.turns[0].items) == ((), (ANSWER,))


def test_a_clients_tools_are_in_the_first_record_only_and_hold_for_every_turn() -> None:
    tool = DynamicTool(name="look", description="Looks.", parameters={"type": "object"}, wires=("chat",))
    offered = msgspec.structs.replace(SETTINGS, dynamic_tools=(tool,))
    meta = msgspec.structs.replace(META, settings=offered)
    other = msgspec.structs.replace(offered, model="another")
    first, *rest = write([(meta, OPENED, TurnContext(turn_id=TURN, settings=other))]).splitlines()
    assert b"look" in first
    assert b"look" not in b"".join(rest)
    assert project(b"\n".join((first, *rest, b""))).settings == other
