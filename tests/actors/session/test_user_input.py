"""Questions of the model's to people: asked like an approval, answered once, told as what the call came to."""

from __future__ import annotations

import msgspec

from actors.session.approvals import UNANSWERED
from actors.session.effects import Append, Asked, Cancel, RunTool
from messages.approval import Answers, ApprovalDecision, Option, Question, QuestionNeed
from messages.base import CallId
from messages.log import ApprovalAnswered
from messages.session import ApprovalRequested, ApprovalResolved, InterruptTurn, ResolveApproval, ThreadStatus
from tests.actors.session.made import Session, asked, call, new_state, prepared
from tests.actors.session.test_turns import events, outputs, request_of, with_calls

NEED = QuestionNeed(
    questions=(
        Question(id="q1", header="Pick", question="Which?", options=(Option(label="A", description="first"),)),
        Question(id="q2", header="Why", question="Why?", options=(Option(label="B", description="second"),)),
    )
)


def asking(session: Session) -> str:
    with_calls(session, call("c1", "request_user_input"))
    effects = session.hear(msgspec.structs.replace(prepared("c1"), approval=NEED))
    [event] = [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    assert event.approval.need == NEED
    return event.approval.id


def answer(question: str, decision: ApprovalDecision, answers: Answers | None = None, by: str = "a") -> Asked:
    return asked(ResolveApproval(approval_id=question, decision=decision, answers=answers, by=by), f"from {by}")


def test_the_model_asks_whatever_the_policy_is_and_the_thread_says_what_it_waits_for() -> None:
    never = msgspec.structs.replace(new_state().settings, approval_policy="never")
    session = Session(new_state(never))
    asking(session)
    assert session.state.shown_status == ThreadStatus(kind="active", flags=("waitingOnUserInput",))


def test_answers_are_what_the_call_comes_to_and_nothing_is_run() -> None:
    session = Session()
    question = asking(session)
    effects = session.hear(answer(question, "accept", {"q1": ("A",), "other": ("x",)}))
    assert outputs(session)["c1"] == '{"answers":{"q1":{"answers":["A"]}}}'
    assert request_of(effects).request.history[-1].call_id == CallId("c1")
    assert [each for each in effects if isinstance(each, Cancel)]
    assert not session.of(RunTool)
    [append] = [each for each in effects if isinstance(each, Append)]
    [record] = [each for each in append.records if isinstance(each, ApprovalAnswered)]
    assert (record.decision, record.answers) == ("accept", {"q1": ("A",), "other": ("x",)})
    assert ApprovalResolved(approval_id=question, decision="accept", by="a") in events(effects)


def test_a_question_that_is_dismissed_leaves_the_model_to_itself() -> None:
    session = Session()
    session.hear(answer(asking(session), "decline"))
    assert outputs(session)["c1"] == UNANSWERED


def test_an_interrupt_lets_it_lapse() -> None:
    session = Session()
    question = asking(session)
    effects = session.hear(asked(InterruptTurn()))
    assert ApprovalResolved(approval_id=question, decision=None) in events(effects)


def test_for_the_session_means_nothing_for_a_question() -> None:
    session = Session()
    session.hear(answer(asking(session), "acceptForSession", {"q1": ("A",)}))
    assert session.state.grants == ()
    assert '"q1"' in outputs(session)["c1"]
