"""Rights that a model asks for: asked about once, granted as far as they were asked for, in force for as long as said."""

from __future__ import annotations

import msgspec
import pytest

from actors.rollout_writer.lines import encode
from actors.session.effects import Append, Asked, Cancel, Effect, RunTool, StartTool, UseSettings
from actors.session.restore import restored
from actors.session.state import Offer
from actors.tool_worker.approval import PERMISSIONS_REJECTED_BY_USER
from messages.approval import ApprovalDecision, ApprovalPolicy, GranularPolicy, GranularSwitches, PermissionNeed
from messages.base import CallId
from messages.client.item import DynamicToolCall
from messages.log import ApprovalAnswered, Record, ResponseItem, TurnContext
from messages.permissions import GrantScope, PermissionGrant, Permissions
from messages.session import (
    ApprovalRequested,
    InterruptTurn,
    ItemCompleted,
    ResolveApproval,
    SettingsChanged,
    SettingsPatch,
    UpdateSettings,
)
from messages.tools import ToolPrepared
from tests.actors.session.made import SETTINGS, THREAD, Session, asked, call, instant, new_state
from tests.actors.session.test_restore import META, read_back
from tests.actors.session.test_turns import events, outputs, with_calls

WANTED = Permissions(read=("/etc/app",), write=("/data", "/cache"), network=True)
NEED = PermissionNeed(cwd="/w", permissions=WANTED, reason="to keep results")
SETTINGS_CONFINED = msgspec.structs.replace(SETTINGS, sandbox_mode="workspace-write")


def preparing(session: Session, name: str = "c1", need: PermissionNeed | None = NEED) -> list[Effect]:
    assert session.state.turn is not None
    item_id = next(each.call.item_id for each in session.state.turn.calls if each.call_id == name)
    item = DynamicToolCall(id=item_id, tool="request_permissions", arguments={}, status="inProgress")
    return session.hear(
        ToolPrepared(call_id=CallId(name), item=item, parallel_safe=False, side_effects=False, approval=need)
    )


def asking(policy: ApprovalPolicy = "on-request") -> tuple[Session, list[Effect]]:
    """A turn whose only call asks for rights."""
    session = Session(new_state(msgspec.structs.replace(SETTINGS_CONFINED, approval_policy=policy)))
    with_calls(session, call("c1", "request_permissions"))
    return session, preparing(session)


