"""A call under the eyes of the user's programs: PreToolUse may forbid it, PostToolUse may say something else of it.

PreToolUse runs when a call has been prepared, before anybody is asked about it: what is forbidden needs no question. A
call that is prepared afresh after a restart is shown to the programs afresh.
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from actors.hooks.payload import RESPONSE_CHARS_MAX, about_call, command_of, common, tool_name
from actors.session.shown import ended
from actors.tool_worker.tool import Job, Prepared, Result
from messages.hooks import HookEvent, Verdict


async def forbidden(job: Job) -> str | None:
    """What the model is told when a program forbids the call; None if none does."""
    verdict = await _ask(job, "PreToolUse", {})
    if verdict.blocked is None:
        return None
    return f"Command blocked by PreToolUse hook: {verdict.blocked}. Command: {command_of(job.call)}"


def stopped(prepared: Prepared, text: str) -> Prepared:
    """The call, forbidden: shown, needing no question, and never run."""

    async def run() -> Result:
        await trio.lowlevel.checkpoint()
        item = None if prepared.item is None else ended(prepared.item, "denied")
        return Result(output=text, outcome="denied", item=item)

    return Prepared(item=prepared.item, run=run, parallel_safe=True, side_effects=False)


async def reviewed(job: Job, result: Result) -> Result:
    """The result as the programs leave it: one that objects replaces what the model is told."""
    output = msgspec.to_builtins(result.output)
    told = output[:RESPONSE_CHARS_MAX] if isinstance(output, str) else output
    verdict = await _ask(job, "PostToolUse", {"tool_response": told})
    return msgspec.structs.replace(result, output=verdict.blocked) if verdict.blocked else result


async def _ask(job: Job, event: HookEvent, fields: dict[str, Any]) -> Verdict:
    workshop, call = job.workshop, job.call
    hooks = workshop.hooks
    if hooks is None or event not in hooks.events:
        return Verdict()
    told = common(event, thread_id=call.thread_id, turn_id=call.turn_id, settings=workshop.settings)
    return await hooks.run(
        event, tool_name(call), {**told, **about_call(call), **fields}, turn_id=call.turn_id, tell=job.report
    )
