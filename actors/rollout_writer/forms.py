"""The forms of rollout payloads: Codex's fields, with ours where theirs cannot say it.

A field ``callboard`` holds what is ours; a payload without it was recorded elsewhere. Everything that only some writers
fill in has a default, so that files of other versions can be read. Sources: docs/rollouts.md; codex-rs
`protocol/src/protocol.rs`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.rollout_writer.kept import KeptItem
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.items import Origin
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    CallSpawned,
    MessageQuarantined,
    ScriptRecorded,
    ScriptWritten,
    SpawnEnded,
    SteerAccepted,
    TerminalPassed,
    TextCheckpoint,
    ThreadNamed,
    ToolDenied,
    ToolStarted,
    TurnClosed,
)
from messages.session import ThreadSettings, TurnBudget


class HistoryBase(msgspec.Struct, frozen=True, kw_only=True):
    """A fork without a copy: the conversation begins with this much of another file."""

    thread_id: ThreadId
    end_byte_offset: int
    end_ordinal_exclusive: int | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    payload: msgspec.Raw
    ordinal: int | None = None
    timestamp: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"")


class ItemPeek(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a Responses item as its place in a history depends on."""

    type: str
    call_id: CallId | None = None
    role: str | None = None


class ItemNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our `metadata` of a response_item, or of each item of a replacement history."""

    turn_id: TurnId | None = None
    item_id: ItemId | None = None
    response_id: str | None = None
    origin: Origin | None = None


class MetaNote(msgspec.Struct, frozen=True, kw_only=True):
    created_at: float
    settings: ThreadSettings


class Text(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""


class Git(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    commit_hash: str | None = None
    branch: str | None = None
    repository_url: str | None = None


class Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: ThreadId
    session_id: str | None = None
    timestamp: str = ""
    cwd: str = ""
    originator: str = ""
    cli_version: str = ""
    source: Any = None
    thread_source: Any = None
    model_provider: str | None = None
    base_instructions: Text | str | None = None
    history_mode: str | None = None
    history_base: HistoryBase | None = None
    git: Git | None = None
    callboard: MetaNote | msgspec.UnsetType = msgspec.UNSET


class ContextNote(msgspec.Struct, frozen=True, kw_only=True):
    settings: ThreadSettings


class Context(msgspec.Struct, frozen=True, kw_only=True):
    turn_id: TurnId = TurnId("")
    cwd: str = ""
    approval_policy: Any = None
    sandbox_policy: Any = None
    model: str = ""
    effort: str | None = None
    summary: str | None = None
    callboard: ContextNote | msgspec.UnsetType = msgspec.UNSET


class OpenedNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    submission_id: str
    started_at: float
    budget: TurnBudget | None = None
    """None: the usual one."""
    output_schema: dict[str, Any] | None = None


class TaskStarted(msgspec.Struct, frozen=True, kw_only=True, tag="task_started"):
    turn_id: TurnId = TurnId("")
    started_at: int | None = None
    model_context_window: int | None = None
    callboard: OpenedNote | msgspec.UnsetType = msgspec.UNSET


class TaskComplete(msgspec.Struct, frozen=True, kw_only=True, tag="task_complete"):
    turn_id: TurnId = TurnId("")
    last_agent_message: str | None = None
    completed_at: int | None = None
    callboard: TurnClosed | msgspec.UnsetType = msgspec.UNSET


class TurnAborted(msgspec.Struct, frozen=True, kw_only=True, tag="turn_aborted"):
    turn_id: TurnId | None = None
    reason: str = "interrupted"
    completed_at: int | None = None
    callboard: TurnClosed | msgspec.UnsetType = msgspec.UNSET


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = 0


class UsageInfo(msgspec.Struct, frozen=True, kw_only=True):
    total_token_usage: Usage
    last_token_usage: Usage = Usage()
    model_context_window: int | None = None


class TokenCount(msgspec.Struct, frozen=True, kw_only=True, tag="token_count"):
    info: UsageInfo | None = None
    rate_limits: Any = None
    turn_id: TurnId = TurnId("")


class ShownNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    partial: bool = False
    paired: bool = False


class ItemCompleted(msgspec.Struct, frozen=True, kw_only=True, tag="item_completed", omit_defaults=True):
    item: KeptItem
    thread_id: str = ""
    turn_id: TurnId = TurnId("")
    started_at_ms: int | None = None
    completed_at_ms: int | None = None
    callboard: ShownNote | msgspec.UnsetType = msgspec.UNSET


Event = TaskStarted | TaskComplete | TurnAborted | TokenCount | ItemCompleted


class CompactedForm(msgspec.Struct, frozen=True, kw_only=True):
    message: str = ""
    replacement_history: tuple[msgspec.Raw, ...] | None = None
    turn_id: TurnId = TurnId("")
    callboard: tuple[ItemNote, ...] | msgspec.UnsetType = msgspec.UNSET


class EventPeek(msgspec.Struct, frozen=True, kw_only=True):
    type: str = "?"


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    record: TerminalPassed
    paired: bool = False


Ours = (
    SteerAccepted
    | ToolStarted
    | ToolDenied
    | ScriptWritten
    | ScriptRecorded
    | CallSpawned
    | SpawnEnded
    | ApprovalAsked
    | ApprovalAnswered
    | ThreadNamed
    | TextCheckpoint
    | MessageQuarantined
)
"""Records that the other reader has no word for, kept as they are."""

OURS: dict[type, str] = {
    SteerAccepted: "callboard_steer_accepted",
    ToolStarted: "callboard_tool_started",
    ToolDenied: "callboard_tool_denied",
    ScriptWritten: "callboard_script_written",
    ScriptRecorded: "callboard_script_recorded",
    CallSpawned: "callboard_call_spawned",
    SpawnEnded: "callboard_spawn_ended",
    ApprovalAsked: "callboard_approval_asked",
    ApprovalAnswered: "callboard_approval_answered",
    ThreadNamed: "callboard_thread_named",
    TextCheckpoint: "callboard_text_checkpoint",
    MessageQuarantined: "callboard_message_quarantined",
}
PASSED = "callboard_terminal_passed"
