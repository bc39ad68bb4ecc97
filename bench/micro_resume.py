"""Claim: a thread of a thousand items is read back from its log in a fraction of the 60 ms that a resume may take.

The baseline decodes every line with the standard library and does nothing with it. Ours checks each record, pairs the
items, builds the history that goes to the model and the turns that clients see.
"""

from __future__ import annotations

import json

import msgspec

from actors.rollout_writer.lines import encode
from actors.rollout_writer.projection import project
from bench.harness import Case, Suite, timed
from messages.base import ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage, TextInput, UserMessage
from messages.items import HistoryItem, InputText, MessageItem, Origin, OutputText
from messages.log import (
    ItemShown,
    Record,
    ResponseItem,
    SessionMeta,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.model import TokenUsage
from messages.session import ThreadSettings

TURNS = 500
"""Of two items each: the thread of the neutral rig's resume scenario."""

AT = 1_763_700_000.0
THREAD = ThreadId("0193a000-0000-7000-8000-000000000001")
SETTINGS = ThreadSettings(provider="p", model="m", cwd="/srv")
ORIGIN = Origin(provider="p", model="m", wire="responses")
USAGE = TokenUsage(input=1200, output=80, total=1280)


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    data = rollout()
    lines = data.splitlines()
    return (
        Suite(
            name="resume",
            claim=f"a rollout of {TURNS * 2} items ({len(lines)} records, {len(data) // 1024} KB) as one thread",
            unit="thread",
            cases=(
                Case(name="json.loads of each line", run=timed(lambda units: _json(lines, units))),
                Case(name="project", run=timed(lambda units: _ours(data, units))),
            ),
        ),
    )


def rollout() -> bytes:
    """The log of a chat in short turns."""
    records: list[Record] = [
        SessionMeta(
            thread_id=THREAD,
            created_at=AT,
            cwd="/srv",
            source="bench",
            originator="bench",
            cli_version="0",
            settings=SETTINGS,
        )
    ]
    for number in range(TURNS):
        records += turn(number)
    return b"".join(encode(records, thread_id=THREAD, first_ordinal=0, at=AT))


def turn(number: int) -> list[Record]:
    """What one turn of a question and an answer leaves in the log."""
    turn_id = TurnId(f"turn_{number}")
    question, answer = f"Question {number}?", f"Answer {number}: " + "it depends on what one asks. " * 8
    asked, said = f"item_{number}_0", f"item_{number}_1"
    asked_raw = msgspec.json.encode(MessageItem(role="user", content=(InputText(text=question),)))
    said_raw = msgspec.json.encode(MessageItem(role="assistant", content=(OutputText(text=answer),)))
    return [
        TurnOpened(turn_id=turn_id, submission_id=f"submission_{number}", started_at=AT),
        TurnContext(turn_id=turn_id, settings=SETTINGS),
        ResponseItem(turn_id=turn_id, item=HistoryItem(kind="message", raw=asked_raw), item_id=ItemId(asked)),
        ItemShown(turn_id=turn_id, item=UserMessage(id=asked, content=(TextInput(text=question),)), at_ms=1),
        ResponseItem(
            turn_id=turn_id,
            item=HistoryItem(kind="message", raw=said_raw, origin=ORIGIN),
            item_id=ItemId(said),
            response_id=f"resp_{number}",
        ),
        ItemShown(turn_id=turn_id, item=AgentMessage(id=said, text=answer), at_ms=2),
        UsageRecorded(turn_id=turn_id, last=USAGE, total=USAGE),
        TurnClosed(turn_id=turn_id, status="completed", completed_at=AT + 1, last_message=answer),
    ]


def _json(lines: list[bytes], units: int) -> None:
    for _ in range(units):
        for line in lines:
            json.loads(line)


def _ours(data: bytes, units: int) -> None:
    for _ in range(units):
        project(data)
