"""A command that a person typed into the thread: no model is offered this, and nobody is asked about it.

It runs to its end or to its time limit; there is no session id and no going on in the background, for no model polls
it.
"""

from __future__ import annotations

import trio

from actors.tool_worker.one_shot import NotStarted, Ran, command_item, run_to_end, spawn_request
from actors.tool_worker.tool import Job, Prepared, Result
from actors.tool_worker.truncation import call_policy, truncate_output

DEFAULT_SECONDS = 3600.0
"""A person watches and may interrupt; this is for the one who has left."""


async def prepare_user_shell(job: Job) -> Prepared:
    """What the command line would do. It is taken as it is."""
    workshop = job.workshop
    cwd = workshop.settings.cwd
    argv = (workshop.shell, "-lc" if workshop.login.allowed else "-c", job.call.arguments)
    item = command_item(job, argv, cwd, "userShell")
    request = spawn_request(job, argv, cwd)

    async def run() -> Result:
        seconds = DEFAULT_SECONDS if job.call.timeout_seconds is None else job.call.timeout_seconds
        match await run_to_end(job, item, await workshop.logged_in(request), seconds):
            case Ran() as ran:
                return Result(output=_report(job, ran), item=ran.item)
            case NotStarted() as not_started:
                text = f"The command was not started: {not_started.reason}"
                return Result(output=text, outcome=not_started.outcome, item=not_started.item)

    await trio.lowlevel.checkpoint()
    return Prepared(item=item, run=run, parallel_safe=False, side_effects=True)


def _report(job: Job, ran: Ran) -> str:
    output = truncate_output(ran.terminal.buffer.output(), call_policy(job.workshop.truncation, None))
    seconds = (ran.item.duration_ms or 0) / 1000
    return f"Exit code: {ran.item.exit_code}\nDuration: {seconds:.4f} seconds\nOutput:\n{output}"
