"""Questions to people: asked, answered once, or lapsed. Each is in the log before anybody is asked.

A question outlives connections and the daemon. After a restart the call has a fresh worker, which prepares it anew: if
that comes to the same need, the old question stands; if not, it lapses and the new need is decided on its own
(`calls.prepared`).
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.session import granting, hooking, nested
from actors.session.effects import SetExpiry
from actors.session.state import Call
from actors.session.step import Step
from actors.tool_worker.approval import (
    PATCH_REJECTED_BY_USER,
    PERMISSIONS_REJECTED_BY_USER,
    REJECTED_BY_USER,
    Ask,
    rejected_command_output,
)
from messages.approval import (
    Answers,
    ApprovalDecision,
    ApprovalNeed,
    CommandNeed,
    Need,
    PatchNeed,
    PermissionNeed,
    QuestionNeed,
)
from messages.log import ApprovalAnswered, ApprovalAsked
from messages.session import Approval, ApprovalRequested, ApprovalResolved, ResolveApproval

UNANSWERED = "The user gave no answer. Go on with what you know, and say what you assumed."
"""What the model is told when people dismiss its questions, or nobody is there to answer them."""

NOT_RUN_AGAIN = "not run again: the user declined to let it out of the sandbox"
NOBODY_SAID = "not run again: nobody said in time whether it may leave the sandbox"
"""Under the output of a command that its sandbox denied something."""

ANSWER_CHARS_MAX = 64 * 1024
"""Of one answer: a page of a person's own words, many times over."""


def ask(step: Step, call: Call, need: ApprovalNeed, question: Ask) -> None:
    """Put a question about a call to people."""
    _put(step, call, need, question.reason, question.available_decisions, question.amendment)


def pass_on(step: Step, call: Call, need: QuestionNeed) -> None:
    """Put a question of the model's own to people."""
    _put(step, call, need, None, ("accept", "decline", "cancel"))


def _put(
    step: Step,
    call: Call,
    need: Need,
    reason: str | None,
    decisions: tuple[ApprovalDecision, ...],
    amendment: tuple[str, ...] | None = None,
) -> None:
    approval = Approval(
        id=step.new_id(),
        turn_id=step.turn.id,
        item_id=call.call.item_id,
        call_id=call.call_id,
        need=need,
        asked_at=step.at.now,
        reason=reason,
        decisions=decisions,
        amendment=amendment,
        expires_at=_expiry(step, call),
        place=call.call.place,
    )
    step.put_call(call, phase="asking", approval=approval)
    told(step, call, approval)
    step.log(ApprovalAsked(approval=approval, item=call.shown), barrier=True)
    step.show_status()
    step.show(ApprovalRequested(approval=approval))
    hooking.ask_for_permission(step, call, approval)


def told(step: Step, call: Call, approval: Approval) -> None:
    """What a question means beyond asking it: somebody waits, and not for ever."""
    nested.asks(step, call, approval.id)
    if approval.expires_at is not None:
        step.do(SetExpiry(approval_id=approval.id, at=approval.expires_at))


def _expiry(step: Step, call: Call) -> float | None:
    """In an interactive thread people take their time; a script holds a process meanwhile."""
    offer = step.state.offer.scripts
    return step.at.now + offer.approval_seconds if call.call.place is not None and offer is not None else None


def find(step: Step, approval_id: str) -> Call | None:
    """The call that an open question is about."""
    turn = step.state.turn
    if turn is not None:
        for call in turn.calls:
            if call.approval is not None and call.approval.id == approval_id:
                return call
    return None


def understood(answer: ResolveApproval, need: Need) -> ResolveApproval:
    """An answer as far as it makes sense for what was asked. A rule is for commands, and must say which: anything else
    that comes as a yes with a rule is no yes."""
    if isinstance(need, PermissionNeed):
        return granting.understood(answer, need)
    if answer.granted is not None or (answer.answers is not None and not isinstance(need, QuestionNeed)):
        return msgspec.structs.replace(answer, decision="decline", granted=None, answers=None)
    if answer.decision == "acceptWithExecpolicyAmendment" and isinstance(need, CommandNeed) and answer.amendment:
        return answer
    decision = "decline" if answer.decision == "acceptWithExecpolicyAmendment" else answer.decision
    return msgspec.structs.replace(answer, decision=decision, amendment=None)


def close(step: Step, call: Call, answer: ResolveApproval | None = None) -> Call:
    """Resolve a call's open question, once and for good. None: it lapsed, nobody will answer it any more."""
    assert call.approval is not None
    id_ = call.approval.id
    nested.asks(step, call, None)
    if call.approval.expires_at is not None:
        step.do(SetExpiry(approval_id=id_, at=None))
    if answer is None:
        step.log(ApprovalAnswered(approval_id=id_, decision=None), barrier=True)
        step.show(ApprovalResolved(approval_id=id_, decision=None))
        return step.put_call(call, approval=None)
    step.log(
        ApprovalAnswered(
            approval_id=id_,
            decision=answer.decision,
            amendment=answer.amendment,
            by=answer.by,
            answers=answer.answers,
            granted=answer.granted,
        ),
        barrier=True,
    )
    step.show(ApprovalResolved(approval_id=id_, decision=answer.decision, by=answer.by))
    return step.put_call(call, approval=None)


def given(need: QuestionNeed, answers: Answers | None) -> str:
    """The answers to a model's questions, as it is told: to those it asked, and to no other (CORE §1.5)."""
    kept = {
        question.id: {"answers": [text[:ANSWER_CHARS_MAX] for text in answers[question.id]]}
        for question in need.questions
        if answers and question.id in answers
    }
    return msgspec.json.encode({"answers": kept}).decode()


def refusal(need: Need | None, reason: str) -> str:
    """What the model is told when the policy refused: of a command, as one that could not start (CORE §1.2)."""
    return rejected_command_output(reason) if isinstance(need, CommandNeed) else reason


def rejection(need: Need) -> str:
    """What the model is told when a person declined."""
    match need:
        case CommandNeed():
            return rejected_command_output(REJECTED_BY_USER)
        case PatchNeed():
            return PATCH_REJECTED_BY_USER
        case PermissionNeed():
            return PERMISSIONS_REJECTED_BY_USER
        case QuestionNeed():
            return UNANSWERED
        case _:
            assert_never(need)
