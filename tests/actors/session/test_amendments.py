"""A yes that comes with a rule: the call runs, the rule is kept, and whoever asked is told when it is not."""

from __future__ import annotations

import msgspec

from actors.session.effects import AmendRules, Append, Asked, RunTool
from actors.tool_worker.approval import DECISIONS_WITH_AMENDMENT
from messages.approval import CommandNeed, PatchNeed, RuleFinding
from messages.log import ApprovalAnswered
from messages.rules import RulesAmended
from messages.session import ApprovalRequested, ResolveApproval, Warned
from tests.actors.session.made import Session, asked, call, command_item, prepared
from tests.actors.session.test_turns import asking, events, outputs, with_calls

NEED = CommandNeed(argv=("make", "test"), script=None, cwd="/w", amendment=("make", "test"))


def with_rule(question: str, *prefix: str) -> Asked:
    answer = ResolveApproval(
        approval_id=question, decision="acceptWithExecpolicyAmendment", amendment=prefix or None, by="a"
    )
    return asked(answer, "from a")


def leaves(session: Session) -> list[bool]:
    """Of each call that was let run: whether outside the sandbox."""
    return [each.unconfined for each in session.of(RunTool) if isinstance(each, RunTool)]


def test_the_call_runs_and_the_rule_is_kept_once_the_log_has_the_answer() -> None:
    session = Session()
    question = asking(session, NEED)
    effects = session.hear(with_rule(question, "make"))
    kinds = [type(each) for each in effects if isinstance(each, Append | AmendRules | RunTool)]
    assert kinds == [Append, AmendRules, RunTool]
    assert [each.prefix for each in effects if isinstance(each, AmendRules)] == [("make",)]
    records = [record for each in effects if isinstance(each, Append) for record in each.records]
    assert (
        ApprovalAnswered(approval_id=question, decision="acceptWithExecpolicyAmendment", amendment=("make",), by="a")
        in records
    )


def test_the_question_says_which_rule_it_offers() -> None:
    session = Session()
    with_calls(session, call("c1"))
    effects = session.hear(msgspec.structs.replace(prepared("c1", command_item("i-3")), approval=NEED))
    (event,) = [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    assert (event.approval.decisions, event.approval.amendment) == (DECISIONS_WITH_AMENDMENT, ("make", "test"))


def test_a_rule_without_words_or_for_a_patch_is_no_yes() -> None:
    for need in (NEED, PatchNeed(paths=("/x",), outside=("/x",))):
        session = Session()
        question = asking(session, need)
        session.hear(with_rule(question, *(("cat",) if isinstance(need, PatchNeed) else ())))
        assert not session.of(AmendRules)
        assert not session.of(RunTool)
        assert "rejected by user" in outputs(session)["c1"]


def test_a_rule_that_could_not_be_kept_is_told_and_one_that_was_is_not() -> None:
    session = Session()
    failed = session.hear(RulesAmended(prefix=("make",), path="/h/rules/default.rules", error="no space"))
    assert events(failed) == [Warned(message="The rule could not be kept, and holds until the daemon ends: no space")]
    assert session.hear(RulesAmended(prefix=("make",), path="/h/rules/default.rules")) == []


def test_only_a_rule_or_a_person_lets_a_command_out_of_the_sandbox() -> None:
    allowed = CommandNeed(
        argv=("make",), script=None, cwd="/w", rule=RuleFinding(decision="allow", prefix=("make",)), confinement="full"
    )
    confined = CommandNeed(argv=("make",), script=None, cwd="/w", confinement="full")
    for need, unconfined in ((allowed, True), (confined, False)):
        session = Session()
        with_calls(session, call("c1"))
        session.hear(msgspec.structs.replace(prepared("c1"), approval=need))
        assert leaves(session) == [unconfined]
    for escalated in (True, False):
        session = Session()
        need = CommandNeed(
            argv=("make",), script=None, cwd="/w", escalated=escalated, risk="forced_removal", confinement="full"
        )
        question = asking(session, need)
        session.hear(asked(ResolveApproval(approval_id=question, decision="accept", by="a"), "from a"))
        assert leaves(session) == [escalated]
