"""A tool worker: one task for one call.

It prepares the call and says what it would do, waits for leave, runs it, and reports its end exactly once. Leave comes
from the session, which alone knows approvals and the order of calls. Cancelling the task ends the call with every
process it started before the task is gone; the session then writes what the call came to.
"""

from __future__ import annotations

import trio

from actors.tool_worker import hooked, retrying
from actors.tool_worker.keeping import kept_of
from actors.tool_worker.tool import Job, Prepared, Result, ToolError, finished_item, generic_item
from actors.tool_worker.tools.user_shell import prepare_user_shell
from actors.tool_worker.truncation import history_policy, truncate_for_history
from messages.client.item import DynamicToolCall
from messages.tools import RunTool, ToolFinished, ToolPrepared


async def run_call(job: Job) -> None:
    """Prepare, wait, run, report. Raises what a defective tool raises; that is a crash, and the supervisor's."""
    workshop = job.workshop
    if job.call.by == "user":
        prepared = await prepare_user_shell(job)
    else:
        prepared = await _prepare(job)
        why_not = await hooked.forbidden(job)
        if why_not is not None:
            prepared = hooked.stopped(prepared, why_not)
    job.report(
        ToolPrepared(
            call_id=job.call.call_id,
            item=prepared.item,
            parallel_safe=prepared.parallel_safe,
            side_effects=prepared.side_effects,
            approval=prepared.approval,
            fault=prepared.fault,
        )
    )
    unconfined = any(isinstance(message, RunTool) and message.unconfined for message, _ in await job.inbox.receive())
    spawned = job.call.place is not None and job.call.place.spawned
    if prepared.side_effects and not spawned:  # what it changes is the thread's doing, not the turn's
        await workshop.about_to_change(job.call.turn_id)
    began = workshop.ports.clock.monotonic()
    try:
        if unconfined and prepared.run_unconfined is not None:
            result = await prepared.run_unconfined("")
        else:
            result = await retrying.if_denied(job, prepared, await prepared.run())
    except ToolError as error:
        result = Result(output=str(error), outcome="failed")
    if job.call.by != "user" and result.outcome != "denied":
        result = await hooked.reviewed(job, result)
    result = _with_item(result, prepared, round((workshop.ports.clock.monotonic() - began) * 1000))
    result, kept = await kept_of(job, result)
    job.report(
        ToolFinished(
            call_id=job.call.call_id,
            outcome=result.outcome,
            output=truncate_for_history(result.output, history_policy(job.truncation)),
            item=result.item,
            terminal=result.terminal,
            revisions=result.revisions,
            plan=result.plan,
            plan_explanation=result.plan_explanation,
            kept=kept,
        )
    )


async def _prepare(job: Job) -> Prepared:
    try:
        return await job.workshop.tool(job.call.name).prepare(job)
    except ToolError as error:
        return failing(job, str(error))


def failing(job: Job, text: str) -> Prepared:
    """A call that can only fail: still shown, because people should see what the model tried."""

    async def run() -> Result:
        await trio.lowlevel.checkpoint()
        raise ToolError(text)

    return Prepared(item=generic_item(job.call), run=run, parallel_safe=True, side_effects=False, fault=text)


def _with_item(result: Result, prepared: Prepared, duration_ms: int) -> Result:
    """Complete the generic item of a tool that leaves that to us."""
    if result.item is not None or result.terminal is not None or not isinstance(prepared.item, DynamicToolCall):
        return result
    success = result.outcome == "done"
    text = result.output if not success and isinstance(result.output, str) else None
    item = finished_item(prepared.item, success=success, text=text, duration_ms=duration_ms)
    return Result(
        output=result.output,
        outcome=result.outcome,
        item=item,
        revisions=result.revisions,
        plan=result.plan,
        plan_explanation=result.plan_explanation,
    )
