"""A script's life, as said to and by the sandbox: what is asked for, what happens, and how it ended.

The events are at once what a client is shown and what a replay needs: in their order they say which program ran with
which seed, what it called and where, how each call ended, and in which order, and by which clock, it was told so.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.base import CallId, JsonObject, Message
from messages.tools import ToolOutcome

ScriptMode = Literal["disabled", "dry-run", "enabled"]
"""disabled: a block is plain text. dry-run: checked and run, but no call takes place. enabled: run."""

ScriptStatus = Literal[
    "returned",
    "threw",  # an exception that the script did not catch
    "refused",  # not run: a mistake that was seen before its first line
    "exceeded",  # one of its limits
    "deadlocked",  # it waited for something that nothing could bring about
    "cancelled",
    "crashed",  # its process ended, or did not behave
    "unavailable",  # no process could be had for it; nothing has run
    "diverged",  # a replay did not take the same way; nothing was run twice
]

ScriptFailureKind = Literal["syntax", "script", "tool", "limit", "deadlock", "approval", "cancelled", "harness"]
"""Whose move it is: the text's, the program's, a tool's, a limit's, a person's, or ours."""

ConsoleLevel = Literal["log", "info", "warn", "error", "debug"]


class ScriptLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one script may use; the sandbox's own ceilings hold whatever is said here (`sandbox_pool/limits.py`)."""

    source_bytes: int
    memory_bytes: int
    stack_bytes: int
    wall_seconds: float
    """Without the time in which everything it waits for is an approval."""
    cpu_seconds: float
    calls: int
    calls_at_once: int
    orphan_grace_seconds: float
    return_bytes: int
    console_lines: int
    console_bytes: int
    progress_events: int


class ScriptTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as a script sees it."""

    name: str
    """In ``tools``: camelCase."""
    tool: str
    """In the registry."""
    description: str
    parameters: JsonObject | None = None
    """JSON schema of its one argument; None: a text."""
    returns: JsonObject | None = None
    """JSON schema of what it resolves to, where that is known."""
    idempotent: bool = False
    """A replay may start it again when it is not known how it ended."""
    spawned: bool = False
    """It is in ``tools.spawn``: a call that belongs to the thread once it has begun."""
    form: Literal["json", "text", "command"] = "json"
    """How its argument becomes the registry's: as it is; its one property is a freeform tool's text; or it is
    ``{command, cwd, timeoutMs}`` for a tool that takes a command line."""


class CallError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call failed, as the script gets it."""

    code: str
    """A word to decide by: ``tool_failed``, ``denied``, ``expired``, ``cancelled``, ``unknown`` …"""
    message: str
    retryable: bool = False


class CallResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended. With ``error`` the script's promise is rejected."""

    outcome: ToolOutcome
    value: str = "null"
    """JSON text."""
    error: CallError | None = None


class ScriptStarted(msgspec.Struct, frozen=True, kw_only=True, tag="script_started"):
    """The program and what it may read of the world."""

    source_hash: str
    """SHA-256, hexadecimal."""
    seed: int
    clock_ms: int


class CallRequested(msgspec.Struct, frozen=True, kw_only=True, tag="call_requested"):
    """The script has called a tool; it may have to wait for others."""

    number: int
    """From 1, in the order of the calls."""
    name: str
    arguments: str
    """JSON text."""
    line: int
    column: int
    """Of the call in the script; 0 when it is not known."""


class CallStarted(msgspec.Struct, frozen=True, kw_only=True, tag="call_started"):
    """From here on it may have taken effect."""

    number: int


class CallEnded(msgspec.Struct, frozen=True, kw_only=True, tag="call_ended"):
    """It is over, and nothing of it runs."""

    number: int
    result: CallResult
    seconds: float


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """One promise that a pump settled."""

    kind: Literal["call", "timer"]
    number: int


class ScriptPumped(msgspec.Struct, frozen=True, kw_only=True, tag="script_pumped"):
    """The script was told, in this order, that these have ended, and ran on."""

    clock_ms: int
    """What `Date.now()` said meanwhile."""
    settled: tuple[Settled, ...]
    spent_seconds: float
    """Of its wall clock, until then."""
    approval: str | None = None
    """What ``context.approvals.lastRequestId`` said meanwhile, when it had changed."""


class ScriptPrinted(msgspec.Struct, frozen=True, kw_only=True, tag="script_printed"):
    """A line of its console."""

    level: ConsoleLevel
    text: str
    line: int = 0
    """Of the script, where it was printed; 0 when that is not known."""


