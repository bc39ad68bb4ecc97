"""A person's own command: a turn without a model, told to the next one as the person's words."""

from __future__ import annotations

from typing import Literal

from actors.rollout_writer.projection import Projector
from actors.rollout_writer.recovery import recover
from actors.session.asides import ASIDES_MAX
from actors.session.core import handle
from actors.session.effects import (
    Append,
    Asked,
    ChildDown,
    ChildId,
    Effect,
    Input,
    Reply,
    RunTool,
    Show,
    StartSampling,
    StartTool,
)
from actors.session.history import readable
from messages.base import CallId, TurnId
from messages.client.item import CommandExecution
from messages.items import InputText, MessageItem
from messages.log import ItemShown, Record, SessionMeta, TurnClosed
from messages.session import (
    InterruptTurn,
    ItemCompleted,
    ItemStarted,
    Refused,
    RunUserCommand,
    TurnAccepted,
    TurnCompleted,
)
from messages.tools import ToolCall, ToolFinished, ToolPrepared
from tests.actors.session.laws import Laws
from tests.actors.session.made import SETTINGS, THREAD, asked, instant, message, new_state, response, start_turn
from tests.actors.session.made import call as model_call


class Lawful:
    """The core with its laws beside it."""

    def __init__(self) -> None:
        self.state = new_state()
        self.laws = Laws()
        self.records: list[Record] = []
        self.effects: list[Effect] = []

    def hear(self, *messages: Input) -> list[Effect]:
        news: list[Effect] = []
        for each in messages:
            if isinstance(each, ChildDown):
                self.laws.live.discard(each.child)
            self.state, effects = handle(self.state, each, instant())
            self.laws.check(effects, self.state)
            self.records += [record for effect in effects if isinstance(effect, Append) for record in effect.records]
            news += effects
        self.effects += news
        return news

    def call(self) -> ToolCall:
        return next(effect.call for effect in reversed(self.effects) if isinstance(effect, StartTool))


def run(command: str = "make", token: str = "run", fresh_id: str = "turn-1", submission: str = "s1") -> Asked:
    return asked(RunUserCommand(submission_id=submission, command=command, timeout_seconds=3.0), token, fresh_id)


def item(call: ToolCall, status: Literal["inProgress", "completed"] = "inProgress") -> CommandExecution:
    return CommandExecution(
        id=call.item_id, command="make", cwd="/w", status=status, command_actions=(), source="userShell"
    )


def prepared(call: ToolCall) -> ToolPrepared:
    return ToolPrepared(call_id=call.call_id, item=item(call), parallel_safe=False, side_effects=True)


def shown(effects: list[Effect], kind: type) -> list[object]:
    return [effect.event for effect in effects if isinstance(effect, Show) and isinstance(effect.event, kind)]


def test_it_is_a_turn_of_its_own_that_asks_no_model_and_nobody_else() -> None:
    session = Lawful()
    began = session.hear(run("make all"))
    call = session.call()
    assert (call.by, call.arguments, call.timeout_seconds) == ("user", "make all", 3.0)
    assert Reply(token="run", value=TurnAccepted(turn_id=TurnId("turn-1"))) in began
    going = session.hear(prepared(call))
    assert [each.item for each in shown(going, ItemStarted)]  # type: ignore[attr-defined]  # an ItemStarted has one
    assert RunTool(child=ChildId(call.item_id), call_id=call.call_id) in going
    ended = session.hear(
        ToolFinished(call_id=call.call_id, outcome="done", output="Exit code: 0", item=item(call, "completed")),
        ChildDown(child=ChildId(call.item_id)),
    )
    assert not [effect for effect in session.effects if isinstance(effect, StartSampling)]
    assert [each.item.status for each in shown(ended, ItemCompleted)] == ["completed"]  # type: ignore[attr-defined]  # of commands
    assert [each.turn.status for each in shown(ended, TurnCompleted)] == ["completed"]  # type: ignore[attr-defined]  # it has one


def test_the_next_model_is_told_of_it_as_the_persons_words() -> None:
    session = Lawful()
    session.hear(run("make all"))
    call = session.call()
    session.hear(
        prepared(call),
        ToolFinished(call_id=call.call_id, outcome="done", output="Exit code: 0", item=item(call, "completed")),
        ChildDown(child=ChildId(call.item_id)),
    )
    told = readable(session.state.history[-1])
    assert told == MessageItem(
        role="user",
        content=(
            InputText(
                text="<user_shell_command>\n<command>\nmake all\n</command>\n"
                "<result>\nExit code: 0\n</result>\n</user_shell_command>"
            ),
        ),
    )
    asked_model = session.hear(start_turn(submission_id="s2", fresh_id="turn-2"))
    request = next(effect.request for effect in asked_model if isinstance(effect, StartSampling))
    assert session.state.history == request.history
    session.hear(*response(request.request_id, message("I see.")), ChildDown(child=ChildId(request.request_id)))
    assert session.state.turn is None


def test_words_that_come_meanwhile_reach_a_model_in_the_same_turn() -> None:
    session = Lawful()
    session.hear(run())
    call = session.call()
    session.hear(prepared(call), start_turn(submission_id="s2", fresh_id="unused"))
    news = session.hear(
        ToolFinished(call_id=call.call_id, outcome="done", output="Exit code: 0", item=item(call, "completed")),
        ChildDown(child=ChildId(call.item_id)),
    )
    assert [effect.request.turn_id for effect in news if isinstance(effect, StartSampling)] == ["turn-1"]


