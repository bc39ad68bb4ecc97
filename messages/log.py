"""What a rollout's lines say.

A line is ``{"timestamp","ordinal","type","payload"[,"metadata"]}`` and ends with a newline; without it the record does
not exist. Types and payloads follow the Codex rollout (reference/core CORE §7.1), so that a conversation recorded
elsewhere can be opened here and the other way round: what clients saw comes from ``event_msg``/``item_completed``,
what the model is sent again from ``response_item``. Our own record types are skipped by other readers; ours skip what
they do not know.

The structs here are the *meaning* of a record. `actors/rollout_writer` turns them into lines (`lines.py`) and
back (`parsing.py`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.approval import Answers, ApprovalDecision
from messages.base import CallId, Delivery, ItemId, JsonObject, Message, ThreadId, TurnId
from messages.client.item import ThreadItem, UserMessage
from messages.failure import Failure
from messages.items import HistoryItem
from messages.model import TokenUsage
from messages.permissions import PermissionGrant
from messages.script import ScriptEvent, ScriptLimits, ScriptMode
from messages.session import USUAL_BUDGET, Approval, ThreadSettings, ThreadSummary, TurnBudget
from messages.tools import ScriptPlace, ToolOutcome


class SessionMeta(msgspec.Struct, frozen=True, kw_only=True, tag="session_meta"):
    """First record of every rollout."""

    thread_id: ThreadId
    created_at: float
    cwd: str
    source: str
    originator: str
    cli_version: str
    settings: ThreadSettings
    thread_source: str | None = None
    git_branch: str | None = None
    git_commit: str | None = None
    git_origin: str | None = None


class TurnContext(msgspec.Struct, frozen=True, kw_only=True, tag="turn_context"):
    """The settings a turn ran under."""

    turn_id: TurnId
    settings: ThreadSettings


class TurnOpened(msgspec.Struct, frozen=True, kw_only=True, tag="turn_opened"):
    """event_msg/task_started. ``submission_id`` makes a repeated turn/start find its turn again."""

    turn_id: TurnId
    submission_id: str
    started_at: float
    budget: TurnBudget = USUAL_BUDGET
    output_schema: dict[str, Any] | None = None


class SteerAccepted(msgspec.Struct, frozen=True, kw_only=True, tag="steer_accepted"):
    """A further submission was taken into the turn. It enters history before the next sampling.

    ``item``: the user message it will be shown as. When the log has no `ItemShown` of that id, the input was accepted
    and never entered: recovery enters it, so that it is not lost.
    """

    turn_id: TurnId
    submission_id: str
    item: UserMessage | None = None
    unheard: bool = False
    """The user's programs have to hear it before the model does: recovery, which cannot ask them, enters it for eyes
    only."""


class ResponseItem(msgspec.Struct, frozen=True, kw_only=True, tag="response_item"):
    """One item of the history a model is sent."""

    turn_id: TurnId
    item: HistoryItem
    item_id: ItemId | None = None
    """The thread item clients see this as. When set, the very next record of the same `Append` is that item's
    `ItemShown` (or, for the output of a command that goes on, its `TerminalPassed`), and neither counts without the
    other. None for what clients never see by itself: a call (its item comes with its output), an update_plan output,
    context messages."""
    response_id: str | None = None
    """Which sampling made it: the same for all items of one response, None on what users and tools said."""


class Compacted(msgspec.Struct, frozen=True, kw_only=True, tag="compacted"):
    """From here on the history a model is sent begins with ``history``; what clients saw stays."""

    turn_id: TurnId
    message: str
    """The summary in words."""
    history: tuple[HistoryItem, ...]


class ItemShown(msgspec.Struct, frozen=True, kw_only=True, tag="item_shown"):
    """event_msg/item_completed: an item as clients saw it completed.

    ``partial``: it was cut short (interrupt, crash, a failed attempt); it is shown again but is no history.
    """

    turn_id: TurnId
    item: ThreadItem
    at_ms: int
    partial: bool = False


class ToolStarted(msgspec.Struct, frozen=True, kw_only=True, tag="tool_started"):
    """From here on the call may have taken effect. Without a later output it is *unknown* after a crash. One per
    call, but for a second run that a `ToolDenied` came before."""

    turn_id: TurnId
    call_id: CallId
    item_id: ItemId
    name: str
    idempotency_key: str
    item: ThreadItem | None = None
    """As shown in progress, so that recovery can complete it."""
    place: ScriptPlace | None = None
    """Of a script's call."""


class ToolDenied(msgspec.Struct, frozen=True, kw_only=True, tag="tool_denied"):
    """A run of the call in its sandbox has ended: it was probably denied something. What becomes of it is for people,
    or for what they granted: another `ToolStarted` of the call is a run without the sandbox. Until its output the
    call stays *started*, so after a crash it is unknown."""

    turn_id: TurnId
    call_id: CallId
    words: str
    item: ThreadItem | None = None
    """As that run left it, with its output."""


class ScriptWritten(msgspec.Struct, frozen=True, kw_only=True, tag="script_written"):
    """The model wrote a script in its last response, and it is in the history, in its text; or a person wants one run.
    Its life follows as `ToolStarted` and `ScriptRecorded`; its end is the `ItemShown` of ``item_id``."""

    turn_id: TurnId
    call_id: CallId
    item_id: ItemId
    source: str
    source_hash: str
    """SHA-256, hexadecimal."""
    behind: int
    """How many structured calls of the response were written before it."""
    mode: ScriptMode
    tools: tuple[str, ...]
    """Names in the registry of those it may call."""
    limits: ScriptLimits
    context: JsonObject = {}
    """What it may read of the world: a replay must read the same."""
    by: Literal["model", "user"] = "model"


class ScriptRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="script_recorded"):
    """What happened in a script. The start of a call is not among it: that is its `ToolStarted`."""

    turn_id: TurnId
    call_id: CallId
    event: ScriptEvent


class CallSpawned(msgspec.Struct, frozen=True, kw_only=True, tag="call_spawned"):
    """A script's call has begun and belongs to the thread from here on; behind its `ToolStarted`."""

    turn_id: TurnId
    call_id: CallId
    item_id: ItemId
    task: int
    """What it is called in this thread: from 1, never given twice."""
    name: str
    """Of the tool, as scripts call it."""


class SpawnEnded(msgspec.Struct, frozen=True, kw_only=True, tag="spawn_ended"):
    """Exactly one per `CallSpawned`: nothing of it runs. The message that tells the model of it says so in its note."""

    turn_id: TurnId
    task: int
    outcome: ToolOutcome
    text: str
    """What the model is to be told of it."""


class ApprovalAsked(msgspec.Struct, frozen=True, kw_only=True, tag="approval_asked"):
    """A question waits for people. ``item`` is what it is about, as shown in progress."""

    approval: Approval
    item: ThreadItem | None = None


class ApprovalAnswered(msgspec.Struct, frozen=True, kw_only=True, tag="approval_answered"):
    """Exactly one per ApprovalAsked; ``decision`` None: it lapsed."""

    approval_id: str
    decision: ApprovalDecision | None
    amendment: tuple[str, ...] | None = None
    """The rule that was asked for with the yes."""
    by: str | None = None
    answers: Answers | None = None
    granted: PermissionGrant | None = None


class TerminalPassed(msgspec.Struct, frozen=True, kw_only=True, tag="terminal_passed"):
    """A running command became the thread's; its item stays open until a later ItemShown."""

    turn_id: TurnId
    call_id: CallId
    terminal: int
    item: ThreadItem


class UsageRecorded(msgspec.Struct, frozen=True, kw_only=True, tag="usage_recorded"):
    """event_msg/token_count."""

    turn_id: TurnId
    last: TokenUsage
    total: TokenUsage


class TurnClosed(msgspec.Struct, frozen=True, kw_only=True, tag="turn_closed"):
    """event_msg/task_complete or turn_aborted."""

    turn_id: TurnId
    status: Literal["completed", "interrupted", "failed"]
    completed_at: float
    failure: Failure | None = None
    last_message: str | None = None


class ThreadNamed(msgspec.Struct, frozen=True, kw_only=True, tag="thread_named"):
    """The thread has a (new) name."""

    name: str


class TextCheckpoint(msgspec.Struct, frozen=True, kw_only=True, tag="text_checkpoint"):
    """Text that was being shown when the process died; for display only, never history."""

    turn_id: TurnId
    item_id: ItemId
    item: ThreadItem


class MessageQuarantined(msgspec.Struct, frozen=True, kw_only=True, tag="message_quarantined"):
    """A message that crashed this thread's session twice and will not be delivered again."""

    kind: str
    reason: str


Record = (
    SessionMeta
    | TurnContext
    | TurnOpened
    | SteerAccepted
    | ResponseItem
    | Compacted
    | ItemShown
    | ToolStarted
    | ToolDenied
    | ScriptWritten
    | ScriptRecorded
    | CallSpawned
    | SpawnEnded
    | ApprovalAsked
    | ApprovalAnswered
    | TerminalPassed
    | UsageRecorded
    | TurnClosed
    | ThreadNamed
    | TextCheckpoint
    | MessageQuarantined
)


# --- what is said to the writer ---------------------------------------------------------------------------------


class Append(Message, frozen=True, kw_only=True):
    """Add records to a thread's rollout; the reply is `Appended` or `AppendFailed`.

    ``first_ordinal`` counts up by one per record; ordinals already in the file are dropped, so sending an append
    again is safe. One that would leave a gap (an earlier append failed, a later one was already on its way) is
    refused. With ``barrier`` the reply comes only when the records, and all before them, survive power loss.
    """

    delivery = Delivery.RETRY_SAFE
    thread_id: ThreadId
    path: str
    first_ordinal: int
    at: float
    records: tuple[Record, ...]
    barrier: bool = False


class Appended(Message, frozen=True, kw_only=True):
    """The records are in the file (and durable, after a barrier)."""

    thread_id: ThreadId
    next_ordinal: int


class AppendFailed(Message, frozen=True, kw_only=True):
    """None of the records counts: what was half written has been cut off again, or will be before the next append."""

    thread_id: ThreadId
    first_ordinal: int
    failure: Failure


class ListThreads(Message, frozen=True, kw_only=True):
    """A page of thread summaries, newest first; the reply is a `ThreadPage`."""

    delivery = Delivery.RETRY_SAFE
    limit: int = 25
    cursor: str | None = None
    sort_by: Literal["created_at", "updated_at"] = "updated_at"
    ascending: bool = False
    cwd: str | None = None
    search: str | None = None
    providers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class FindThread(Message, frozen=True, kw_only=True):
    """The reply is the thread's `ThreadSummary`, or None if there is no rollout of that id."""

    delivery = Delivery.RETRY_SAFE
    thread_id: ThreadId


class ThreadPage(Message, frozen=True, kw_only=True):
    """One page of `ListThreads`."""

    threads: tuple[ThreadSummary, ...]
    next_cursor: str | None = None
    previous_cursor: str | None = None


LogRequest = Append | ListThreads | FindThread
LogReply = Appended | AppendFailed | ThreadPage | ThreadSummary | None
