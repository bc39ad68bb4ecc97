"""What a client that fell behind is told from the log: the records it missed, as the events they once were. Pure.

The log keeps what stays: turns, whole items, questions and answers, names, usage. What it does not keep (deltas, plans,
diffs) the thread's feed knows the latest of, or the finished item holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from messages.base import TurnId
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    CallSpawned,
    Compacted,
    ItemShown,
    MessageQuarantined,
    Record,
    ResponseItem,
    ScriptRecorded,
    ScriptWritten,
    SessionMeta,
    SpawnEnded,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolDenied,
    ToolStarted,
    TurnClosed,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    ItemCompleted,
    NameChanged,
    SessionEvent,
    Turn,
    TurnCompleted,
    TurnStarted,
    UsageUpdated,
)


def retell(records: Iterable[tuple[int, Record]]) -> list[tuple[int, SessionEvent]]:
    """The events that a stretch of records stands for, with their ordinals."""
    started_at: dict[TurnId, float] = {}
    told: list[tuple[int, SessionEvent]] = []
    for ordinal, record in records:
        event = _event(record, started_at)
        if event is not None:
            told.append((ordinal, event))
    return told


def _event(record: Record, started_at: dict[TurnId, float]) -> SessionEvent | None:
    match record:
        case ItemShown():
            return ItemCompleted(turn_id=record.turn_id, item=record.item, at_ms=record.at_ms)
        case TurnOpened():
            started_at[record.turn_id] = record.started_at
            return TurnStarted(turn=Turn(id=record.turn_id, status="inProgress", started_at=record.started_at))
        case TurnClosed():
            return TurnCompleted(
                turn=Turn(
                    id=record.turn_id,
                    status=record.status,
                    started_at=started_at.get(record.turn_id, record.completed_at),
                    completed_at=record.completed_at,
                    failure=record.failure,
                ),
                last_message=record.last_message,
            )
        case UsageRecorded():
            return UsageUpdated(turn_id=record.turn_id, last=record.last, total=record.total)
        case ApprovalAsked():
            return ApprovalRequested(approval=record.approval)
        case ApprovalAnswered():
            return ApprovalResolved(approval_id=record.approval_id, decision=record.decision, by=record.by)
        case ThreadNamed():
            return NameChanged(name=record.name)
        case (
            SessionMeta()
            | TurnContext()
            | SteerAccepted()
            | ResponseItem()
            | Compacted()
            | ToolStarted()
            | ToolDenied()
            | ScriptWritten()
            | ScriptRecorded()
            | CallSpawned()
            | SpawnEnded()
            | TerminalPassed()
            | TextCheckpoint()
            | MessageQuarantined()
        ):
            return None
        case _:
            assert_never(record)
