"""What is said to a session, and what a session tells those who watch it.

Commands are imperatives and events past participles. A command that a client may send twice carries the client's own
id and is idempotent. Events are what the feed holds: every connection turns them into its wire's notifications.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.approval import Answers, ApprovalDecision, ApprovalPolicy, Need
from messages.base import CallId, Delivery, ItemId, Lane, Message, ThreadId, TurnId
from messages.client.item import PlanStep, ThreadItem, UserInput
from messages.client_call import ClientAnswer
from messages.failure import Failure
from messages.hooks import HookReported
from messages.model import RateLimits, TokenUsage
from messages.permissions import NOTHING, PermissionGrant, PermissionProfile, Permissions
from messages.script import ScriptChoice, ScriptEvent
from messages.settings.sandbox import SandboxMode
from messages.tool_set import DynamicTool, ToolSelection
from messages.tools import ScriptPlace

CollaborationMode = Literal["default", "plan"]
"""plan: the model is to find out what is wanted and to say how it would be done; it may put questions to people."""
StatusFlag = Literal["waitingOnApproval", "waitingOnUserInput"]
TurnStatus = Literal["inProgress", "completed", "interrupted", "failed"]


ShowReasoning = Literal["none", "readable", "raw"]
"""What clients see of a model's reasoning: nothing, the readable form, everything."""


class ThreadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn runs under. A turn may override them; the override stays for the turns after it."""

    provider: str
    model: str
    cwd: str
    approval_policy: ApprovalPolicy = "on-request"
    sandbox_mode: SandboxMode = "danger-full-access"
    writable_roots: tuple[str, ...] = ()
    """Beside the folder; see `messages.settings.WorkspaceWriteSettings` for this and the four below."""
    network_access: bool = False
    exclude_tmpdir_env_var: bool = False
    exclude_slash_tmp: bool = False
    unix_sockets: bool = False
    granted: Permissions = NOTHING
    """What people gave beyond all this, for the session or, in a turn's own settings, for the turn. Whoever sets
    another sandbox takes it back."""
    profile: PermissionProfile | None = None
    """The permission profile of the user's own that this sandbox is; None: it is a mode with the rules above."""
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    verbosity: str | None = None
    show_reasoning: ShowReasoning = "readable"
    show_reasoning_chars: int = 200_000
    """Of one text of reasoning."""
    base_instructions: str | None = None
    """Replaces our own system prompt."""
    developer_instructions: str | None = None
    ephemeral: bool = False
    """Nothing is written to disk."""
    mode: CollaborationMode = "default"
    tools: ToolSelection = ToolSelection()
    dynamic_tools: tuple[DynamicTool, ...] = ()
    """Run by the client that began the thread. They never change, and stand in the first record of the log only."""


class SettingsPatch(msgspec.Struct, frozen=True, kw_only=True):
    """The settings a client asked to change; None leaves one as it is."""

    model: str | None = None
    provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    sandbox_mode: SandboxMode | None = None
    writable_roots: tuple[str, ...] | None = None
    network_access: bool | None = None
    exclude_tmpdir_env_var: bool | None = None
    exclude_slash_tmp: bool | None = None
    profile: PermissionProfile | None = None
    """A mode without a profile ends the one there was."""
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    show_reasoning: ShowReasoning | None = None
    mode: CollaborationMode | None = None
    tools: ToolSelection | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None


class TurnBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn may use, inherited down the tree: a child can only have less."""

    deadline_seconds: float | None = None
    """None: a person is watching and may interrupt."""
    tool_calls: int = 1000
    """A model that loops is stopped before it costs a fortune."""
    output_bytes: int = 64 * 1024 * 1024
    """Of tool output handed to the model, after truncation."""


USUAL_BUDGET = TurnBudget()


# --- commands: gateway -> session -------------------------------------------------------------------------------


class StartTurn(Message, frozen=True, kw_only=True):
    """Begin a turn; while one runs, this steers it. Asked; the reply is `TurnAccepted` or `Refused`."""

    delivery = Delivery.RETRY_SAFE
    submission_id: str
    """Chosen by the client; the same id again is the same turn."""
    input: tuple[UserInput, ...]
    settings: SettingsPatch | None = None
    output_schema: dict[str, Any] | None = None
    budget: TurnBudget | None = None
    client_id: str | None = None
    """`clientUserMessageId`, echoed in the user message item."""
    scripts: ScriptChoice | None = None
    """For this turn only."""


class SteerTurn(Message, frozen=True, kw_only=True):
    """Add input to the running turn; refused unless ``expected_turn_id`` is the one that runs."""

    delivery = Delivery.RETRY_SAFE
    submission_id: str
    input: tuple[UserInput, ...]
    expected_turn_id: TurnId
    client_id: str | None = None


class RunUserCommand(Message, frozen=True, kw_only=True):
    """Run a command line that a person typed: beside the turn that runs, or else as a turn of its own in which no model
    is asked. The next request to a model tells of it. The reply is `TurnAccepted` or `Refused`."""

    submission_id: str
    command: str
    timeout_seconds: float | None = None


class RunScript(Message, frozen=True, kw_only=True):
    """Run a script that a person wrote, as a turn of its own in which no model is asked; the next request to a model
    tells of it. Refused while a turn runs, and where there can be none. The reply is `TurnAccepted` or `Refused`."""

    submission_id: str
    source: str
    choice: ScriptChoice
    """Its mode, and what it may call."""


class CompactThread(Message, frozen=True, kw_only=True):
    """Have the model sum up the history, and send it the summary from then on, as a turn of its own. Refused while a
    turn runs. The reply is `TurnAccepted` or `Refused`."""

    submission_id: str


class InterruptTurn(Message, frozen=True, kw_only=True):
    """Stop the running turn. The reply, `TurnAccepted` or `Refused`, comes at once; `TurnCompleted` follows when
    nothing of the turn is left."""

    lane = Lane.CONTROL
    delivery = Delivery.RETRY_SAFE
    turn_id: TurnId | None = None
    """None interrupts whichever turn runs."""


class CancelToolCall(Message, frozen=True, kw_only=True):
    """Cancel one running call; the turn goes on. The reply is False if no such call runs."""

    lane = Lane.CONTROL
    call_id: CallId


class ResolveApproval(Message, frozen=True, kw_only=True):
    """A client's answer; the first one wins. The reply is True when it was this one."""

    lane = Lane.CONTROL
    approval_id: str
    decision: ApprovalDecision
    amendment: tuple[str, ...] | None = None
    """With `acceptWithExecpolicyAmendment`: commands that begin with these words are allowed from now on."""
    answers: Answers | None = None
    """Of a question of the model's, accepted: what they said."""
    granted: PermissionGrant | None = None
    """Of a request for rights, accepted: which of them. None: all."""
    by: str
    """Which connection answered."""


class UndoTurn(Message, frozen=True, kw_only=True):
    """Take back what a turn changed in the worktree. Refused while a turn runs; the reply is `TurnUndone`."""

    turn_id: TurnId | None = None
    """None: the last turn that changed something and has not been taken back."""


class AnswerClientCall(Message, frozen=True, kw_only=True):
    """What a call that a client runs has come to; the first answer counts. The reply is True when it was this one."""

    lane = Lane.CONTROL
    client_call_id: str
    answer: ClientAnswer
    by: str
    """Which connection answered."""


class Subscribe(Message, frozen=True, kw_only=True):
    """Watch this thread. The reply carries the snapshot and the feed; live events follow it, none is missed."""

    include_turns: bool = True
    after_seq: int | None = None
    """Resume behind this sequence number of ``epoch`` instead of taking a snapshot's word for it."""
    epoch: str | None = None


class Unsubscribe(Message, frozen=True, kw_only=True):
    """A connection stopped watching; the work goes on."""


class ReadThread(Message, frozen=True, kw_only=True):
    """The thread as it stands; the reply is a `ThreadView`."""

    include_turns: bool = True


class SetThreadName(Message, frozen=True, kw_only=True):
    """Name the thread. The reply is None."""

    name: str


class UpdateSettings(Message, frozen=True, kw_only=True):
    """Change what the turns after this one run under. The reply is the `ThreadSettings` now in force."""

    settings: SettingsPatch


