from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import ChildStarter
from supervisors import (
    CANCEL_GRACE_SECONDS,
    DynamicSupervisor,
    NotRunningError,
    StartError,
    Supervisor,
    open_tree,
)
from tests.supervisors.support import FOREVER, NO_JITTER, POLITE, Life, Log, happened, new_system, scripted


def new_dynamic() -> DynamicSupervisor:
    return DynamicSupervisor(backoff=NO_JITTER, intensity=2)


async def test_start_child_returns_what_the_child_said_it_started_with(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    starter: ChildStarter = dynamic
    async with open_tree(dynamic.run, system=new_system()) as tree:
        assert await starter.start_child("a", scripted(log, "a", Life(init=3)).start, kind="session") == "a"
        assert log.entries == [(0, "begin a"), (3, "started a")]
        [node] = tree.snapshot().children
        assert (node.id, node.kind, node.state) == ("a", "session", "running")
    assert not log.living


async def test_a_first_start_that_fails_raises_and_leaves_nothing(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        with pytest.raises(StartError, match="could not start its child 'a': ValueError: a cannot start") as caught:
            await dynamic.start_child("a", scripted(log, "a", Life(ends="crashes_in_init")).start)
        assert isinstance(caught.value.__cause__, ValueError)
        assert dynamic.child_ids() == ()
        await trio.sleep(100)
        assert log.words == ["begin a", "end a"], "it is not tried again"


async def test_a_start_that_is_given_up_leaves_nothing(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        with trio.move_on_after(1):
            await dynamic.start_child("a", scripted(log, "a", Life(init=100, ignores_cancel_for=2)).start)
        assert log.entries == [(0, "begin a"), (3, "end a")]
        assert dynamic.child_ids() == ()


async def test_an_id_in_use_is_refused(autojump_clock: MockClock) -> None:
    dynamic = new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        await dynamic.start_child("a", scripted(Log(), "a").start)
        with pytest.raises(ValueError, match="already has a child 'a'"):
            await dynamic.start_child("a", scripted(Log(), "a").start)


async def test_a_supervisor_that_does_not_run_starts_nobody(autojump_clock: MockClock) -> None:
    with pytest.raises(NotRunningError):
        await new_dynamic().start_child("a", scripted(Log(), "a").start)


async def test_a_crash_restarts_that_child_alone_with_growing_pauses(autojump_clock: MockClock) -> None:
    log, system, dynamic = Log(), new_system(), new_dynamic()
    async with open_tree(dynamic.run, system=system) as tree:
        await dynamic.start_child("other", scripted(log, "other").start)
        await dynamic.start_child("a", scripted(log, "a", Life(runs=1), Life(runs=1), FOREVER).start)
        await trio.sleep(10)
        assert [at for at, words in log.entries if words == "started a"] == [0, 1.1, 2.3]
        assert log.words.count("end other") == 0
        assert [node.restarts for node in tree.snapshot().children] == [0, 2]
    assert happened(system.reports.recent) == [("crashed", "a"), ("restarting", "a")] * 2


async def test_a_child_that_crashes_too_often_is_given_up_alone(autojump_clock: MockClock) -> None:
    log, system = Log(), new_system()
    given_up: list[tuple[str, str]] = []
    dynamic = DynamicSupervisor(
        backoff=NO_JITTER, intensity=2, on_gave_up=lambda id_, error: given_up.append((id_, str(error)))
    )
    async with open_tree(dynamic.run, system=system):
        await dynamic.start_child("other", scripted(log, "other").start)
        await dynamic.start_child("a", scripted(log, "a", Life(runs=1)).start)
        await trio.sleep(10)
        assert dynamic.child_ids() == ("other",)
        assert given_up == [("a", "a crashed")]
        assert happened(system.reports.recent)[-2:] == [("crashed", "a"), ("gave_up", "a")]
        await dynamic.start_child("a", scripted(log, "a", FOREVER).start)


async def test_terminate_child_asks_then_cancels_and_returns_when_nothing_is_left(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        for id_, life in (("polite", Life(polite_after=2)), ("slow", Life(polite_after=100)), ("deaf", FOREVER)):
            await dynamic.start_child(id_, scripted(log, id_, life).start)
        log.clear()
        assert await dynamic.terminate_child("polite")
        assert await dynamic.terminate_child("slow")
        assert await dynamic.terminate_child("deaf")
        assert not await dynamic.terminate_child("deaf")
        assert log.entries == [(2, "end polite"), (7, "end slow"), (7, "end deaf")]


async def test_a_child_terminated_during_its_backoff_is_gone_at_once_for_good(
    autojump_clock: MockClock,
) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        await dynamic.start_child("a", scripted(log, "a", Life(runs=1)).start)
        await trio.sleep(1.05)
        assert await dynamic.terminate_child("a")
        await trio.sleep(10)
    assert log.entries == [(0, "begin a"), (0, "started a"), (1, "end a")]


async def test_at_shutdown_all_children_are_asked_at_once(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()):
        for number in range(3):
            await dynamic.start_child(f"c{number}", scripted(log, f"c{number}", Life(polite_after=2)).start)
        log.clear()
    assert sorted(log.entries) == [(2, "end c0"), (2, "end c1"), (2, "end c2")]


async def test_nobody_is_started_during_the_shutdown(autojump_clock: MockClock) -> None:
    log, dynamic = Log(), new_dynamic()
    async with open_tree(dynamic.run, system=new_system()) as tree:
        await dynamic.start_child("a", scripted(log, "a", Life(polite_after=2)).start)
        tree.stop()
        await wait_all_tasks_blocked()
        with pytest.raises(NotRunningError):
            await dynamic.start_child("b", scripted(log, "b").start)


async def test_a_stuck_child_is_reported_and_does_not_hold_up_the_others(
    autojump_clock: MockClock,
) -> None:
    log, system, dynamic = Log(), new_system(), new_dynamic()
    supervisor = Supervisor(children=(scripted(log, "first", POLITE), dynamic.as_child("dynamic")))
    async with open_tree(supervisor.run, system=system):
        await dynamic.start_child("stuck", scripted(log, "stuck", Life(ignores_cancel_for=60)).start)
        await dynamic.start_child("a", scripted(log, "a", POLITE).start)
        log.clear()
    assert log.words == ["end a", "end first", "end stuck"]
    [report] = [report for report in system.reports.recent if report.context == "stuck"]
    assert report.offender == "root/dynamic/stuck"
    assert any("scripted.<locals>.run" in place for place in report.stack)
    assert [at for at, words in log.entries if words == "end first"] == [CANCEL_GRACE_SECONDS]