def question_of(effects: list[Effect]) -> ApprovalRequested:
    (event,) = [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    return event


def answer(question: ApprovalRequested, decision: ApprovalDecision, granted: PermissionGrant | None = None) -> Asked:
    resolve = ResolveApproval(approval_id=question.approval.id, decision=decision, granted=granted, by="a")
    return asked(resolve, "from a")


def grant(scope: GrantScope, permissions: Permissions = WANTED) -> PermissionGrant:
    return PermissionGrant(permissions=permissions, scope=scope)


def records(session: Session) -> list[Record]:
    return [record for each in session.of(Append) if isinstance(each, Append) for record in each.records]


def in_force(session: Session) -> Permissions:
    """Under which calls of the turn are prepared."""
    assert session.state.turn is not None
    return session.state.turn.settings.granted


def test_for_the_turn_it_is_in_force_at_once_and_ends_with_the_turn() -> None:
    session, effects = asking()
    question = question_of(effects)
    assert question.approval.need == NEED
    effects = session.hear(answer(question, "accept", grant("turn")))
    assert in_force(session) == WANTED
    assert [each.settings.granted for each in effects if isinstance(each, UseSettings)] == [WANTED]
    assert session.state.settings.granted == Permissions()
    assert not [each for each in events(effects) if isinstance(each, SettingsChanged)]
    assert outputs(session)["c1"] == (
        '{"permissions":{"file_system":{"read":["/etc/app"],"write":["/data","/cache"]},"network":{"enabled":true}},'
        '"scope":"turn"}'
    )
    assert not session.of(RunTool)
    assert [each for each in effects if isinstance(each, Cancel)]
    (item,) = [each.item for each in events(effects) if isinstance(each, ItemCompleted)]
    assert isinstance(item, DynamicToolCall)
    assert item.status == "completed"


def test_rights_under_review_have_people_asked_about_everything_until_the_turn_ends() -> None:
    session, effects = asking()
    strict = msgspec.structs.replace(grant("session"), strict=True)
    session.hear(answer(question_of(effects), "accept", strict))
    assert session.state.turn is not None
    assert (session.state.turn.settings.approval_policy, in_force(session)) == ("untrusted", WANTED)
    assert (session.state.settings.approval_policy, session.state.settings.granted) == ("on-request", WANTED)


def test_for_the_session_it_is_in_the_threads_settings_told_and_logged() -> None:
    session, effects = asking()
    effects = session.hear(answer(question_of(effects), "accept", grant("session", Permissions(write=("/data",)))))
    (changed,) = [each for each in events(effects) if isinstance(each, SettingsChanged)]
    assert changed.settings == session.state.settings
    assert session.state.settings.granted == in_force(session) == Permissions(write=("/data",))
    context = [each for each in records(session) if isinstance(each, TurnContext)][-1]
    assert context.settings == session.state.settings
    assert outputs(session)["c1"].endswith('"scope":"session"}')
    loaded, _ = read_back(records(session), len(records(session)))
    assert loaded.settings.granted == Permissions(write=("/data",)), "a resumed thread has it still"


@pytest.mark.parametrize("decision", ["accept", "acceptForSession"])
def test_a_plain_yes_grants_all_that_was_asked_for(decision: ApprovalDecision) -> None:
    session, effects = asking()
    session.hear(answer(question_of(effects), decision))
    assert in_force(session) == WANTED
    assert session.state.settings.granted == (WANTED if decision == "acceptForSession" else Permissions())


def test_an_answer_grants_no_more_than_was_asked_for() -> None:
    session, effects = asking()
    more = Permissions(
        read=("/", "/etc/app/x", "/data/r"), write=("/", "/data/sub", "/etc/app", "/datafile"), network=True
    )
    session.hear(answer(question_of(effects), "accept", grant("turn", more)))
    assert in_force(session) == Permissions(read=("/etc/app/x", "/data/r"), write=("/data/sub",), network=True)
    (answered,) = [each for each in records(session) if isinstance(each, ApprovalAnswered)]
    assert answered.granted == grant("turn", in_force(session)), "the log has what was granted, not what was said"


@pytest.mark.parametrize(
    "said",
    [
        ("decline", None),
        ("accept", grant("turn", Permissions())),
        ("accept", grant("turn", Permissions(write=("/x",)))),
    ],
)
def test_nothing_granted_reads_as_rejected(said: tuple[ApprovalDecision, PermissionGrant | None]) -> None:
    session, effects = asking()
    session.hear(answer(question_of(effects), *said))
    assert outputs(session) == {"c1": PERMISSIONS_REJECTED_BY_USER}
    assert in_force(session) == Permissions()
    (answered,) = [each for each in records(session) if isinstance(each, ApprovalAnswered)]
    assert (answered.decision, answered.granted) == ("decline", None)
    (item,) = [
        each.item
        for each in events(session.effects)
        if isinstance(each, ItemCompleted) and isinstance(each.item, DynamicToolCall)
    ]
    assert item.status == "failed"


def test_cancel_ends_the_turn_and_an_interrupt_lets_the_question_lapse() -> None:
    session, effects = asking()
    session.hear(answer(question_of(effects), "cancel"))
    assert outputs(session) == {"c1": PERMISSIONS_REJECTED_BY_USER}
    assert session.state.turn is not None
    assert session.state.turn.closing is not None
    session, _ = asking()
    session.hear(asked(InterruptTurn()))
    (answered,) = [each for each in records(session) if isinstance(each, ApprovalAnswered)]
    assert (answered.decision, answered.granted) == (None, None)


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        ("never", False),
        ("on-request", True),
        ("untrusted", True),
        (GranularPolicy(granular=GranularSwitches(sandbox_approval=True, rules=True, mcp_elicitations=True)), False),
        (
            GranularPolicy(
                granular=GranularSwitches(
                    sandbox_approval=False, rules=False, mcp_elicitations=False, request_permissions=True
                )
            ),
            True,
        ),
    ],
)
def test_the_policy_says_whether_people_are_asked(policy: ApprovalPolicy, *, asks: bool) -> None:
    session, effects = asking(policy)
    assert bool([each for each in events(effects) if isinstance(each, ApprovalRequested)]) == asks
    if not asks:
        assert outputs(session)["c1"].startswith("request_permissions rejected: the approval policy is ")
        assert in_force(session) == Permissions()


