"""What a session knows: one frozen value, replaced as a whole by every message.

The session's own facts are in `SessionState`, those of the turn that runs in `TurnState`; when there is no `TurnState`
no turn runs, so "running" is never a flag that could be wrong. A turn's children are counted in ``live``: each is
added by the effect that starts it and removed by its `ChildDown`, and a turn ends only when the set is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from actors.session.effects import Asked, ChildId, Token
from actors.session.ledger import Ledger
from actors.tool_worker.toolset import thread_tools
from actors.tool_worker.turn_diff import TurnDiff
from messages.approval import Grant, Need, QuestionNeed
from messages.base import CallId, ThreadId, TurnId
from messages.client.item import PlanStep, ThreadItem, UserMessage
from messages.failure import Failure
from messages.handle import Kept
from messages.hooks import HookEvent
from messages.items import HistoryItem, OutputPart
from messages.model import TokenUsage, ToolSpec
from messages.patch import FileRevision
from messages.script import ScriptChoice, ScriptJob, ScriptLimits, ScriptMode, ScriptTool
from messages.session import Approval, StatusFlag, ThreadSettings, ThreadStatus, ThreadSummary, Turn, TurnBudget
from messages.tool_set import Abilities
from messages.tools import ToolCall, ToolOutcome

SUBMISSIONS_REMEMBERED = 256
"""A client repeats a submission when its connection broke, not an hour of turns later."""

SlotKind = Literal["message", "reasoning", "function_call", "custom_tool_call", "opaque"]


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the response that streams. ``shown``: as it was started on the clients' screens; None for calls."""

    number: int
    kind: SlotKind
    shown: ThreadItem | None = None
    finished: HistoryItem | None = None
    summarised: bool = False
    """Of reasoning: a summary of it has begun."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """The model request in flight, with the items of its present attempt."""

    request_id: str
    slots: tuple[Slot, ...] = ()


class CallResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a call came to, before the model is told."""

    outcome: ToolOutcome
    output: str | tuple[OutputPart, ...]
    item: ThreadItem | None = None
    """Its finished item, or the open one of a command that goes on."""
    terminal: int | None = None
    revisions: tuple[FileRevision, ...] = ()
    plan: tuple[PlanStep, ...] | None = None
    plan_explanation: str | None = None
    kept: Kept | None = None
    """What of a script's call was too large to be passed on."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A script of the response that is worked off, beside the `Call` it is."""

    job: ScriptJob
    ledger: Ledger = Ledger()
    terminals: tuple[Terminal, ...] = ()
    """Commands that its calls left running: they end with it."""
    result: CallResult | None = None
    """What it came to, while something of it is still being ended."""


CallPhase = Literal["preparing", "asking", "ready", "running", "answered"]
"""asking: a person is to decide. answered: its output is in the log."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call of the response the turn is working off."""

    call: ToolCall
    phase: CallPhase = "preparing"
    prepared: bool = False
    """False while asking: the daemon was restarted meanwhile and a fresh worker has yet to look at it."""
    parallel_safe: bool = False
    side_effects: bool = True
    need: Need | None = None
    approval: Approval | None = None
    """The question people have not answered yet."""
    granted: Need | None = None
    """What a person allowed."""
    unconfined: bool = False
    """It may leave the sandbox."""
    item: ThreadItem | None = None
    """Its item as its worker would show it. Shown when people are asked about it or when it starts, and not while it
    waits for its turn: the log knows nothing of that, so after a crash nobody would complete it."""
    shown: ThreadItem | None = None
    """Its item as it was started on the clients' screens."""
    ran: CallResult | None = None
    """What its run in the sandbox came to, while it is open whether it runs again without."""
    left: ThreadItem | None = None
    """Its item as its command left it, when that was ended with the turn."""
    client_call_id: str | None = None
    """A client has been asked to run it, and has not answered."""
    started_at: float | None = None
    cancelled: bool = False
    fault: str | None = None
    """Why it can only fail."""
    refused: str | None = None
    """A script's: people had said no before a restart, in these words for the model."""
    output: HistoryItem | None = None
    """What the model will be told. Outputs are logged as the calls end and go to the model in its own order."""
    script: Script | None = None
    """Set when the call is a script itself."""

    @property
    def call_id(self) -> CallId:
        return self.call.call_id

    @property
    def child(self) -> ChildId:
        return ChildId(self.call.item_id)


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The turn is to end as soon as nothing of it runs."""

    status: Literal["completed", "interrupted", "failed"]
    failure: Failure | None = None


class Compaction(msgspec.Struct, frozen=True, kw_only=True):
    """The history is being summed up."""

    shown: ThreadItem
    instructions: str
    history: tuple[HistoryItem, ...]
    """What is summed up: all there is, or what of it still fits the model."""
    halvings: int = 0


class SubmittedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """Input that the user's programs hear before the model does."""

    item_id: str
    """Of the message."""
    child: ChildId
    """Who runs them."""
    heard: bool = False
    """They have ended, and let it in."""
    context: tuple[str, ...] = ()
    """What the model is told behind it."""


