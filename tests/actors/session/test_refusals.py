"""How a model is told that the policy refused its call."""

from __future__ import annotations

import msgspec

from actors.session.approvals import refusal
from messages.approval import CommandNeed, PatchNeed
from messages.client.item import CommandExecution
from messages.session import ApprovalRequested, ItemCompleted
from tests.actors.session.made import SETTINGS, Session, call, command_item, new_state, prepared
from tests.actors.session.test_turns import events, outputs, with_calls


def test_a_refused_command_reads_as_one_that_could_not_start() -> None:
    need = CommandNeed(argv=("make",), cwd="/", script="make")
    assert refusal(need, "`make` rejected: no") == (
        'exec_command failed: CreateProcess { message: "Rejected(\\"`make` rejected: no\\")" }'
    )


def test_people_see_why_the_policy_refused_a_command_and_nobody_is_asked() -> None:
    session = Session(new_state(msgspec.structs.replace(SETTINGS, approval_policy="never")))
    with_calls(session, call("c1"))
    assert session.state.turn is not None
    item_id = session.state.turn.calls[0].call.item_id
    need = CommandNeed(argv=("rm", "-rf", "x"), cwd="/", script=None, risk="forced_removal")
    effects = session.hear(msgspec.structs.replace(prepared("c1", command_item(item_id)), approval=need))
    why = "`rm -rf x` rejected: rm -f style commands are not permitted. Use a safer approach"
    (item,) = [each.item for each in events(effects) if isinstance(each, ItemCompleted)]
    assert isinstance(item, CommandExecution)
    assert (item.status, item.aggregated_output, item.exit_code) == ("declined", why, None)
    assert outputs(session)["c1"] == refusal(need, why)
    assert not [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    assert session.state.turn is not None
    assert session.state.turn.closing is None, "the turn goes on"


def test_a_refused_patch_is_told_the_reason_alone() -> None:
    need = PatchNeed(paths=("/a",), outside=("/a",), sandbox_mode="read-only")
    assert refusal(need, "patch rejected: no") == "patch rejected: no"