def test_what_the_sandbox_gives_already_is_not_asked_about() -> None:
    session = Session(new_state(SETTINGS_CONFINED))
    with_calls(session, call("c1", "request_permissions"))
    effects = preparing(session, need=None)
    assert [each for each in effects if isinstance(each, RunTool)]
    assert not [each for each in events(effects) if isinstance(each, ApprovalRequested)]


def test_another_sandbox_takes_it_back_and_another_model_does_not() -> None:
    session, effects = asking()
    session.hear(answer(question_of(effects), "acceptForSession"))
    session.hear(asked(UpdateSettings(settings=SettingsPatch(model="other"))))
    assert session.state.settings.granted == WANTED
    session.hear(asked(UpdateSettings(settings=SettingsPatch(sandbox_mode="read-only"))))
    assert session.state.settings.granted == Permissions()


def test_an_open_question_outlives_a_restart_and_what_was_granted_for_the_turn_does_too() -> None:
    session = Session(new_state(SETTINGS_CONFINED))
    with_calls(session, call("c1", "request_permissions"), call("c2", "request_permissions"))
    first = question_of(preparing(session, "c1"))
    second = question_of(preparing(session, "c2", PermissionNeed(cwd="/w", permissions=Permissions(write=("/more",)))))
    session.hear(answer(first, "accept", grant("turn", Permissions(write=("/data",)))))
    lines = encode([META, *records(session)], thread_id=THREAD, first_ordinal=0, at=1.0)
    loaded, recovery = read_back(records(session), len(lines) - 1)
    assert recovery.state == "stays_open"
    state, effects = restored(loaded, recovery, ids="j", offer=Offer(), path="/p", at=instant(100.0))
    assert state.turn is not None
    assert state.turn.settings.granted == Permissions(write=("/data",))
    assert state.settings.granted == Permissions()
    assert [each.approval.id for each in state.turn.calls if each.approval is not None] == [second.approval.id]
    assert len([each for each in effects if isinstance(each, StartTool)]) == 1


def test_a_crash_right_behind_the_answer_grants_what_the_log_has_and_nothing_else_is_lost() -> None:
    session = Session(new_state(SETTINGS_CONFINED))
    with_calls(session, call("c1", "request_permissions"), call("c2", "request_permissions"))
    first = question_of(preparing(session, "c1"))
    preparing(session, "c2", PermissionNeed(cwd="/w", permissions=Permissions(write=("/more",))))
    session.hear(answer(first, "accept", grant("turn")))
    written = records(session)
    cut = next(index for index, each in enumerate(written) if isinstance(each, ApprovalAnswered)) + 1
    loaded, recovery = read_back(written, cut)
    state, effects = restored(loaded, recovery, ids="j", offer=Offer(), path="/p", at=instant(100.0))
    assert state.turn is not None
    assert state.turn.settings.granted == WANTED
    told = [each for effect in effects if isinstance(effect, Append) for each in effect.records]
    (output,) = [each for each in told if isinstance(each, ResponseItem)]
    assert output.item.call_id == "c1"
    assert b'"scope\\":\\"turn' in output.item.raw