class CompactHooks(msgspec.Struct, frozen=True, kw_only=True):
    """The user's programs are told of a compaction."""

    when: Literal["before", "after"]
    children: frozenset[ChildId]
    """Who runs them."""


class TurnState(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that runs."""

    id: TurnId
    settings: ThreadSettings
    budget: TurnBudget
    started_at: float
    output_schema: dict[str, Any] | None = None
    items: tuple[ThreadItem, ...] = ()
    """Everything shown, in the order it started; what is still open stands as it was started."""
    sampling: Sampling | None = None
    compaction: Compaction | None = None
    """What the sampling is for, when it is not the answer."""
    compacted: bool = False
    """The model has not answered since."""
    compact_hooks: CompactHooks | None = None
    """Who asks, or tells, the user's programs about a compaction; nothing is sampled meanwhile."""
    uncompactable: bool = False
    """They have said that this history is not to be compacted now."""
    steerable: bool = True
    """False: it only compacts, and input waits for the next turn."""
    pauses: int = 0
    calls: tuple[Call, ...] = ()
    """The calls and scripts of the last response, in the model's order; then, while they last, the scripts' calls."""
    asides: tuple[Call, ...] = ()
    """Commands that a person runs beside them."""
    scripting: Scripting | None = None
    gathering: ChildId | None = None
    """Who looks what the model is to know first; until that is known, input waits."""
    stop_hooks: ChildId | None = None
    """Who asks the user's programs whether the turn may end."""
    stop_heard: bool = False
    """They have had their say about this end."""
    sent_back: int = 0
    """How often they have sent the model back to work."""
    steers: tuple[UserMessage, ...] = ()
    """Input that waits to enter, before the next sampling."""
    prompts: tuple[SubmittedPrompt, ...] = ()
    """What of this turn's input the user's programs hear, or have heard."""
    follow_up: bool = False
    """History holds something the model has not seen."""
    live: frozenset[ChildId] = frozenset()
    dying: frozenset[int] = frozenset()
    """Terminals that never passed to the thread and are being ended with the turn."""
    closing: Closing | None = None
    suspended: bool = False
    """The session closes while only people's answers are missing: the turn stays open in the log."""
    calls_used: int = 0
    output_bytes: int = 0
    last_message: str | None = None
    diff: TurnDiff | None = None
    """None before the first patch."""


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """A command that passed to the thread: it survives turns, and its item stays open."""

    terminal: int
    turn_id: TurnId
    call_id: CallId
    item: ThreadItem
    started_at: float
    dying: bool = False


class Spawned(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a script spawned: it is the thread's, whatever becomes of script and turn."""

    task: int
    call: Call
    turn_id: TurnId
    cwd: str
    terminal: int | None = None
    """Its command goes on under this id; the call's own worker has ended."""
    dying: bool = False
    told: HistoryItem | None = None
    """It is over, and this is what the model is to be told at the next occasion."""


class Scripting(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn's scripts may do. A turn without it has none: a block is text."""

    mode: ScriptMode
    tools: tuple[ScriptTool, ...]
    prompt: str
    """What the model is told of them."""


class ScriptOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of scripts; a turn may ask for less or more (`scripting`)."""

    choice: ScriptChoice
    by_provider: dict[str, ScriptChoice] = {}
    limits: ScriptLimits
    approval_seconds: float
    """How long a script waits for a person."""
    spawn: bool = False
    """Calls may outlive their scripts."""


def _able_to_all(provider: str, model: str) -> Abilities:
    del provider, model
    return Abilities()


def _unknown_window(provider: str, model: str) -> int | None:
    del provider, model
    return None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is told before anything is said; the same for every turn of this daemon's life."""

    tools: tuple[ToolSpec, ...] = ()
    """Every tool there is; a thread has some of them (`tools_of`)."""
    abilities: Callable[[str, str], Abilities] = _able_to_all
    """What a provider's model can do: a pure function of their names."""
    shell: str = "/bin/sh"
    hook_events: frozenset[HookEvent] = frozenset()
    """What programs of the user's want to hear of."""
    gathers: bool = False
    """Whether there may be instructions in the world that a turn's first sampling has to wait for."""
    context_window: int | None = None
    """Of every model, if the user has said so; else each has its own (`windows`)."""
    windows: Callable[[str, str], int | None] = _unknown_window
    """A provider's model's context window in tokens: a pure function of their names."""
    scripts: ScriptOffer | None = None
    """None: there can be none."""

    def window_of(self, settings: ThreadSettings) -> int | None:
        """How many tokens the model of these settings takes; None: nobody knows."""
        return self.context_window or self.windows(settings.provider, settings.model)

    def tools_of(self, settings: ThreadSettings) -> tuple[ToolSpec, ...]:
        """The tools that a thread has under these settings, with their schemas."""
        return thread_tools(self.tools, settings, self.abilities(settings.provider, settings.model))


class Undoing(msgspec.Struct, frozen=True, kw_only=True):
    """A turn's changes are being taken back."""

    child: ChildId
    token: Token | None
    answered: bool = False


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded thread."""

    thread_id: ThreadId
    ids: str
    """Prefix of every id this life of the session gives out."""
    offer: Offer
    settings: ThreadSettings
    summary: ThreadSummary
    history: tuple[HistoryItem, ...] = ()
    """What the model is sent. While the calls of the last response are worked off, their outputs are missing."""
    turns: tuple[Turn, ...] = ()
    """The closed turns."""
    turn: TurnState | None = None
    undoing: Undoing | None = None
    waiting: tuple[Asked, ...] = ()
    """Turns to start when the one that is being ended has ended."""
    withheld: frozenset[str] = frozenset()
    """Messages of people's, by item, that the model must never be sent."""
    terminals: tuple[Terminal, ...] = ()
    spawned: tuple[Spawned, ...] = ()
    next_task: int = 1
    grants: tuple[Grant, ...] = ()
    """What a person allowed for the session."""
    submissions: tuple[tuple[str, TurnId], ...] = ()
    usage: TokenUsage = TokenUsage()
    last_usage: TokenUsage = TokenUsage()
    """Of the last response: its total is how full the context is."""
    environment: str | None = None
    """The last environment block the model was given."""
    docs: str | None = None
    """The last instructions of user and project that the model was given."""
    begun: bool = False
    """A turn has begun in this life of the session."""
    docs_of: str | None = None
    """The folder for which this life of the session has looked for them."""
    instructions: str | None = None
    """Those the model was last asked under; None: it has not been asked yet. See `guidance`."""
    instructed: tuple[str, str] | None = None
    """The provider and model that was."""
    developer_instructions: str | None = None
    """The last that the model was given."""
    failed: bool = False
    """The last turn failed."""
    shown_status: ThreadStatus = ThreadStatus(kind="idle")
    stopping: tuple[Token, ...] | None = None
    """Who waits for the session to close; None while it is not closing."""
    next_number: int = 1


def status_of(state: SessionState) -> ThreadStatus:
    """What clients are told the thread is doing: derived, never stored."""
    if state.turn is not None:
        open_needs = [call.approval.need for call in state.turn.calls if call.approval is not None]
        asks = any(isinstance(need, QuestionNeed) for need in open_needs)
        approves = any(not isinstance(need, QuestionNeed) for need in open_needs)
        approval: tuple[StatusFlag, ...] = ("waitingOnApproval",) if approves else ()
        return ThreadStatus(kind="active", flags=(*approval, *(("waitingOnUserInput",) if asks else ())))
    return ThreadStatus(kind="systemError" if state.failed else "idle")


def only_people_missing(turn: TurnState) -> bool:
    """Whether nothing of the turn runs or could run before a person answers; a script that waits for one of its calls
    does not run, and what is behind it cannot."""
    waits = [call.place for call in (each.call for each in turn.calls if each.phase == "asking")]
    if any(call.ran is not None for call in turn.calls):
        return False  # it has run: after a restart nobody would know what that came to
    waiting_scripts = {place.script for place in waits if place is not None}
    first_script = next((index for index, call in enumerate(turn.calls) if call.call_id in waiting_scripts), None)
    return (
        turn.sampling is None
        and turn.closing is None
        and any(call.approval is not None for call in turn.calls)
        and all(
            call.phase in ("asking", "answered")
            or call.call_id in waiting_scripts
            or (first_script is not None and call.call.place is None and index > first_script)
            for index, call in enumerate(turn.calls)
        )
    )
