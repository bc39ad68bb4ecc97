"""A command that its sandbox denied something: asked about, run again as the same call, or told as denied."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.rollout_writer.transcript import UNKNOWN_TEXT
from actors.session.approvals import NOT_RUN_AGAIN
from actors.session.effects import Append, Cancel, ChildDown, Effect, HooksAnswered, KeepResult, RunTool
from messages.approval import ApprovalPolicy, CommandGrant, CommandNeed, GranularPolicy, GranularSwitches
from messages.base import CallId
from messages.client.item import CommandExecution
from messages.hooks import Verdict
from messages.log import ApprovalAnswered, ApprovalAsked, Record, ToolDenied, ToolStarted, TurnClosed
from messages.session import ApprovalRequested, CloseThread, InterruptTurn, ItemCompleted, ResolveApproval
from messages.tools import RunDenied, ToolFinished
from tests.actors.session.made import SETTINGS, Session, asked, call, command_item, new_state, prepared
from tests.actors.session.test_restore import read_back
from tests.actors.session.test_turns import ended_turn, events, outputs, resolve, with_calls

NEED = CommandNeed(argv=("touch", "/etc/x"), script=None, cwd="/w", confinement="full")
ASKING = GranularPolicy(granular=GranularSwitches(sandbox_approval=True, rules=False, mcp_elicitations=False))
SAID = "touch: /etc/x: Permission denied\n"


def of_call(session: Session) -> str:
    assert session.state.turn is not None
    (call_,) = session.state.turn.calls
    return call_.call.item_id


def denied(session: Session, name: str = "c1") -> list[Effect]:
    """Its run in the sandbox was denied something."""
    item = msgspec.structs.replace(command_item(of_call(session), "failed"), aggregated_output=SAID)
    return session.hear(RunDenied(call_id=CallId(name), words="Permission denied", output=SAID, item=item))


def ran(policy: ApprovalPolicy = ASKING, need: CommandNeed = NEED, **fields: Any) -> Session:
    """A session whose only call was run in its sandbox."""
    session = Session(new_state(msgspec.structs.replace(SETTINGS, approval_policy=policy), **fields))
    with_calls(session, call("c1"))
    session.hear(msgspec.structs.replace(prepared("c1", command_item(of_call(session))), approval=need))
    return session


def question_of(effects: list[Effect]) -> ApprovalRequested:
    (event,) = [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    return event


def records(session: Session) -> list[Record]:
    return [record for each in session.of(Append) if isinstance(each, Append) for record in each.records]


def runs(session: Session) -> list[bool]:
    """Of each run that was let go: whether it left the sandbox."""
    return [each.unconfined for each in session.of(RunTool) if isinstance(each, RunTool)]


def reasons(effects: list[Effect]) -> list[str]:
    """Why a run stands, as its worker was told."""
    return [each.why for each in effects if isinstance(each, KeepResult)]


def finished(session: Session, output: str) -> None:
    item = command_item(of_call(session), "completed")
    session.hear(ToolFinished(call_id=CallId("c1"), outcome="done", output=output, item=item))


def test_people_are_asked_and_a_yes_runs_it_again_as_the_same_call() -> None:
    session = ran()
    approval = question_of(denied(session)).approval
    assert approval.reason == "command failed; retry without sandbox? (the sandbox said: Permission denied)"
    assert approval.need == msgspec.structs.replace(NEED, denied="Permission denied")
    assert (approval.item_id, approval.call_id) == (of_call(session), "c1")
    assert runs(session) == [False]
    session.hear(resolve(approval.id, "accept"))
    assert runs(session) == [False, True]
    finished(session, "made")
    assert outputs(session) == {"c1": "made"}
    told = [
        each for each in events(session.effects) if isinstance(each, ItemCompleted) and each.item.id == approval.item_id
    ]
    assert len(told) == 1


def test_each_step_is_in_the_log_before_it_happens() -> None:
    session = ran()
    question = question_of(denied(session)).approval.id
    session.hear(resolve(question, "accept"))
    ledger = (ToolStarted, ToolDenied, ApprovalAsked, ApprovalAnswered)
    steps = [each for each in records(session) if isinstance(each, ledger)]
    assert [type(each) for each in steps] == [ToolStarted, ToolDenied, ApprovalAsked, ApprovalAnswered, ToolStarted]
    (first_end,) = [each for each in steps if isinstance(each, ToolDenied)]
    assert isinstance(first_end.item, CommandExecution)
    assert (first_end.words, first_end.item.aggregated_output) == ("Permission denied", SAID)
    barriers = [
        each.barrier for each in session.effects if isinstance(each, Append) and isinstance(each.records[-1], ledger)
    ]
    assert barriers[-3:] == [True, True, True]


@pytest.mark.parametrize(
    "policy",
    [
        "never",
        "on-request",
        msgspec.structs.replace(ASKING, granular=msgspec.structs.replace(ASKING.granular, sandbox_approval=False)),
    ],
)
def test_where_the_policy_does_not_ask_the_run_stands_and_the_reason_is_told(policy: ApprovalPolicy) -> None:
    session = ran(policy)
    (why,) = reasons(denied(session))
    assert why.startswith("not run again without the sandbox: the approval policy is ")
    finished(session, f"{SAID}[{why}]\n")
    assert outputs(session) == {"c1": f"{SAID}[{why}]\n"}
    assert runs(session) == [False]
    assert not [each for each in records(session) if isinstance(each, ApprovalAsked | ToolDenied)]


def test_a_no_lets_the_run_stand_and_the_turn_goes_on() -> None:
    session = ran("untrusted", msgspec.structs.replace(NEED, confinement="partial"))
    # The policy asks about the command itself first.
    session.hear(resolve(question_of(session.effects).approval.id, "accept"))
    question = question_of(denied(session)).approval.id
    assert reasons(session.hear(resolve(question, "decline"))) == [NOT_RUN_AGAIN]
    finished(session, f"{SAID}[{NOT_RUN_AGAIN}]\n")
    assert runs(session) == [False]
    assert session.state.turn is not None
    assert session.state.turn.sampling is not None


def test_cancel_ends_the_turn_and_the_model_is_told_what_the_run_in_the_sandbox_came_to() -> None:
    session = ran()
    question = question_of(denied(session)).approval.id
    effects = session.hear(resolve(question, "cancel"))
    assert [each.child for each in effects if isinstance(each, Cancel)] == [of_call(session)]
    child = next(each.child for each in effects if isinstance(each, Cancel))
    session.hear(ChildDown(child=child))
    assert outputs(session) == {"c1": SAID}
    assert ended_turn(session).turn.status == "interrupted"


def test_an_interrupt_while_people_are_asked_keeps_what_is_known() -> None:
    session = ran()
    denied(session)
    child = next(iter(session.state.turn.live)) if session.state.turn is not None else None
    assert child is not None
    session.hear(asked(InterruptTurn()), ChildDown(child=child))
    assert outputs(session) == {"c1": SAID}
    (item,) = [
        each.item for each in events(session.effects) if isinstance(each, ItemCompleted) and each.item.id == child
    ]
    assert isinstance(item, CommandExecution)
    assert (item.status, item.aggregated_output) == ("failed", SAID)


def test_for_the_session_the_same_is_run_again_without_a_question() -> None:
    session = ran()
    session.hear(resolve(question_of(denied(session)).approval.id, "acceptForSession"))
    assert session.state.grants == (CommandGrant(argv=NEED.argv, cwd="/w", escalated=True),)
    again = ran(grants=session.state.grants)
    assert not [each for each in events(denied(again)) if isinstance(each, ApprovalRequested)]
    assert runs(again) == [False, True]
    assert [type(each) for each in records(again) if isinstance(each, ToolStarted | ToolDenied)] == [
        ToolStarted,
        ToolDenied,
        ToolStarted,
    ]


def test_it_is_asked_once_and_what_ran_outside_is_not_asked_about() -> None:
    session = ran()
    session.hear(resolve(question_of(denied(session)).approval.id, "accept"))
    assert denied(session) == []
    free = ran("on-request", msgspec.structs.replace(NEED, escalated=True))
    free.hear(resolve(question_of(free.effects).approval.id, "accept"))
    assert denied(free) == []


def test_a_program_may_say_no_but_not_yes() -> None:
    session = ran()
    question = question_of(denied(session)).approval.id
    child = next(iter(session.state.turn.live)) if session.state.turn is not None else None
    assert child is not None
    allow = HooksAnswered(child=child, verdict=Verdict(decision="allow"), approval_id=question)
    assert session.hear(allow) == []
    deny = HooksAnswered(child=child, verdict=Verdict(decision="deny"), approval_id=question)
    assert reasons(session.hear(deny)) == [NOT_RUN_AGAIN]


@pytest.mark.parametrize("answered", [False, True])
def test_after_a_crash_in_between_the_call_is_unknown_and_nothing_is_run(answered: bool) -> None:
    session = ran()
    question = question_of(denied(session)).approval.id
    if answered:
        session.hear(resolve(question, "accept"))
    written = records(session)
    first = next(index for index, each in enumerate(written) if isinstance(each, ToolDenied))
    for cut in range(first, len(written) + 1):
        loaded, recovery = read_back(written, cut)
        assert recovery.state == "idle", "nobody is asked, nothing is run"
        assert isinstance(recovery.records[-1], TurnClosed)
        (told,) = [each for each in loaded.history if each.kind.endswith("_output")]
        assert msgspec.json.decode(told.raw)["output"] == UNKNOWN_TEXT


def test_a_thread_that_is_unloaded_while_people_are_asked_ends_its_turn_with_what_is_known() -> None:
    session = ran()
    denied(session)
    child = next(iter(session.state.turn.live)) if session.state.turn is not None else None
    assert child is not None
    session.hear(asked(CloseThread(suspend=True)), ChildDown(child=child))
    assert outputs(session) == {"c1": SAID}
    assert session.state.turn is None


def test_an_answer_that_comes_late_finds_no_question() -> None:
    session = ran()
    question = question_of(denied(session)).approval.id
    session.hear(resolve(question, "accept"))
    late = asked(ResolveApproval(approval_id=question, decision="accept", by="b"), "from b")
    session.hear(late)
    assert runs(session) == [False, True]
