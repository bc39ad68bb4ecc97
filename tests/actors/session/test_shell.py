"""The session as an actor: what reaches the log, the feed and the children, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.kernel import DownError, PoisonError
from actors.rollout_writer.validity import validate_history
from actors.session.core import handle
from actors.session.feed import Subscription
from messages.approval import CommandNeed
from messages.client.item import AgentMessage, CommandExecution
from messages.log import ApprovalAnswered, ItemShown, MessageQuarantined, ToolStarted, TurnClosed
from messages.session import (
    InterruptTurn,
    ListTerminals,
    ReadThread,
    ResolveApproval,
    SetThreadName,
    StartTurn,
    Subscribe,
    TerminateTerminal,
    ThreadStatus,
    ThreadView,
    TurnAccepted,
    TurnBudget,
)
from tests.actors.session.made import call, words
from tests.actors.session.theatre import Bench, Scene, Theatre, Thread, open_theatre


async def answer(scene: Scene) -> None:
    await scene.say("hi")
    await scene.stop()


def wants(*calls: str) -> Any:
    async def script(scene: Scene) -> None:
        for slot, each in enumerate(calls):
            name, _, call_id = each.partition(":")
            await scene.give(call(call_id or name, name), slot)
        await scene.stop("tool_use")

    return script


async def test_a_turn_is_shown_in_order_and_logged_before_it_is_shown(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        accepted = await thread.start()
        told = await thread.until("TurnCompleted")
    assert isinstance(accepted, TurnAccepted)
    assert told == [
        "StatusChanged",
        "TurnStarted",
        "ItemStarted",
        "ItemCompleted",
        "ItemStarted",
        "~hi",
        "ItemCompleted",
        "UsageUpdated",
        "StatusChanged",
        "TurnCompleted",
    ]
    assert [type(record).__name__ for record in thread.records] == [
        "SessionMeta",
        "TurnOpened",
        "TurnContext",
        "ResponseItem",
        "ResponseItem",
        "ItemShown",
        "ResponseItem",
        "ItemShown",
        "UsageRecorded",
        "TurnClosed",
    ]


async def test_nothing_is_shown_or_started_before_the_log_has_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre, trio.open_nursery() as nursery:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        theatre.log.held = True
        nursery.start_soon(thread.start)
        await wait_all_tasks_blocked()
        assert thread.take() == []
        assert len(theatre.scripts) == 1, "not even the model has been asked"
        theatre.log.release()
        await thread.until("TurnCompleted")


async def test_who_joins_in_the_middle_gets_the_text_so_far_and_the_rest_live(autojump_clock: trio.abc.Clock) -> None:
    go_on = trio.Event()

    async def slowly(scene: Scene) -> None:
        text = await scene.begin("hello world")
        text.append("hello ")
        await go_on.wait()
        text.append("world")
        await scene.end("hello world")
        await scene.stop()

    async with open_theatre() as theatre:
        theatre.scripts = [slowly]
        first = await theatre.thread()
        await first.start()
        await wait_all_tasks_blocked()
        second = await theatre.again(first.id)
        assert second.view is not None
        item = second.view.turns[-1].items[-1]
        assert isinstance(item, AgentMessage)
        assert item.text == "hello "
        go_on.set()
        assert await second.until("TurnCompleted") == [
            "~world",
            "ItemCompleted",
            "UsageUpdated",
            "StatusChanged",
            "TurnCompleted",
        ]


async def run_quick(theatre: Theatre, bench: Bench) -> None:
    bench.prepare()
    await bench.leave.receive()
    theatre.notes.append(f"run {bench.call.call_id}")
    bench.output.append("out")
    bench.finish()


async def run_for_ever(theatre: Theatre, bench: Bench) -> None:
    bench.prepare()
    await bench.leave.receive()
    theatre.notes.append(f"run {bench.call.call_id}")
    bench.output.append("half")
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.5)
        theatre.notes.append(f"gone {bench.call.call_id}")


async def test_calls_run_after_the_response_and_their_outputs_go_back_in_order(autojump_clock: trio.abc.Clock) -> None:
    seen: list[str] = []

    async def report(scene: Scene) -> None:
        seen.extend(f"{item.kind} {item.call_id}" for item in scene.request.history if item.call_id)
        await answer(scene)

    async def slow(theatre: Theatre, bench: Bench) -> None:
        bench.prepare()
        await bench.leave.receive()
        await trio.sleep(1)
        bench.finish()

    async with open_theatre() as theatre:
        theatre.scripts = [wants("slow:c1", "quick:c2"), report]
        theatre.tools = {"slow": slow, "quick": run_quick}
        thread = await theatre.thread()
        await thread.start()
        told = await thread.until("TurnCompleted")
    assert seen == ["function_call c1", "function_call c2", "function_call_output c1", "function_call_output c2"]
    assert "~out" in told
    shown = [record.item.id for record in thread.records if isinstance(record, ItemShown)]
    started = [record.item_id for record in thread.records if isinstance(record, ToolStarted)]
    assert [each for each in shown if each in started] == started[::-1], "the quick one was shown completed first"


async def test_an_interrupt_answers_at_once_and_completes_when_nothing_is_left(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [wants("forever:c1", "forever:c2")]
        theatre.tools = {"forever": run_for_ever}
        thread = await theatre.thread()
        turn = await thread.start()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await thread.ask(InterruptTurn(), TurnAccepted) == TurnAccepted(turn_id=turn.turn_id)
        assert trio.current_time() == began
        assert "TurnCompleted" not in thread.take()
        await thread.until("TurnCompleted")
        assert sorted(theatre.notes) == ["gone c1", "gone c2", "run c1", "run c2"]
        view = await thread.ask(ReadThread(), ThreadView)
    items = [item for item in view.turns[0].items if isinstance(item, CommandExecution)]
    assert [(item.status, item.aggregated_output) for item in items] == [("failed", "half"), ("failed", "half")]
    assert view.turns[0].status == "interrupted"
    assert view.status == ThreadStatus(kind="idle")


async def test_an_interrupt_of_a_streaming_model_keeps_what_was_shown_and_only_for_eyes(
    autojump_clock: trio.abc.Clock,
) -> None:
    async def endless(scene: Scene) -> None:
        (await scene.begin("x")).append("so far")
        await trio.sleep_forever()

    async with open_theatre() as theatre:
        theatre.scripts = [endless, answer]
        thread = await theatre.thread()
        await thread.start()
        await wait_all_tasks_blocked()
        await thread.ask(InterruptTurn(), TurnAccepted)
        assert (await thread.until("TurnCompleted"))[-3:] == ["ItemCompleted", "StatusChanged", "TurnCompleted"]
        partials = [record for record in thread.records if isinstance(record, ItemShown) and record.partial]
        assert [record.item.text for record in partials if isinstance(record.item, AgentMessage)] == ["so far"]
        await thread.start("go on", "s2")
        await thread.until("TurnCompleted")
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert validate_history(loaded.history) == []
    assert not any(b"so far" in item.raw for item in loaded.history)


async def test_a_worker_that_crashes_harms_its_own_call_only(autojump_clock: trio.abc.Clock) -> None:
    async def crash(theatre: Theatre, bench: Bench) -> None:
        bench.prepare()
        await bench.leave.receive()
        raise ValueError("a defect")

    async with open_theatre() as theatre:
        theatre.scripts = [wants("crash:c1", "quick:c2"), answer]
        theatre.tools = {"crash": crash, "quick": run_quick}
        thread = await theatre.thread()
        await thread.start()
        await thread.until("TurnCompleted")
        closed = [record for record in thread.records if isinstance(record, TurnClosed)]
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert [record.status for record in closed] == ["completed"]
    assert any(b"unknown" in item.raw for item in loaded.history if item.kind == "function_call_output")


async def test_a_command_that_goes_on_outlives_its_turn_and_completes_when_it_is_ended(
    autojump_clock: trio.abc.Clock,
) -> None:
    async def background(theatre: Theatre, bench: Bench) -> None:
        bench.prepare()
        await bench.leave.receive()
        bench.workshop.terminals.calls[7] = bench.call
        bench.finish("Process running with session ID 7", terminal=7)

    async with open_theatre() as theatre:
        theatre.scripts = [wants("background:c1"), answer]
        theatre.tools = {"background": background}
        thread = await theatre.thread()
        await thread.start()
        await thread.until("TurnCompleted")
        assert theatre.workshops[0].terminals.passed == [7]
        assert [view.terminal for view in await thread.ask(ListTerminals(), tuple)] == [7]
        assert await thread.ask(TerminateTerminal(terminal=7), bool)
        assert await thread.until("ItemCompleted") == ["ItemCompleted"]
        assert await thread.ask(ListTerminals(), tuple) == ()


async def test_a_full_disk_fails_the_turn_and_the_log_is_whole_again_when_there_is_room(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        theatre.log.full = True
        await thread.start()
        told = await thread.until("TurnCompleted")
        assert "TurnFailing" in told
        assert len(theatre.scripts) == 1, "the model was not asked"
        view = await thread.ask(ReadThread(), ThreadView)
        assert (view.status.kind, view.turns[0].status) == ("systemError", "failed")
        theatre.log.full = False
        await thread.start("again", "s2")
        await thread.until("TurnCompleted")
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert [turn.status for turn in loaded.turns] == ["failed", "completed"]
    assert validate_history(loaded.history) == []
    assert loaded.counts.gaps == 0


async def test_what_a_crashed_session_had_logged_and_not_shown_is_shown_by_its_next_life(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(state: Any, event: Any, at: Any) -> Any:
        if isinstance(getattr(event, "command", None), SetThreadName):
            raise ZeroDivisionError("a defect of the core")
        return handle(state, event, at)

    async def submit(thread: Thread) -> None:
        with pytest.raises(DownError):
            await thread.start()

    monkeypatch.setattr("actors.session.shell.handle", fragile)
    async with open_theatre() as theatre, trio.open_nursery() as nursery:
        thread = await theatre.thread()
        theatre.log.held = True
        nursery.start_soon(submit, thread)
        await wait_all_tasks_blocked()
        with pytest.raises(DownError):
            await thread.ask(SetThreadName(name="poison"))
        await wait_all_tasks_blocked()
        assert thread.take() == [], "the log has not answered"
        theatre.log.release()
        told = await thread.until("TurnCompleted")
        assert told == ["TurnStarted", "ItemStarted", "ItemCompleted", "StatusChanged", "TurnCompleted"]
        view = await thread.ask(ReadThread(), ThreadView)
        assert [(turn.status, len(turn.items)) for turn in view.turns] == [("interrupted", 1)]


async def test_an_item_that_completed_in_the_log_only_is_not_completed_again_as_failed(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(state: Any, event: Any, at: Any) -> Any:
        if isinstance(getattr(event, "command", None), SetThreadName):
            raise ZeroDivisionError("a defect of the core")
        return handle(state, event, at)

    async def answer_in_two(scene: Scene) -> None:
        await scene.begin("whole")
        await go_on.wait()
        await scene.end("whole")
        await scene.stop()

    monkeypatch.setattr("actors.session.shell.handle", fragile)
    async with open_theatre() as theatre:
        go_on = trio.Event()
        theatre.scripts = [answer_in_two]
        thread = await theatre.thread()
        await thread.start()
        await wait_all_tasks_blocked()
        theatre.log.held = True
        go_on.set()
        await wait_all_tasks_blocked()
        with pytest.raises(DownError):
            await thread.ask(SetThreadName(name="poison"))
        theatre.log.release()
        await thread.until("TurnCompleted")
        view = await thread.ask(ReadThread(), ThreadView)
    assert [item.text for item in view.turns[0].items if isinstance(item, AgentMessage)] == ["whole"]
    shown = [record.item.id for record in thread.records if isinstance(record, ItemShown)]
    assert len(shown) == len(set(shown)), "each once"


async def test_what_a_full_disk_refused_is_written_when_the_thread_is_closed_if_there_is_room_by_then(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_theatre() as theatre:
        thread = await theatre.thread()
        theatre.log.full = True
        await thread.start()
        await thread.until("TurnCompleted")
        theatre.log.full = False
        await theatre.host.unload(thread.id)
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert [turn.status for turn in loaded.turns] == ["failed"]
    assert loaded.open_turn is None


async def test_a_session_that_crashes_is_rebuilt_and_its_watchers_hear_how_the_turn_ended(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(scene: Scene) -> None:
        (await scene.begin("x")).append("so far")
        await trio.sleep_forever()

    def fragile(state: Any, event: Any, at: Any) -> Any:
        if isinstance(getattr(event, "command", None), SetThreadName):
            raise ZeroDivisionError("a defect of the core")
        return handle(state, event, at)

    monkeypatch.setattr("actors.session.shell.handle", fragile)
    async with open_theatre() as theatre:
        theatre.scripts = [endless, answer]
        thread = await theatre.thread()
        await thread.start()
        await wait_all_tasks_blocked()
        thread.take()
        with pytest.raises(DownError):
            await thread.ask(SetThreadName(name="poison"))
        assert await thread.until("TurnCompleted") == ["ItemCompleted", "StatusChanged", "TurnCompleted"]
        with pytest.raises(DownError):
            await thread.ask(SetThreadName(name="poison"))
        with pytest.raises(PoisonError):
            await thread.ask(SetThreadName(name="poison"))
        await thread.start("go on", "s2")
        await thread.until("TurnCompleted")
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert [turn.status for turn in loaded.turns] == ["interrupted", "completed"]
    assert any(isinstance(record, MessageQuarantined) for record in thread.records)
    assert validate_history(loaded.history) == []


async def test_a_question_survives_the_session_and_the_turn_goes_on_when_it_is_answered(
    autojump_clock: trio.abc.Clock,
) -> None:
    need = CommandNeed(argv=("rm", "x"), script=None, cwd="/w")

    async def careful(theatre: Theatre, bench: Bench) -> None:
        bench.prepare(need=need)
        await bench.leave.receive()
        theatre.notes.append("ran")
        bench.finish()

    async with open_theatre() as theatre:
        theatre.scripts = [wants("careful:c1"), answer]
        theatre.tools = {"careful": careful}
        thread = await theatre.thread()
        turn = await thread.start()
        await thread.until("ApprovalRequested")
        await theatre.host.unload(thread.id, suspend=True)
        assert theatre.host.loaded() == {}
        thread = await theatre.again(thread.id)
        assert thread.view is not None
        assert thread.view.status == ThreadStatus(kind="active", flags=("waitingOnApproval",))
        (question,) = thread.view.approvals
        assert (question.turn_id, question.need) == (turn.turn_id, need)
        assert await thread.ask(ResolveApproval(approval_id=question.id, decision="accept", by="a"), bool)
        assert not await thread.ask(ResolveApproval(approval_id=question.id, decision="decline", by="b"), bool)
        await thread.until("TurnCompleted")
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
    assert theatre.notes == ["ran"]
    assert [turn.status for turn in loaded.turns] == ["completed"]
    assert [r.decision for r in thread.records if isinstance(r, ApprovalAnswered)] == ["accept"]
    assert validate_history(loaded.history) == []


async def test_a_turn_that_is_taken_up_again_has_its_budget_its_deadline_and_its_output_schema(
    autojump_clock: trio.abc.Clock,
) -> None:
    async def careful(theatre: Theatre, bench: Bench) -> None:
        bench.prepare(need=CommandNeed(argv=("rm", "x"), script=None, cwd="/w"))
        await bench.leave.receive()

    budget = TurnBudget(deadline_seconds=60, tool_calls=7)
    begin = StartTurn(submission_id="s", input=words("x"), budget=budget, output_schema={"type": "object"})
    async with open_theatre() as theatre:
        theatre.scripts = [wants("careful:c1")]
        theatre.tools = {"careful": careful}
        thread = await theatre.thread()
        await thread.ask(begin, TurnAccepted)
        await thread.until("ApprovalRequested")
        await theatre.host.unload(thread.id, suspend=True)
        await trio.sleep(57)
        thread = await theatre.again(thread.id)
        shell = theatre.host._roles[thread.id].shell
        assert shell is not None
        assert shell.state.turn is not None
        assert (shell.state.turn.budget, shell.state.turn.output_schema) == (budget, {"type": "object"})
        began = trio.current_time()
        await thread.until("TurnCompleted")
        assert trio.current_time() - began == pytest.approx(3, abs=0.5)


async def test_a_thread_whose_last_turn_failed_says_so_after_a_reload_too(autojump_clock: trio.abc.Clock) -> None:
    async def without_a_word(scene: Scene) -> None:
        await trio.lowlevel.checkpoint()

    async with open_theatre() as theatre:
        theatre.scripts = [without_a_word, answer]
        thread = await theatre.thread()
        await thread.start()
        await thread.until("TurnCompleted")
        await theatre.host.unload(thread.id)
        thread = await theatre.again(thread.id)
        assert thread.view is not None
        assert thread.view.status == ThreadStatus(kind="systemError")
        await thread.start("again", "s2")
        await thread.until("TurnCompleted")
        assert (await thread.ask(ReadThread(), ThreadView)).status == ThreadStatus(kind="idle")


async def test_the_tree_shows_what_a_session_and_its_children_do(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [wants("forever:c1")]
        theatre.tools = {"forever": run_for_ever}
        thread = await theatre.thread()
        await thread.start()
        await wait_all_tasks_blocked()
        (session,) = theatre.tree.snapshot().children[1].children
        assert (session.id, session.kind, session.state) == (thread.id, "session", "running tools")
        assert [(child.kind, child.state) for child in session.children] == [
            ("workshop", "running"),
            ("tool_worker", "forever"),
        ]


async def test_the_same_submission_twice_is_one_turn(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        first = await thread.start()
        await thread.until("TurnCompleted")
        await theatre.host.unload(thread.id)
        second = await thread.start()
    assert first.turn_id == second.turn_id
    assert theatre.scripts == []


async def test_a_reader_resumes_behind_the_event_it_saw_last(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        await thread.start()
        await thread.until("TurnCompleted")
        address = await theatre.host.open(thread.id)
        epoch = (await address.ask(Subscribe(), Subscription)).cursor.feed.epoch
        resumed = await address.ask(Subscribe(after_seq=2, epoch=epoch), Subscription)
    assert resumed.resumed
