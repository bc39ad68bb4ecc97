"""What people grant a model that asked for rights (`request_permissions`): in force at once, for the turn or longer.

For the turn it is in the turn's settings and ends with them; after a restart it is read back from the answer in the
log. For the session it is in the thread's settings as well: clients are told, the log has them, a resumed thread has
them still.
"""

from __future__ import annotations

import msgspec

from actors.session.effects import UseSettings
from actors.session.step import Step
from actors.tool_worker.permissions import limited, with_grant
from messages.approval import PermissionNeed
from messages.log import TurnContext
from messages.permissions import PermissionGrant
from messages.session import ResolveApproval, SettingsChanged

_replace = msgspec.structs.replace


def understood(answer: ResolveApproval, need: PermissionNeed) -> ResolveApproval:
    """The answer with what it really grants: no more than was asked for, and a yes that grants nothing is a no. A plain
    yes grants all of it: for the session, if it says so."""
    if answer.decision not in ("accept", "acceptForSession"):
        return _replace(answer, granted=None)
    said = answer.granted or PermissionGrant(
        permissions=need.permissions, scope="session" if answer.decision == "acceptForSession" else "turn"
    )
    given = limited(said.permissions, need.permissions)
    if not given:
        return _replace(answer, decision="decline", granted=None)
    return _replace(
        answer,
        decision="acceptForSession" if said.scope == "session" else "accept",
        granted=_replace(said, permissions=given),
    )


def give(step: Step, grant: PermissionGrant) -> None:
    """From here on calls are prepared, and commands run, under it."""
    settings = with_grant(step.turn.settings, grant)
    step.put_turn(settings=settings)
    step.do(UseSettings(settings=settings))
    if grant.scope == "session":
        settings = with_grant(step.state.settings, _replace(grant, strict=False))  # that is the turn's
        if settings != step.state.settings:
            step.put(settings=settings)
            step.log(TurnContext(turn_id=step.turn.id, settings=settings))
            step.show(SettingsChanged(settings=settings))
