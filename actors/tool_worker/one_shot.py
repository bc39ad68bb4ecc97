"""A command that is run to its end: it is waited for, and does not go on in the background.

Two kinds of call do so: a model's `shell`, and what a person typed. Neither has a session id, so nobody could look at
the command again: when its time is up, it is ended with everything it started.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import trio

from actors.ports.processes import LauncherLostError, SpawnError, SpawnRequest
from actors.tool_worker.command_display import command_actions, display_command
from actors.tool_worker.terminals import Terminal
from actors.tool_worker.tool import Job
from messages.client.item import CommandExecution
from messages.tools import ToolOutcome

TIMED_OUT = 124
"""The exit code that `timeout(1)` made customary."""


class Ran(NamedTuple):
    """How it ended."""

    terminal: Terminal
    item: CommandExecution
    timed_out: bool


class NotStarted(NamedTuple):
    """It did not run, or nobody knows whether it did."""

    reason: str
    item: CommandExecution
    outcome: ToolOutcome


def command_item(job: Job, argv: tuple[str, ...], cwd: str, source: Literal["agent", "userShell"]) -> CommandExecution:
    """What people see of it from its start."""
    return CommandExecution(
        id=job.call.item_id,
        command=display_command(argv),
        cwd=cwd,
        status="inProgress",
        command_actions=command_actions(argv, cwd),
        source=source,
    )


def spawn_request(job: Job, argv: tuple[str, ...], cwd: str) -> SpawnRequest:
    """The process, in the thread's sandbox: its input is closed, both outputs are one."""
    workshop = job.workshop
    return SpawnRequest(
        argv=argv,
        cwd=cwd,
        environment=workshop.environment(job.call),
        # Full access includes sudo, which a user namespace would take away.
        needs_setuid=workshop.settings.sandbox_mode == "danger-full-access",
        confinement=workshop.confinement(),
    )


async def run_to_end(
    job: Job, item: CommandExecution, request: SpawnRequest, seconds: float, *, preface: str = ""
) -> Ran | NotStarted:
    """Run it, at most for so long. ``preface``: what its output begins with. Cancelled, it leaves nothing behind."""
    terminals = job.workshop.terminals
    try:
        terminal = await terminals.start(terminals.reserve_id(), job.call, item, request, job.output, preface=preface)
    except LauncherLostError as error:
        return _not_started(item, f"{error}; the command may or may not have begun", "unknown")
    except SpawnError as error:
        return _not_started(item, str(error), "failed")
    timed_out = False
    try:
        with trio.move_on_after(seconds):
            await terminal.ended.wait()
        if not terminal.ended.is_set():
            timed_out = True
            await terminals.stop(terminal)
    except BaseException:  # above all trio.Cancelled: an interrupt leaves nothing behind
        await terminals.stop(terminal)
        terminals.forget(terminal)
        raise
    terminals.forget(terminal)
    done = terminal.finished_item()
    if timed_out:
        done = msgspec.structs.replace(done, status="failed", exit_code=TIMED_OUT)
    return Ran(terminal, done, timed_out)


def _not_started(item: CommandExecution, reason: str, outcome: ToolOutcome) -> NotStarted:
    failed = msgspec.structs.replace(item, status="failed", aggregated_output=reason, duration_ms=0)
    return NotStarted(reason, failed, outcome)
