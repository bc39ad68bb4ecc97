"""A command that a person typed into the thread: no model is offered this, and nobody is asked about it.

It runs to its end or to its time limit; there is no session id and no going on in the background, for no model polls
it.
"""

from __future__ import annotations

import msgspec
import trio

from actors.ports.processes import LauncherLostError, SpawnError, SpawnRequest
from actors.tool_worker.command_display import command_actions, display_command
from actors.tool_worker.terminals import Terminal
from actors.tool_worker.tool import Job, Prepared, Result
from actors.tool_worker.truncation import call_policy, truncate_output
from messages.client.item import CommandExecution
from messages.tools import ToolOutcome

DEFAULT_SECONDS = 3600.0
"""A person watches and may interrupt; this is for the one who has left."""

TIMED_OUT = 124
"""The exit code that `timeout(1)` made customary."""


async def prepare_user_shell(job: Job) -> Prepared:
    """What the command line would do. It is taken as it is."""
    workshop = job.workshop
    cwd = workshop.settings.cwd
    argv = (workshop.shell, "-lc", job.call.arguments)
    item = CommandExecution(
        id=job.call.item_id,
        command=display_command(argv),
        cwd=cwd,
        status="inProgress",
        command_actions=command_actions(argv, cwd),
        source="userShell",
    )
    request = SpawnRequest(
        argv=argv,
        cwd=cwd,
        environment=workshop.environment(job.call),
        needs_setuid=workshop.settings.sandbox_mode == "danger-full-access",
    )

    async def run() -> Result:
        return await _run(job, item, request)

    await trio.lowlevel.checkpoint()
    return Prepared(item=item, run=run, parallel_safe=False, side_effects=True)


async def _run(job: Job, item: CommandExecution, request: SpawnRequest) -> Result:
    terminals = job.workshop.terminals
    try:
        terminal = await terminals.start(terminals.reserve_id(), job.call, item, request, job.output)
    except LauncherLostError as error:
        return _not_started(item, f"{error}; the command may or may not have begun", "unknown")
    except SpawnError as error:
        return _not_started(item, str(error), "failed")
    seconds = DEFAULT_SECONDS if job.call.timeout_seconds is None else job.call.timeout_seconds
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
    return Result(output=_report(job, terminal, done), item=done, outcome="done")


def _report(job: Job, terminal: Terminal, done: CommandExecution) -> str:
    output = truncate_output(terminal.buffer.output(), call_policy(job.workshop.truncation, None))
    seconds = (done.duration_ms or 0) / 1000
    return f"Exit code: {done.exit_code}\nDuration: {seconds:.4f} seconds\nOutput:\n{output}"


def _not_started(item: CommandExecution, reason: str, outcome: ToolOutcome) -> Result:
    failed = msgspec.structs.replace(item, status="failed", aggregated_output=reason, duration_ms=0)
    return Result(output=f"The command was not started: {reason}", outcome=outcome, item=failed)