class ScriptProgressed(msgspec.Struct, frozen=True, kw_only=True, tag="script_progressed"):
    """What it says about itself, at a bounded rate."""

    text: str
    line: int = 0
    """Of the script, where it said so; 0 when that is not known."""


ScriptEvent = ScriptStarted | CallRequested | CallStarted | CallEnded | ScriptPumped | ScriptPrinted | ScriptProgressed


class ScriptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Run this."""

    script_id: str
    """Calls are known to the script as ``<script_id>:<number>``."""
    session: str
    """Whose it is: waiting for a worker is fair between these."""
    source: str
    tools: tuple[ScriptTool, ...]
    limits: ScriptLimits
    context: JsonObject = {}
    """Shown to the script, frozen, with what the sandbox adds (see the declarations)."""
    log: tuple[ScriptEvent, ...] = ()
    """Of an earlier run of the same script, to be replayed: finished calls are not made again."""
    return_kept_bytes: int = 0
    """A returned value over its limit is given up to this size: whoever asked keeps it elsewhere."""


class ScriptFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a stack, in the model's own text."""

    function: str
    line: int
    column: int


class ScriptFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why it did not return."""

    kind: ScriptFailureKind
    code: str
    message: str
    name: str = ""
    """Of the exception's class."""
    line: int = 0
    column: int = 0
    stack: tuple[ScriptFrame, ...] = ()
    call: int | None = None
    """The call whose error it was."""
    retryable: bool = False
    """Whether running the same script again could help; never true once a call has started."""
    causes: tuple[str, ...] = ()


class CallReport(msgspec.Struct, frozen=True, kw_only=True):
    """One call, at the end of the script."""

    number: int
    name: str
    line: int
    column: int
    outcome: ToolOutcome
    started: bool
    orphaned: bool
    """It still ran, or had not begun, when the script had ended."""
    seconds: float
    error: CallError | None = None


class ScriptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end. Nothing of the script runs any more, and every call is in ``calls`` with exactly one outcome."""

    status: ScriptStatus
    value: str | None = None
    """JSON text, when it returned."""
    notes: tuple[str, ...] = ()
    """What else the model is told of what it gave."""
    failure: ScriptFailure | None = None
    calls: tuple[CallReport, ...] = ()
    console: tuple[ScriptPrinted, ...] = ()
    wall_seconds: float = 0.0
    waited_seconds: float = 0.0
    """For a worker, before it began."""


# --- a script and its session -----------------------------------------------------------------------------------


class ScriptChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn asks for instead of the settings; None leaves one as it is."""

    mode: ScriptMode | None = None
    allowed_tools: tuple[str, ...] | None = None
    """Names in the registry or in scripts; None: all of the thread's."""


class ScriptJob(msgspec.Struct, frozen=True, kw_only=True):
    """What the one who runs a script is told besides its source."""

    mode: ScriptMode
    tools: tuple[ScriptTool, ...]
    limits: ScriptLimits
    context: JsonObject = {}
    log: tuple[ScriptEvent, ...] = ()
    """Of an earlier run, to be replayed."""
    sees: bool = True
    """Whether the model that is told can look at images."""


class ScriptTold(Message, frozen=True, kw_only=True):
    """script -> session: something happened in it."""

    call_id: CallId
    event: ScriptEvent


class NestedWanted(Message, frozen=True, kw_only=True):
    """script -> session: make this call; `NestedSettled` answers it."""

    call_id: CallId
    """The script's own."""
    number: int
    tool: str
    """In the registry."""
    arguments: str
    freeform: bool = False
    spawned: bool = False
    line: int
    column: int


class NestedUnwanted(Message, frozen=True, kw_only=True):
    """script -> session: stop that call; `NestedSettled` still answers it."""

    call_id: CallId
    number: int


class NestedSettled(Message, frozen=True, kw_only=True):
    """session -> script: the call has ended, and nothing of it runs. It is in the log."""

    number: int
    result: CallResult


class NestedAsks(Message, frozen=True, kw_only=True):
    """session -> script: the call waits for a person, or (None) does not any more."""

    number: int
    approval_id: str | None


class Abandoned(Message, frozen=True, kw_only=True):
    """session -> script: nothing is answered any more; end."""


ScriptSaid = ScriptTold | NestedWanted | NestedUnwanted
ScriptOrder = NestedSettled | NestedAsks | Abandoned