class ListTerminals(Message, frozen=True, kw_only=True):
    """The reply is a tuple of `TerminalView`."""


class TerminateTerminal(Message, frozen=True, kw_only=True):
    """End one background command; the reply is False if there is none of that id."""

    lane = Lane.CONTROL
    terminal: int


class CleanTerminals(Message, frozen=True, kw_only=True):
    """End all background commands of the thread. The reply is how many were told to end."""

    lane = Lane.CONTROL


class CloseThread(Message, frozen=True, kw_only=True):
    """Unload: interrupt what runs, end background commands, flush. The reply comes when nothing is left.

    With ``suspend`` a turn that waits for nothing but people's answers is left open in the log instead, as a crash
    would leave it, and goes on when the thread is loaded again and they answer.
    """

    lane = Lane.CONTROL
    suspend: bool = False


SessionCommand = (
    StartTurn
    | SteerTurn
    | RunUserCommand
    | RunScript
    | CompactThread
    | InterruptTurn
    | CancelToolCall
    | ResolveApproval
    | AnswerClientCall
    | UndoTurn
    | Subscribe
    | Unsubscribe
    | ReadThread
    | SetThreadName
    | UpdateSettings
    | ListTerminals
    | TerminateTerminal
    | CleanTerminals
    | CloseThread
)


# --- replies ----------------------------------------------------------------------------------------------------


class TurnAccepted(msgspec.Struct, frozen=True, kw_only=True):
    turn_id: TurnId
    steered: bool = False