def done(call: ToolCall, output: str = "Exit code: 0") -> tuple[Input, ...]:
    finished = ToolFinished(call_id=call.call_id, outcome="done", output=output, item=item(call, "completed"))
    return finished, ChildDown(child=ChildId(call.item_id))


def test_while_the_model_speaks_it_runs_at_once_and_the_model_is_told_before_it_is_asked_again() -> None:
    session = Lawful()
    asked_model = session.hear(start_turn())
    request = next(effect.request for effect in asked_model if isinstance(effect, StartSampling))
    began = session.hear(run(submission="s2", token="other", fresh_id="unused"))
    assert Reply(token="other", value=TurnAccepted(turn_id=TurnId("turn-1"))) in began
    command = session.call()
    running = session.hear(prepared(command))
    assert RunTool(child=ChildId(command.item_id), call_id=command.call_id) in running
    ended = session.hear(*done(command))
    assert [each.item.id for each in shown(ended, ItemCompleted)] == [command.item_id]  # type: ignore[attr-defined]  # it has one
    assert not [each for each in session.state.history if b"user_shell_command" in each.raw], "not between two requests"
    session.hear(
        *response(request.request_id, model_call("c1"), stop="tool_use"), ChildDown(child=ChildId(request.request_id))
    )
    theirs = session.call()
    session.hear(prepared(theirs))
    again = session.hear(*done(theirs, "made"))
    history = next(effect.request for effect in again if isinstance(effect, StartSampling)).history
    assert [each.kind for each in history[-3:]] == ["function_call", "function_call_output", "message"]
    assert b"user_shell_command" in history[-1].raw


def test_a_turn_waits_for_what_runs_beside_it_and_asks_nobody_about_it() -> None:
    session = Lawful()
    asked_model = session.hear(start_turn())
    request = next(effect.request for effect in asked_model if isinstance(effect, StartSampling))
    session.hear(run(submission="s2", token="other", fresh_id="unused"))
    command = session.call()
    session.hear(prepared(command))
    said = session.hear(*response(request.request_id, message("done")), ChildDown(child=ChildId(request.request_id)))
    assert not shown(said, TurnCompleted)
    ended = session.hear(*done(command))
    assert [each.turn.status for each in shown(ended, TurnCompleted)] == ["completed"]  # type: ignore[attr-defined]  # it has one
    assert not [effect for effect in ended if isinstance(effect, StartSampling)]
    assert b"user_shell_command" in session.state.history[-1].raw


def test_an_interrupt_ends_what_runs_beside_the_turn_too() -> None:
    session = Lawful()
    session.hear(start_turn())
    session.hear(run(submission="s2", token="other", fresh_id="unused"))
    command = session.call()
    session.hear(prepared(command))
    session.hear(asked(InterruptTurn(), "stop"))
    assert session.state.turn is not None
    ended = session.hear(*(ChildDown(child=child) for child in sorted(session.state.turn.live)))
    assert [each.turn.status for each in shown(ended, TurnCompleted)] == ["interrupted"]  # type: ignore[attr-defined]  # it has one
    assert [each.item.status for each in shown(ended, ItemCompleted)] == ["failed"]  # type: ignore[attr-defined]  # of a command


def test_one_person_runs_no_more_beside_a_turn_than_a_few() -> None:
    session = Lawful()
    session.hear(start_turn())
    for number in range(ASIDES_MAX + 1):
        last = session.hear(run(submission=f"more-{number}", token=f"t{number}", fresh_id="unused"))
    [reply] = [effect.value for effect in last if isinstance(effect, Reply)]
    assert isinstance(reply, Refused)
    assert (reply.reason, reply.active_turn_id) == ("busy", "turn-1")


def test_an_interrupt_completes_its_item_and_its_turn() -> None:
    session = Lawful()
    session.hear(run())
    call = session.call()
    session.hear(prepared(call), asked(InterruptTurn(), "stop"))
    ended = session.hear(ChildDown(child=ChildId(call.item_id)))
    assert [each.item.status for each in shown(ended, ItemCompleted)] == ["failed"]  # type: ignore[attr-defined]  # of commands
    assert [each.turn.status for each in shown(ended, TurnCompleted)] == ["interrupted"]  # type: ignore[attr-defined]  # it has one


def test_after_a_crash_its_item_is_completed_and_its_turn_interrupted() -> None:
    session = Lawful()
    session.hear(run())
    call = session.call()
    session.hear(prepared(call))
    projector = Projector(THREAD)
    meta = SessionMeta(
        thread_id=THREAD, created_at=0, cwd="/w", source="cli", originator="t", cli_version="0", settings=SETTINGS
    )
    projector.suppose((meta, *session.records))
    recovery = recover(projector.loaded(), at=9.0)
    assert recovery.state == "idle"
    [completed] = [record.item for record in recovery.records if isinstance(record, ItemShown)]
    assert isinstance(completed, CommandExecution)
    assert (completed.id, completed.status) == (call.item_id, "failed")
    assert [record.status for record in recovery.records if isinstance(record, TurnClosed)] == ["interrupted"]


def test_a_worker_that_breaks_down_is_told_as_such() -> None:
    session = Lawful()
    session.hear(run())
    call = session.call()
    session.hear(prepared(call))
    session.hear(ChildDown(child=ChildId(call.item_id), crash="RuntimeError"))
    assert session.state.turn is None
    assert b"unknown" in session.state.history[-1].raw
    assert CallId(call.item_id) == call.call_id
