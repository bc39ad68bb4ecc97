"""session <-> tool_worker: the life of one call.

The session starts a worker for each call of a finished response. The worker *prepares* (parses the arguments, says
what a client should see, what approval it would need and whether it may run beside others), then waits: the session
decides on approval and order and sends `RunTool`. The outcome ledger follows the same steps in the log:
requested -> (approval) -> started -> done | failed | cancelled | denied, and `unknown` after a crash in between.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.approval import Need
from messages.base import CallId, ItemId, Lane, Message, ThreadId, TurnId
from messages.client.item import PlanStep, ThreadItem
from messages.client_call import ClientAnswer, ClientCall
from messages.handle import Kept
from messages.hooks import HookReported
from messages.items import OutputPart
from messages.patch import FileRevision

ToolOutcome = Literal["done", "failed", "cancelled", "denied", "unknown"]


class ScriptPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a script a call was made."""

    script: CallId
    """The call that the script itself is."""
    item_id: ItemId
    """The script's item."""
    number: int
    """From 1, in the order of the script's calls."""
    line: int
    column: int
    source: str = ""
    """That line, as it is shown to people beside a question."""
    spawned: bool = False
    """Once it has begun it is the thread's, and the script goes on without it."""


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the model made it."""

    thread_id: ThreadId
    turn_id: TurnId
    call_id: CallId
    item_id: ItemId
    """The id of its item on the client's screen."""
    name: str
    arguments: str
    """JSON text, or the freeform input."""
    freeform: bool = False
    idempotency_key: str
    """Stable for this call for ever; a tool may hand it to whatever it calls."""
    by: Literal["model", "user", "block", "users_block", "script"] = "model"
    """`user`: a command line that a person typed; ``arguments`` is that line, and no model has called anything.
    `block`: a script that the model wrote in its text; ``arguments`` is its source. `users_block`: one that a person
    wrote. `script`: a call that one made."""
    place: ScriptPlace | None = None
    """Of a script's call."""
    timeout_seconds: float | None = None
    """Of a user's command."""


class ToolPrepared(Message, frozen=True, kw_only=True):
    """The arguments are good and this is what would happen."""

    call_id: CallId
    item: ThreadItem | None
    """What the client is shown, in progress; None for a tool without an item of its own."""
    parallel_safe: bool
    side_effects: bool
    """True: the log is made durable before it starts."""
    approval: Need | None = None
    fault: str | None = None
    """It can only fail, and this is why."""


class RunTool(Message, frozen=True, kw_only=True):
    """Go: approved where needed, and its turn in the order has come."""

    call_id: CallId
    unconfined: bool = False
    """Outside the sandbox: a rule or a person has said so."""


class RunDenied(Message, frozen=True, kw_only=True):
    """The call ran in its sandbox and failed, probably because that denied it something. The worker waits: a `RunTool`
    has it run again, without the sandbox; `KeepResult` lets this stand, and `ToolFinished` follows either way."""

    call_id: CallId
    words: str
    """What it was told, as it printed it: "Permission denied"."""
    output: str | tuple[OutputPart, ...]
    """What the model would be told of this run."""
    item: ThreadItem | None
    """Its item, if this is its end."""


class KeepResult(Message, frozen=True, kw_only=True):
    """session -> worker: a run that was denied something is the call's last."""

    call_id: CallId
    why: str
    """For model and people: why it is not run again."""


class ToolFinished(Message, frozen=True, kw_only=True):
    """A call's end as the tool sees it; the session writes it to the log before anybody is told."""

    call_id: CallId
    outcome: ToolOutcome
    output: str | tuple[OutputPart, ...]
    """For the model, already truncated to its policy."""
    item: ThreadItem | None = None
    """The finished item, unless `terminal` is set and the item stays open."""
    terminal: int | None = None
    """The command goes on under this session id; it passes to the thread once this output is in the log."""
    revisions: tuple[FileRevision, ...] = ()
    """What a patch did to files, for the turn's diff."""
    plan: tuple[PlanStep, ...] | None = None
    plan_explanation: str | None = None
    kept: Kept | None = None
    """Of a script's call: what was too large to be passed on. It is on disk."""


class ClientAsked(Message, frozen=True, kw_only=True):
    """The call is a client's to run: it is to be asked, and its answer brought back as `ClientAnswered`."""

    call_id: CallId
    call: ClientCall


class ClientAnswered(Message, frozen=True, kw_only=True):
    """session -> worker: what the client made of the call."""

    answer: ClientAnswer


class TerminalWritten(Message, frozen=True, kw_only=True):
    """A call wrote to a command that had passed to the thread."""

    call_id: CallId
    terminal: int
    text: str


class TerminalEnded(Message, frozen=True, kw_only=True):
    """A command that a `ToolFinished` named in ``terminal`` is over, processes and all; here is its finished item.

    Sent exactly once for each such command, whoever ended it, and never ahead of that `ToolFinished`.
    """

    terminal: int
    call_id: CallId
    turn_id: TurnId
    item: ThreadItem


class CancelCall(Message, frozen=True, kw_only=True):
    """Cancel one call and leave its siblings alone."""

    lane = Lane.CONTROL
    call_id: CallId


WorkerMessage = RunTool | KeepResult | ClientAnswered
ToolEvent = HookReported | ToolPrepared | RunDenied | ToolFinished | ClientAsked | TerminalWritten | TerminalEnded
