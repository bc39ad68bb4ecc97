"""What each thing that can happen in a turn comes to, one by one. That nothing breaks the laws is in test_core_laws."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.session.core import handle
from actors.session.effects import (
    Append,
    Asked,
    Cancel,
    ChildDown,
    ChildId,
    Effect,
    PartialText,
    Reply,
    RunTool,
    SetDeadline,
    Show,
    StartSampling,
    StartTool,
    StorageLost,
    TurnDue,
)
from actors.session.instructions import system_prompt
from actors.session.turns import MAX_INPUT_CHARS, MAX_WAITING
from messages.approval import ApprovalDecision, CommandNeed, PatchNeed
from messages.base import CallId, ItemId, TurnId
from messages.client.item import (
    AgentMessage,
    CommandExecution,
    PlanStep,
    Reasoning,
    ThreadItem,
    UserMessage,
)
from messages.failure import Failure
from messages.items import HistoryItem
from messages.log import ItemShown, ResponseItem, TurnClosed, TurnContext
from messages.model import ItemFinished, SampleFailed, SampleRetrying
from messages.patch import FileRevision
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    CancelToolCall,
    DiffUpdated,
    InterruptTurn,
    ItemCompleted,
    ItemStarted,
    PlanUpdated,
    Refused,
    ResolveApproval,
    SettingsChanged,
    SettingsPatch,
    StartTurn,
    StatusChanged,
    SteerTurn,
    ThreadStatus,
    TurnAccepted,
    TurnBudget,
    TurnCompleted,
    TurnFailing,
    TurnStarted,
    UpdateSettings,
    UsageUpdated,
)
from messages.tools import ToolFinished
from tests.actors.session.made import (
    Session,
    asked,
    began,
    call,
    command_item,
    completed,
    instant,
    message,
    new_state,
    prepared,
    reasoning,
    response,
    start_turn,
    words,
)

BROKEN = Failure(kind="stream_disconnected", message="The stream broke off.", retryable=True)


def request_of(effects: list[Effect]) -> StartSampling:
    (found,) = [each for each in effects if isinstance(each, StartSampling)]
    return found


def events(effects: list[Effect]) -> list[Any]:
    return [each.event for each in effects if isinstance(each, Show)]


def names(effects: list[Effect]) -> list[str]:
    """The effects as words: events by their name, everything else by its own."""
    return [type(each.event if isinstance(each, Show) else each).__name__ for each in effects]


def started(session: Session) -> str:
    """Begin a turn; its model request."""
    return request_of(session.hear(start_turn())).child


def with_calls(session: Session, *items: HistoryItem) -> list[StartTool]:
    """Begin a turn whose model wants calls; the workers."""
    request = started(session)
    effects = session.hear(*response(request, *items, stop="tool_use"), ChildDown(child=ChildId(request)))
    return [each for each in effects if isinstance(each, StartTool)]


def outputs(session: Session) -> dict[str, str]:
    """What the model is told of each call, by call id."""
    told: dict[str, str] = {}
    for each in session.effects:
        if isinstance(each, Append):
            for record in each.records:
                if isinstance(record, ResponseItem) and record.item.kind.endswith("_output"):
                    told[str(record.item.call_id)] = msgspec.json.decode(record.item.raw)["output"]
    return told


def ended_turn(session: Session) -> TurnCompleted:
    (found,) = [each for each in events(session.effects) if isinstance(each, TurnCompleted)]
    return found


def test_a_turn_from_first_word_to_last() -> None:
    session = Session()
    effects = session.hear(start_turn("hello"))
    assert names(effects) == [
        "Append",
        "Reply",
        "StatusChanged",
        "TurnStarted",
        "ItemStarted",
        "ItemCompleted",
        "StartSampling",
    ]
    request = request_of(effects)
    assert request.request.instructions == system_prompt(request.request.tools)
    assert [item.kind for item in request.request.history] == ["message", "message"]
    assert b"<environment_context>" in request.request.history[0].raw
    effects = session.hear(*response(request.child, reasoning(), message("hi", "final_answer")))
    assert names(effects) == ["ItemStarted", "ItemStarted", "Append", "ItemCompleted", "ItemCompleted", "UsageUpdated"]
    items = [event.item for event in events(effects) if isinstance(event, ItemCompleted)]
    assert [msgspec.structs.replace(item, id="", started_at_ms=None, completed_at_ms=None) for item in items] == [
        Reasoning(id="", summary=("because",)),
        AgentMessage(id="", text="hi", phase="final_answer"),
    ]
    effects = session.hear(ChildDown(child=request.child))
    assert names(effects) == ["Append", "StatusChanged", "TurnCompleted"]
    end = ended_turn(session)
    assert (end.turn.status, end.last_message) == ("completed", "hi")


def test_the_environment_is_told_again_only_when_it_changes() -> None:
    session = Session()
    session.hear(*response(started(session), message("hi")))
    session.hear(ChildDown(child=request_of(session.effects).child))
    before = len(session.state.history)
    second = session.hear(start_turn("more", "s2", "turn-2"))
    assert len(request_of(second).request.history) == before + 1
    session.hear(*response(request_of(second).child, message("hi")), ChildDown(child=request_of(second).child))
    moved = asked(StartTurn(submission_id="s3", input=words("x"), settings=SettingsPatch(cwd="/v")), fresh_id="turn-3")
    third = request_of(session.hear(moved)).request.history
    assert b"<cwd>/v</cwd>" in third[-2].raw


def test_input_during_a_turn_enters_before_the_next_sampling_and_keeps_its_turn_open() -> None:
    session = Session()
    request = started(session)
    effects = session.hear(asked(StartTurn(submission_id="s2", input=words("and this")), "again"))
    assert [each.value for each in effects if isinstance(each, Reply)] == [
        TurnAccepted(turn_id=TurnId("turn-1"), steered=True)
    ]
    assert names(effects) == ["Append", "Reply"], "logged, and not shown before it enters"
    effects = session.hear(*response(request, message("hi")))
    assert isinstance(events(effects)[-2], ItemStarted)
    assert b"and this" in request_of(effects).request.history[-1].raw


def test_a_steer_for_another_turn_is_refused_with_the_one_that_runs() -> None:
    session = Session()
    refused = SteerTurn(submission_id="s2", input=words("x"), expected_turn_id=TurnId("other"))
    (reply,) = session.hear(asked(refused))
    assert isinstance(reply, Reply)
    assert isinstance(reply.value, Refused)
    assert reply.value.reason == "no_active_turn"
    started(session)
    (reply,) = session.hear(asked(refused))
    assert isinstance(reply, Reply)
    assert reply.value == Refused(
        reason="wrong_turn",
        message="expected active turn id other but found turn-1",
        active_turn_id=TurnId("turn-1"),
    )


def test_a_submission_sent_twice_is_taken_once() -> None:
    session = Session()
    started(session)
    effects = session.hear(start_turn("hello", "s1", "turn-9"))
    assert effects == [Reply(token="token", value=TurnAccepted(turn_id=TurnId("turn-1")))]


def test_a_turn_that_is_being_interrupted_is_followed_by_the_one_that_waited() -> None:
    session = Session()
    request = started(session)
    session.hear(asked(InterruptTurn()))
    assert session.hear(start_turn("next", "s2", "turn-2")) == [], "not answered before it begins"
    effects = session.hear(ChildDown(child=ChildId(request)))
    assert [type(event) for event in events(effects) if isinstance(event, TurnCompleted | TurnStarted)] == [
        TurnCompleted,
        TurnStarted,
    ]
    assert Reply(token="token", value=TurnAccepted(turn_id=TurnId("turn-2"))) in effects


def test_too_much_input_is_refused() -> None:
    session = Session()
    (reply,) = session.hear(start_turn("x" * (MAX_INPUT_CHARS + 1)))
    assert isinstance(reply, Reply)
    assert isinstance(reply.value, Refused)
    assert reply.value.reason == "too_large"


def test_only_so_many_inputs_may_wait() -> None:
    session = Session()
    started(session)
    replies = [session.hear(start_turn("x", f"q{n}"))[-1] for n in range(MAX_WAITING + 1)]
    assert isinstance(replies[-1], Reply)
    assert isinstance(replies[-1].value, Refused)
    assert replies[-1].value.reason == "busy"


def test_a_failed_attempt_is_completed_as_partial_and_the_next_begins_anew() -> None:
    session = Session()
    request = started(session)
    session.hear(began(request, 0, message("x")))
    effects = session.hear(SampleRetrying(request_id=request, attempt=1, attempts=6, delay_seconds=0.2, failure=BROKEN))
    (append, completed_item, failing) = effects
    assert isinstance(append, Append)
    assert [type(record) for record in append.records] == [ItemShown]
    assert isinstance(append.records[0], ItemShown)
    assert append.records[0].partial
    assert isinstance(completed_item, Show)
    assert failing == Show(
        event=TurnFailing(turn_id=TurnId("turn-1"), failure=BROKEN, will_retry=True, attempt=1, attempts=6)
    )
    effects = session.hear(began(request, 1, message("y")))
    assert isinstance(completed_item.event, ItemCompleted)
    assert events(effects)[0].item.id != completed_item.event.item.id


def test_a_request_that_fails_fails_the_turn_and_says_why() -> None:
    session = Session()
    request = started(session)
    session.hear(SampleFailed(request_id=request, failure=BROKEN))
    effects = session.hear(ChildDown(child=ChildId(request)))
    assert events(effects)[0] == StatusChanged(status=ThreadStatus(kind="systemError"))
    assert ended_turn(session).turn.failure == BROKEN


def test_a_model_stream_that_breaks_down_fails_the_turn() -> None:
    session = Session()
    session.hear(ChildDown(child=ChildId(started(session)), crash="ValueError"))
    failure = ended_turn(session).turn.failure
    assert failure is not None
    assert (failure.kind, "ValueError" in failure.message) == ("internal", True)


@pytest.mark.parametrize("stop", ["length", "filtered", "refused"])
def test_of_a_response_that_was_cut_the_words_stay_and_no_call_is_run(stop: Any) -> None:
    session = Session()
    request = started(session)
    items = (message("well"), reasoning(), call("c1"))
    effects = session.hear(*response(request, *items, stop=stop), ChildDown(child=ChildId(request)))
    assert not [each for each in effects if isinstance(each, StartTool)]
    assert [item.kind for item in session.state.history] == ["message", "message", "message"]
    assert ended_turn(session).turn.status == "failed"


def test_a_paused_answer_is_asked_to_go_on() -> None:
    session = Session()
    effects = session.hear(*response(started(session), message("hm"), stop="pause"))
    assert len(request_of(effects).request.history) == 3


def test_a_model_that_uses_one_call_id_twice_has_none_of_its_calls_run() -> None:
    session = Session()
    request = started(session)
    session.hear(*response(request, call("c1"), call("c1"), stop="tool_use"), ChildDown(child=ChildId(request)))
    assert not session.of(StartTool)
    failure = ended_turn(session).turn.failure
    assert failure is not None
    assert failure.kind == "protocol"


def test_calls_run_together_where_safe_and_alone_where_not() -> None:
    session = Session()
    first, second, third = with_calls(session, call("c1"), call("c2"), call("c3"))
    session.hear(prepared("c3"), prepared("c2", parallel_safe=False))
    assert session.of(RunTool) == []
    session.hear(prepared("c1"))
    assert [each.child for each in session.effects if isinstance(each, RunTool)] == [first.child]
    session.hear(ToolFinished(call_id=CallId("c1"), outcome="done", output="1"))
    assert [each.child for each in session.effects if isinstance(each, RunTool)] == [first.child, second.child]
    session.hear(ToolFinished(call_id=CallId("c2"), outcome="done", output="2"))
    assert [each.child for each in session.effects if isinstance(each, RunTool)][-1] == third.child


def test_outputs_go_back_in_the_models_order_whatever_order_they_came_in() -> None:
    session = Session()
    with_calls(session, call("c1"), call("c2", freeform=True))
    session.hear(prepared("c1"), prepared("c2"))
    session.hear(ToolFinished(call_id=CallId("c2"), outcome="done", output="2"))
    effects = session.hear(ToolFinished(call_id=CallId("c1"), outcome="failed", output="1"))
    assert [(item.kind, item.call_id) for item in request_of(effects).request.history[-4:]] == [
        ("function_call", "c1"),
        ("custom_tool_call", "c2"),
        ("function_call_output", "c1"),
        ("custom_tool_call_output", "c2"),
    ]


def asking(session: Session, need: CommandNeed | PatchNeed | None = None) -> str:
    """A turn that waits for a person; the question."""
    with_calls(session, call("c1"))
    wanted = need or CommandNeed(argv=("rm", "x"), script=None, cwd="/w")
    effects = session.hear(msgspec.structs.replace(prepared("c1", command_item("i-3")), approval=wanted))
    assert names(effects)[-2:] == ["StatusChanged", "ApprovalRequested"]
    (event,) = [each for each in events(effects) if isinstance(each, ApprovalRequested)]
    return event.approval.id


def resolve(question: str, decision: ApprovalDecision, by: str = "a") -> Asked:
    return asked(ResolveApproval(approval_id=question, decision=decision, by=by), f"from {by}")


def test_the_first_answer_wins_and_the_others_are_told() -> None:
    session = Session()
    question = asking(session)
    effects = session.hear(resolve(question, "accept"))
    assert ApprovalResolved(approval_id=question, decision="accept", by="a") in events(effects)
    assert [each for each in effects if isinstance(each, RunTool)]
    assert session.hear(resolve(question, "decline", "b")) == [Reply(token="from b", value=False)]


def test_a_declined_call_is_told_to_the_model_and_the_turn_goes_on() -> None:
    session = Session()
    question = asking(session)
    effects = session.hear(resolve(question, "decline"))
    assert "rejected by user" in outputs(session)["c1"]
    (done,) = [event.item for event in events(effects) if isinstance(event, ItemCompleted)]
    assert isinstance(done, CommandExecution)
    assert done.status == "declined"
    assert request_of(effects)
    assert not session.of(RunTool)


def test_a_declined_patch_has_words_of_its_own() -> None:
    session = Session()
    session.hear(resolve(asking(session, PatchNeed(paths=("/x",), outside=("/x",))), "decline"))
    assert outputs(session)["c1"] == "patch rejected by user"


def test_cancelling_at_a_question_ends_the_turn() -> None:
    session = Session()
    session.hear(resolve(asking(session), "cancel"))
    session.hear(*(ChildDown(child=child) for child in session.state.turn.live if session.state.turn))  # type: ignore[union-attr]  # it runs
    assert ended_turn(session).turn.status == "interrupted"


def test_what_was_accepted_for_the_session_is_not_asked_again() -> None:
    session = Session()
    need = CommandNeed(argv=("rm", "x"), script=None, cwd="/w")
    session.hear(resolve(asking(session, need), "acceptForSession"))
    done = session.hear(ToolFinished(call_id=CallId("c1"), outcome="done", output="ok"))
    again = session.hear(*response(request_of(done).child, call("c2"), stop="tool_use"))
    assert [each for each in again if isinstance(each, StartTool)]
    effects = session.hear(msgspec.structs.replace(prepared("c2"), approval=need))
    assert [each for each in effects if isinstance(each, RunTool)]


def test_what_the_policy_forbids_is_refused_without_asking() -> None:
    never = msgspec.structs.replace(new_state().settings, approval_policy="never")
    session = Session(new_state(never))
    with_calls(session, call("c1"))
    need = CommandNeed(argv=("sudo", "x"), script=None, cwd="/w", escalated=True)
    effects = session.hear(msgspec.structs.replace(prepared("c1"), approval=need))
    assert [type(each) for each in effects if isinstance(each, Cancel)] == [Cancel]
    assert "approval policy is Never" in outputs(session)["c1"]


def test_an_interrupt_lets_open_questions_lapse() -> None:
    session = Session()
    question = asking(session)
    effects = session.hear(asked(InterruptTurn()))
    assert ApprovalResolved(approval_id=question, decision=None) in events(effects)
    assert session.hear(resolve(question, "accept")) == [Reply(token="from a", value=False)]


def test_an_interrupt_tells_the_model_how_long_each_call_ran() -> None:
    session = Session()
    workers = with_calls(session, call("c1", "exec_command"), call("c2", "grep"), call("c3", "grep"))
    session.hear(prepared("c1"), prepared("c2"))
    session.now += 1.8
    session.hear(asked(InterruptTurn()))
    session.hear(*(ChildDown(child=worker.child) for worker in workers))
    assert outputs(session) == {
        "c1": "Wall time: 1.8 seconds\naborted by user",
        "c2": "aborted by user after 1.8s",
        "c3": "aborted by user, before it was started",
    }
    assert b"<turn_aborted>" in session.state.history[-1].raw


def test_a_result_that_came_in_time_is_told_though_the_turn_was_interrupted() -> None:
    session = Session()
    (worker,) = with_calls(session, call("c1"))
    session.hear(prepared("c1"), asked(InterruptTurn()))
    session.hear(ToolFinished(call_id=CallId("c1"), outcome="done", output="just done"))
    session.hear(ChildDown(child=worker.child))
    assert outputs(session) == {"c1": "just done"}


def test_cancelling_one_call_leaves_its_siblings_alone() -> None:
    session = Session()
    first, _ = with_calls(session, call("c1"), call("c2"))
    session.hear(prepared("c1"), prepared("c2"))
    effects = session.hear(asked(CancelToolCall(call_id=CallId("c1"))))
    assert effects == [Cancel(child=first.child), Reply(token="token", value=True)]
    session.hear(ChildDown(child=first.child))
    assert outputs(session) == {"c1": "aborted by user after 0.1s"}
    assert session.state.turn is not None


def test_a_worker_that_dies_before_its_call_was_started_says_it_had_no_effect() -> None:
    session = Session()
    (worker,) = with_calls(session, call("c1"))
    session.hear(ChildDown(child=worker.child, crash="KeyError"))
    assert "before this call was started" in outputs(session)["c1"]


def test_a_worker_that_dies_while_its_call_ran_leaves_an_unknown_outcome() -> None:
    session = Session()
    (worker,) = with_calls(session, call("c1"))
    session.hear(prepared("c1"), ChildDown(child=worker.child, crash="KeyError"))
    assert "unknown" in outputs(session)["c1"]


def test_a_turn_has_so_many_calls_and_no_more() -> None:
    session = Session()
    begin = StartTurn(submission_id="s", input=words("x"), budget=TurnBudget(tool_calls=1))
    request = request_of(session.hear(asked(begin, fresh_id="turn-1"))).child
    effects = session.hear(*response(request, call("c1"), call("c2"), stop="tool_use"), ChildDown(child=request))
    assert len([each for each in effects if isinstance(each, StartTool)]) == 1
    session.hear(prepared("c1"), ToolFinished(call_id=CallId("c1"), outcome="done", output="ok"))
    assert session.state.turn is not None
    session.hear(*(ChildDown(child=child) for child in session.state.turn.live))
    failure = ended_turn(session).turn.failure
    assert failure is not None
    assert failure.kind == "budget_exceeded"
    assert outputs(session)["c2"] == "not run: this turn has used up its 1 tool calls"


def test_a_turn_has_so_much_output_and_no_more() -> None:
    session = Session()
    begin = StartTurn(submission_id="s", input=words("x"), budget=TurnBudget(output_bytes=3))
    request = request_of(session.hear(asked(begin, fresh_id="turn-1"))).child
    session.hear(*response(request, call("c1"), stop="tool_use"), ChildDown(child=request))
    session.hear(prepared("c1"), ToolFinished(call_id=CallId("c1"), outcome="done", output="four"))
    assert session.state.turn is not None
    session.hear(*(ChildDown(child=child) for child in session.state.turn.live))
    failure = ended_turn(session).turn.failure
    assert failure is not None
    assert failure.kind == "budget_exceeded"


def test_a_turn_has_so_much_time_and_no_more() -> None:
    session = Session()
    begin = StartTurn(submission_id="s", input=words("x"), budget=TurnBudget(deadline_seconds=60))
    effects = session.hear(asked(begin, fresh_id="turn-1"))
    assert SetDeadline(turn_id=TurnId("turn-1"), seconds=60) in effects
    session.hear(TurnDue(turn_id=TurnId("turn-1")), ChildDown(child=request_of(effects).child))
    end = ended_turn(session)
    assert (end.turn.status, end.turn.failure) == (
        "failed",
        Failure(kind="budget_exceeded", message="This turn has used up its 60 seconds."),
    )
    assert SetDeadline(turn_id=TurnId("turn-1"), seconds=None) in session.effects


def test_plans_and_patches_are_shown_when_their_output_is_logged() -> None:
    session = Session()
    with_calls(session, call("c1"))
    session.hear(prepared("c1"))
    plan = (PlanStep(step="look", status="completed"),)
    revision = FileRevision(path="/w/a.txt", before=b"old\n", after=b"new\n")
    finished = ToolFinished(
        call_id=CallId("c1"), outcome="done", output="ok", revisions=(revision,), plan=plan, plan_explanation="why"
    )
    told = events(session.hear(finished))
    (diff,) = [event for event in told if isinstance(event, DiffUpdated)]
    assert "-old\n+new\n" in diff.diff
    assert PlanUpdated(turn_id=TurnId("turn-1"), explanation="why", plan=plan) in told


def test_settings_changed_between_turns_are_in_the_log_before_they_are_told() -> None:
    session = Session()
    effects = session.hear(asked(UpdateSettings(settings=SettingsPatch(model="other"))))
    settings = msgspec.structs.replace(new_state().settings, model="other")
    assert effects == [
        Append(records=(TurnContext(turn_id=TurnId(""), settings=settings),)),
        Show(event=SettingsChanged(settings=settings)),
        Reply(token="token", value=settings),
    ]
    assert session.hear(asked(UpdateSettings(settings=SettingsPatch(model="other")))) == [
        Reply(token="token", value=settings)
    ]


def test_usage_adds_up_over_the_responses_of_a_thread() -> None:
    session = Session()
    request = started(session)
    effects = session.hear(*response(request, call("c1"), stop="tool_use"))
    effects += session.hear(prepared("c1"), ToolFinished(call_id=CallId("c1"), outcome="done", output="ok"))
    session.hear(completed(request_of(effects).child))
    usages = [event.total.total for event in events(session.effects) if isinstance(event, UsageUpdated)]
    assert usages == [3, 6]


def test_a_log_that_fails_fails_the_turn() -> None:
    session = Session()
    request = started(session)
    full = Failure(kind="storage", message="No space left.")
    effects = session.hear(StorageLost(failure=full))
    assert Cancel(child=ChildId(request)) in effects
    session.hear(ChildDown(child=ChildId(request)))
    assert ended_turn(session).turn.failure == full
    assert [record.status for each in session.of(Append) for record in _records(each, TurnClosed)] == ["failed"]


def _records(effect: Effect, kind: type) -> list[Any]:
    assert isinstance(effect, Append)
    return [record for record in effect.records if isinstance(record, kind)]


def test_text_so_far_completes_an_item_that_is_cut_off() -> None:
    class Texts:
        def partial(self, item_id: ItemId) -> tuple[PartialText, ...]:
            return (PartialText(channel="text", index=0, text="so f"),)

    session = Session()
    request = started(session)
    session.hear(began(request, 0, message("so far")), asked(InterruptTurn()))
    _, effects = handle(session.state, ChildDown(child=ChildId(request)), instant(2.0, Texts()))
    items: list[ThreadItem] = [event.item for event in events(list(effects)) if isinstance(event, ItemCompleted)]
    assert [item.text for item in items if isinstance(item, AgentMessage)] == ["so f"]


def test_input_that_had_not_entered_when_the_turn_ended_is_not_lost() -> None:
    session = Session()
    request = started(session)
    session.hear(asked(StartTurn(submission_id="s2", input=words("one"))))
    session.hear(asked(StartTurn(submission_id="s3", input=words("two"))))
    session.hear(asked(InterruptTurn()), ChildDown(child=ChildId(request)))
    assert [b"one" in item.raw or b"two" in item.raw for item in session.state.history[-2:]] == [True, True]
    turn = session.state.turns[-1]
    assert [item.content for item in turn.items if isinstance(item, UserMessage)] == [
        words("hello"),
        words("one"),
        words("two"),
    ]


def test_an_item_that_cannot_be_read_is_shown_as_far_as_it_was_seen() -> None:
    session = Session()
    request = started(session)
    garbage = HistoryItem(kind="message", raw=b'{"type":"message","role":"assistant"}', origin=message("x").origin)
    effects = session.hear(
        began(request, 0, garbage), ItemFinished(request_id=request, slot=0, item=garbage), completed(request)
    )
    items = [event.item for event in events(effects) if isinstance(event, ItemCompleted)]
    assert [item.text for item in items if isinstance(item, AgentMessage)] == [""]
