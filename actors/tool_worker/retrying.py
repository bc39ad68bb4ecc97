"""A run that its sandbox denied something: told to the session, which knows policy and people, and run again or not.

It is the same call all along: one item, one output. What the first run did in the sandbox has been done; the second
begins from the start, and its output says that it is the second.
"""

from __future__ import annotations

import msgspec

from actors.tool_worker.tool import Job, Prepared, Result
from messages.client.item import CommandExecution
from messages.tools import KeepResult, RunDenied, RunTool

PREFACE = "[the sandbox denied it something ({words}); this is its second run, without the sandbox]\n"


async def if_denied(job: Job, prepared: Prepared, result: Result) -> Result:
    """The result, or that of a second run without the sandbox if the session says so. Raises what such a run raises."""
    again = prepared.run_unconfined
    if result.denied is None or again is None:
        return result
    job.report(RunDenied(call_id=job.call.call_id, words=result.denied, output=result.output, item=result.item))
    while True:
        for message, _ in await job.inbox.receive():
            if isinstance(message, RunTool):
                return await again(PREFACE.format(words=result.denied))
            if isinstance(message, KeepResult):
                return _standing(job, result, message.why)


def _standing(job: Job, result: Result, why: str) -> Result:
    """The result with a last line that says why it is the last."""
    note = f"[{why}]\n"
    job.output.append(note)
    item = result.item
    if isinstance(item, CommandExecution):
        item = msgspec.structs.replace(item, aggregated_output=_under(item.aggregated_output or "", note))
    output = result.output if not isinstance(result.output, str) else _under(result.output, note)
    return msgspec.structs.replace(result, output=output, item=item)


def _under(text: str, note: str) -> str:
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{note}"
