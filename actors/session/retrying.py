"""A command that its sandbox denied something: whether it is run again without, as the same call.

The table decides (`tool_worker/approval.py`, "denied_command"); people are asked as about any call. The ledger has each
step before it happens: the end of the first run (`ToolDenied`), the question and its answer, the start of the second.
Meanwhile the call stays *started*: a crash in between makes it unknown, and nobody runs it again.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.session import approvals, calls
from actors.session.state import CallResult
from actors.session.step import Step
from actors.tool_worker.approval import Ask, Refuse, Run, decide
from messages.approval import CommandNeed
from messages.log import ToolDenied
from messages.tools import RunDenied


def denied(step: Step, event: RunDenied) -> None:
    """A worker's run in the sandbox is over, and it waits to hear whether that is all."""
    call = step.call(event.call_id)
    need = None if call is None else call.need
    if call is None or call.phase != "running" or call.unconfined or not isinstance(need, CommandNeed):
        return
    turn = step.turn
    call = step.put_call(call, ran=CallResult(outcome="done", output=event.output, item=event.item))
    if call.cancelled or turn.closing is not None:
        return  # its worker is being ended, and this is what the call came to
    need = msgspec.structs.replace(need, denied=event.words)
    decision = decide(turn.settings.approval_policy, need, step.state.grants)
    if isinstance(decision, Refuse):
        calls.keep(step, call, decision.text)
        return
    step.log(ToolDenied(turn_id=turn.id, call_id=call.call_id, words=event.words, item=event.item))
    match decision:
        case Run():
            step.put_call(call, phase="ready", unconfined=True, ran=None)
        case Ask():
            approvals.ask(step, call, need, decision)
        case _:
            assert_never(decision)


def is_open(step: Step, approval_id: str) -> bool:
    """Whether this is the question whether a command may run again without its sandbox."""
    call = approvals.find(step, approval_id)
    return call is not None and call.ran is not None