class TurnUndone(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back; paths are relative to ``root``."""

    turn_id: TurnId
    root: str
    restored: tuple[str, ...]
    """Files that are again what they were before the turn."""
    removed: tuple[str, ...]
    """Files that the turn had made."""
    left_out: str = ""
    """Untracked files that the snapshot does not hold, for people; "" for none."""


RefusalReason = Literal[
    "no_active_turn",
    "wrong_turn",
    "not_steerable",
    "busy",
    "too_large",
    "storage",
    "closing",
    "no_snapshot",
    "no_scripts",
]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why a command was not taken; ``active_turn_id`` helps a client that guessed wrong."""

    reason: RefusalReason
    message: str
    active_turn_id: TurnId | None = None


# --- events: session -> feed ------------------------------------------------------------------------------------


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as told to clients; ``items`` is filled only in snapshots."""

    id: TurnId
    status: TurnStatus
    started_at: float
    completed_at: float | None = None
    failure: Failure | None = None
    items: tuple[ThreadItem, ...] = ()


class ThreadStatus(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["notLoaded", "idle", "systemError", "active"]
    flags: tuple[StatusFlag, ...] = ()


class TurnStarted(Message, frozen=True, kw_only=True, tag="turn_started"):
    turn: Turn


class TurnCompleted(Message, frozen=True, kw_only=True, tag="turn_completed"):
    """Nothing of the turn is left: no request, no call, no process that had not passed to the thread."""

    turn: Turn
    last_message: str | None = None


class ItemStarted(Message, frozen=True, kw_only=True, tag="item_started"):
    turn_id: TurnId
    item: ThreadItem
    at_ms: int


class ItemCompleted(Message, frozen=True, kw_only=True, tag="item_completed"):
    turn_id: TurnId
    item: ThreadItem
    at_ms: int


class ReasoningPartAdded(Message, frozen=True, kw_only=True, tag="reasoning_part_added"):
    turn_id: TurnId
    item_id: ItemId
    index: int


class StatusChanged(Message, frozen=True, kw_only=True, tag="status_changed"):
    status: ThreadStatus


class UsageUpdated(Message, frozen=True, kw_only=True, tag="usage_updated"):
    turn_id: TurnId
    last: TokenUsage
    total: TokenUsage
    context_window: int | None = None


class LimitsUpdated(Message, frozen=True, kw_only=True, tag="limits_updated"):
    """What the provider's last answer said of its limits on the key."""

    provider: str
    limits: RateLimits


class DiffUpdated(Message, frozen=True, kw_only=True, tag="diff_updated"):
    turn_id: TurnId
    diff: str


class PlanUpdated(Message, frozen=True, kw_only=True, tag="plan_updated"):
    turn_id: TurnId
    explanation: str | None
    plan: tuple[PlanStep, ...]


class TurnFailing(Message, frozen=True, kw_only=True, tag="turn_failing"):
    """Something went wrong with the model; with ``will_retry`` the turn goes on."""

    turn_id: TurnId
    failure: Failure
    will_retry: bool
    attempt: int | None = None
    attempts: int | None = None


class ScriptHappened(Message, frozen=True, kw_only=True, tag="script_happened"):
    """Something happened in a script: a call with its line, a line of its console, what it says of itself. A call's
    result is left out: its item has it."""

    turn_id: TurnId
    item_id: ItemId
    """The script's."""
    event: ScriptEvent
    call_item_id: ItemId | None = None
    """The item of the call it is about."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A question to people, in the log under ``id`` until it has exactly one resolution."""

    id: str
    turn_id: TurnId
    item_id: ItemId
    call_id: CallId
    need: Need
    asked_at: float
    reason: str | None = None
    """Why people are asked."""
    decisions: tuple[ApprovalDecision, ...] = ("accept", "acceptForSession", "decline", "cancel")
    """What they may answer."""
    amendment: tuple[str, ...] | None = None
    """What `acceptWithExecpolicyAmendment` would allow."""
    expires_at: float | None = None
    place: ScriptPlace | None = None
    """The line of a script that waits for the answer."""


class ApprovalRequested(Message, frozen=True, kw_only=True, tag="approval_requested"):
    approval: Approval


class ApprovalResolved(Message, frozen=True, kw_only=True, tag="approval_resolved"):
    """``decision`` is None when the question lapsed (interrupt, expiry)."""

    approval_id: str
    decision: ApprovalDecision | None
    by: str | None = None


class NameChanged(Message, frozen=True, kw_only=True, tag="name_changed"):
    name: str


class SettingsChanged(Message, frozen=True, kw_only=True, tag="settings_changed"):
    settings: ThreadSettings


class TerminalInput(Message, frozen=True, kw_only=True, tag="terminal_input"):
    """The model wrote to a running command."""

    turn_id: TurnId
    item_id: ItemId
    process_id: str
    text: str


class Warned(Message, frozen=True, kw_only=True, tag="warned"):
    """Something a user should know that stops nothing."""

    message: str


SessionEvent = (
    TurnStarted
    | TurnCompleted
    | ItemStarted
    | ItemCompleted
    | ReasoningPartAdded
    | StatusChanged
    | UsageUpdated
    | LimitsUpdated
    | DiffUpdated
    | PlanUpdated
    | TurnFailing
    | ScriptHappened
    | ApprovalRequested
    | ApprovalResolved
    | NameChanged
    | SettingsChanged
    | TerminalInput
    | HookReported
    | Warned
)


# --- views ------------------------------------------------------------------------------------------------------


class TerminalView(msgspec.Struct, frozen=True, kw_only=True):
    """A background command of the thread."""

    terminal: int
    call_id: CallId
    item_id: ItemId
    command: str
    cwd: str
    started_at: float


class ThreadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of threads shows of one; derived from its rollout."""

    id: ThreadId
    path: str | None
    cwd: str
    preview: str
    """The first user message, trimmed; empty before it."""
    name: str | None
    provider: str
    model: str
    source: str
    created_at: float
    updated_at: float
    cli_version: str
    originator: str | None = None
    thread_source: str | None = None
    """These two are known of a loaded thread only: no list shows them."""
    git_branch: str | None = None
    git_commit: str | None = None
    git_origin: str | None = None
    ephemeral: bool = False
    total_tokens: int = 0
    turns: int = 0


class ThreadView(msgspec.Struct, frozen=True, kw_only=True):
    """A thread as it stands at one instant, the running turn and its partial texts included."""

    summary: ThreadSummary
    settings: ThreadSettings
    status: ThreadStatus
    turns: tuple[Turn, ...]
    turn_count: int = 0
    item_count: int = 0
    """Of all turns, also where the view is without them."""
    usage: TokenUsage
    approvals: tuple[Approval, ...] = ()
    """The questions people have not answered yet."""
    terminals: tuple[TerminalView, ...] = ()
