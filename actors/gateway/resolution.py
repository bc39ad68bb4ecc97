"""What a client's answer to a question comes to. Pure.

A decision, a decision with a rule, what the user said to the model's questions, or rights that are granted; which of
them makes sense for what was asked is the session's to say. An error, or words we do not know, are no yes: the call is
refused, and the turn goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.json import Decoder

from actors.gateway.rights import permissions_of
from messages.approval import ApprovalDecision
from messages.client.approval import AmendmentDecision, ApprovalAnswer
from messages.client.envelope import ABSENT, Incoming
from messages.permissions import PermissionGrant
from messages.session import ResolveApproval

_answers: Decoder[ApprovalAnswer] = Decoder(ApprovalAnswer)

_DECISIONS: Mapping[str, ApprovalDecision] = {
    "accept": "accept",
    "acceptForSession": "acceptForSession",
    "decline": "decline",
    "cancel": "cancel",
}


def resolution(message: Incoming, approval_id: str, *, by: str) -> ResolveApproval:
    """The answer of the client ``by``."""
    no = ResolveApproval(approval_id=approval_id, decision="decline", by=by)
    try:
        answer = ApprovalAnswer() if message.result is ABSENT else _answers.decode(message.result)
    except (msgspec.MsgspecError, RecursionError):
        return no
    if answer.permissions is not None:
        given = permissions_of(answer.permissions)
        grant = (
            PermissionGrant(permissions=given, scope=answer.scope, strict=answer.strict_auto_review is True)
            if given
            else None
        )
        return msgspec.structs.replace(no, decision="accept" if grant else "decline", granted=grant)
    if answer.answers is not None:
        said = {id_: each.answers for id_, each in answer.answers.items()}
        return msgspec.structs.replace(no, decision="accept", answers=said)
    if isinstance(answer.decision, AmendmentDecision):
        prefix = answer.decision.accept_with_execpolicy_amendment.execpolicy_amendment
        if not prefix or not prefix[0]:
            return no
        return msgspec.structs.replace(no, decision="acceptWithExecpolicyAmendment", amendment=prefix)
    return msgspec.structs.replace(no, decision=_DECISIONS.get(answer.decision or "", "decline"))
