"""What a script's driver is told (`Event`), and what it wants done (`Effect`).

Between the driver, which decides and touches nothing, and whoever runs it, which does and decides nothing.
"""

from __future__ import annotations

import msgspec

from actors.sandbox_pool.frames import Pumped
from messages.script import CallResult, ScriptEvent

# ── what it is told ──────────────────────────────────────────────────────────────────────────────────────────────────


class FrameReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has spoken."""

    pumped: Pumped


class FrameBroken(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has said something that is no frame."""

    message: str


class WorkerGone(msgspec.Struct, frozen=True, kw_only=True):
    """Its process has ended."""

    message: str
    signal: int = 0


class CallFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A started call has ended, and nothing of it runs."""

    number: int
    result: CallResult


class ApprovalBegan(msgspec.Struct, frozen=True, kw_only=True):
    """A started call waits for a person."""

    number: int
    request_id: str


class ApprovalOver(msgspec.Struct, frozen=True, kw_only=True):
    """It does not any more."""

    number: int


class TimerFired(msgspec.Struct, frozen=True, kw_only=True):
    """A timer's time has come."""

    number: int


class TimeIsUp(msgspec.Struct, frozen=True, kw_only=True):
    """`deadline` has passed."""


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants it to end."""

    reason: str


Event = (
    FrameReceived
    | FrameBroken
    | WorkerGone
    | CallFinished
    | ApprovalBegan
    | ApprovalOver
    | TimerFired
    | TimeIsUp
    | Cancel
)


# ── what it wants ────────────────────────────────────────────────────────────────────────────────────────────────────


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Give this frame to the worker."""

    frame: bytes


class StartCall(msgspec.Struct, frozen=True, kw_only=True):
    """Do it; it may take effect from here on."""

    number: int
    call_id: str
    name: str
    """In the script."""
    tool: str
    """In the registry."""
    arguments: str
    line: int
    column: int


class StopCall(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a started call; its `CallFinished` is still waited for."""

    number: int


class SetTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Say `TimerFired` after so long."""

    number: int
    seconds: float


class DropTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Or do not."""

    number: int


class ReplaceWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Take another worker for the lost one."""


class EndWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Kill it. Nothing it says counts any more."""


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened."""

    event: ScriptEvent


Effect = Send | StartCall | StopCall | SetTimer | DropTimer | ReplaceWorker | EndWorker | Tell
