"""Questions to people: asked, answered once, or lapsed. Each is in the log before anybody is asked.

A question outlives connections and the daemon. After a restart the call has a fresh worker, which prepares it anew: if
that comes to the same need, the old question stands; if not, it lapses and the new need is decided on its own
(`calls.prepared`).
"""

from __future__ import annotations

from typing import assert_never

from actors.session.state import Call
from actors.session.step import Step
from actors.tool_worker.approval import PATCH_REJECTED_BY_USER, REJECTED_BY_USER, Ask, rejected_command_output
from messages.approval import ApprovalDecision, ApprovalNeed, CommandNeed, PatchNeed
from messages.log import ApprovalAnswered, ApprovalAsked
from messages.session import Approval, ApprovalRequested, ApprovalResolved


def ask(step: Step, call: Call, need: ApprovalNeed, question: Ask) -> None:
    """Put a question about a call to people."""
    approval = Approval(
        id=step.new_id(),
        turn_id=step.turn.id,
        item_id=call.call.item_id,
        call_id=call.call_id,
        need=need,
        asked_at=step.at.now,
        reason=question.reason,
        decisions=question.available_decisions,
    )
    step.put_call(call, phase="asking", approval=approval)
    step.log(ApprovalAsked(approval=approval, item=call.shown), barrier=True)
    step.show_status()
    step.show(ApprovalRequested(approval=approval))


def find(step: Step, approval_id: str) -> Call | None:
    """The call that an open question is about."""
    turn = step.state.turn
    if turn is not None:
        for call in turn.calls:
            if call.approval is not None and call.approval.id == approval_id:
                return call
    return None


def close(step: Step, call: Call, decision: ApprovalDecision | None, by: str | None = None) -> Call:
    """Resolve a call's open question, once and for good. None: it lapsed, nobody will answer it any more."""
    assert call.approval is not None
    step.log(ApprovalAnswered(approval_id=call.approval.id, decision=decision, by=by), barrier=True)
    step.show(ApprovalResolved(approval_id=call.approval.id, decision=decision, by=by))
    return step.put_call(call, approval=None)


def rejection(need: ApprovalNeed) -> str:
    """What the model is told when a person declined."""
    match need:
        case CommandNeed():
            return rejected_command_output(REJECTED_BY_USER)
        case PatchNeed():
            return PATCH_REJECTED_BY_USER
        case _:
            assert_never(need)
