"""The shell: real tasks in virtual time. Every second here is one that nobody waits for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Context, DownError, Mailbox, Service, Start
from supervisors import (
    CANCEL_GRACE_SECONDS,
    ChildSpec,
    EscalationError,
    StartError,
    Strategy,
    StuckError,
    Supervisor,
    open_tree,
)
from tests.actors.kernel.support import GetTotal, Said
from tests.supervisors.support import FOREVER, NO_JITTER, POLITE, Life, Log, happened, new_system, scripted

COUNTER: Service[Said] = Service("counter")


def supervise(*children: ChildSpec, strategy: Strategy = Strategy.ONE_FOR_ONE, intensity: int = 3) -> Supervisor:
    return Supervisor(children=children, strategy=strategy, intensity=intensity, backoff=NO_JITTER)


def starts(ids: str) -> list[str]:
    """One after the other."""
    return [f"{what} {id_}" for id_ in ids for what in ("begin", "started")]


async def test_children_start_in_order_and_end_in_reverse(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "a", Life(init=1)), scripted(log, "b", Life(init=2, polite_after=3)), scripted(log, "c", POLITE)
    )
    async with open_tree(supervisor.run, system=new_system()):
        assert log.entries == [
            (0, "begin a"),
            (1, "started a"),
            (1, "begin b"),
            (3, "started b"),
            (3, "begin c"),
            (3, "started c"),
        ]
        log.clear()
    assert log.entries == [(3, "end c"), (6, "end b"), (6, "end a")]
    assert not log.living


async def test_a_crash_restarts_the_child_and_touches_no_sibling(autojump_clock: MockClock) -> None:
    log, system = Log(), new_system()
    supervisor = supervise(scripted(log, "a"), scripted(log, "b", Life(runs=1), FOREVER), scripted(log, "c"))
    async with open_tree(supervisor.run, system=system) as tree:
        log.clear()
        await trio.sleep(5)
        assert log.entries == [(1, "end b"), (1.1, "begin b"), (1.1, "started b")]
        [_, b, _] = tree.snapshot().children
        assert (b.state, b.restarts, b.last_failure) == ("running", 1, "ValueError: b crashed")
        assert happened(system.reports.recent) == [("crashed", "b"), ("restarting", "b")]


async def test_rest_for_one_restarts_those_that_depend_on_the_crashed_one(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "a"),
        scripted(log, "b", Life(runs=1), FOREVER),
        scripted(log, "c", POLITE),
        scripted(log, "d", POLITE),
        strategy=Strategy.REST_FOR_ONE,
    )
    async with open_tree(supervisor.run, system=new_system()):
        log.clear()
        await trio.sleep(5)
        assert log.words == ["end b", "end d", "end c", *starts("bcd")]


async def test_one_for_all_restarts_everybody(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "a"), scripted(log, "b", Life(runs=1), FOREVER), scripted(log, "c"), strategy=Strategy.ONE_FOR_ALL
    )
    async with open_tree(supervisor.run, system=new_system()):
        log.clear()
        await trio.sleep(5)
        assert log.words == ["end b", "end c", "end a", *starts("abc")]


async def test_transient_and_temporary_children_that_end_are_gone_from_the_tree(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "a"),
        scripted(log, "returns", Life(runs=1, ends="returns"), restart="transient"),
        scripted(log, "crashes", Life(runs=1), restart="temporary"),
    )
    async with open_tree(supervisor.run, system=new_system()) as tree:
        await trio.sleep(5)
        assert [child.id for child in tree.snapshot().children] == ["a"]


async def test_a_child_that_fails_to_start_fails_the_tree_and_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    for ends in ("crashes_in_init", "returns_in_init"):
        log = Log()
        supervisor = supervise(scripted(log, "a"), scripted(log, "b", Life(init=1, ends=ends)))
        with pytest.raises(StartError, match="'root' could not start its child 'b'"):
            async with open_tree(supervisor.run, system=new_system()):
                raise AssertionError("the body runs only when all have started")
        assert log.words == ["begin a", "started a", "begin b", "end b", "end a"]


async def test_escalation_carries_the_history_of_crashes(autojump_clock: MockClock) -> None:
    log, system = Log(), new_system()
    supervisor = supervise(scripted(log, "a"), scripted(log, "b", Life(runs=1)), intensity=2)
    with pytest.raises(EscalationError) as caught:
        async with open_tree(supervisor.run, system=system):
            await trio.sleep_forever()
    assert [(failure.child, round(failure.at - log.zero, 3), failure.reason) for failure in caught.value.history] == [
        ("b", 1.0, "ValueError: b crashed"),
        ("b", 2.1, "ValueError: b crashed"),
        ("b", 3.3, "ValueError: b crashed"),
    ]
    assert "more than 2 restarts within 5 s (b at" in str(caught.value)
    assert not log.living
    assert happened(system.reports.recent)[-2:] == [("escalated", "root"), ("crashed", "root")]


async def test_a_supervisor_that_escalates_is_restarted_by_the_one_above(autojump_clock: MockClock) -> None:
    log = Log()
    inner = supervise(scripted(log, "a", Life(runs=1), Life(runs=1), FOREVER), intensity=1)
    async with open_tree(supervise(inner.as_child("inner")).run, system=new_system()) as tree:
        await trio.sleep(5)
        [node] = tree.snapshot().children
        assert (node.restarts, [(child.id, child.state, child.restarts) for child in node.children]) == (
            1,
            [("a", "running", 0)],
        )


async def test_a_shutdown_during_a_backoff_or_a_slow_start_is_served_at_once(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(scripted(log, "a", Life(runs=1)), scripted(log, "b", FOREVER))
    async with open_tree(supervisor.run, system=new_system()):
        await trio.sleep(1.05)
    assert log.entries[-1] == (1.05, "end b")

    log = Log()
    supervisor = supervise(scripted(log, "a", POLITE), scripted(log, "slow", Life(init=1000)))
    with trio.move_on_after(2):
        async with open_tree(supervisor.run, system=new_system()):
            raise AssertionError("it had not started")
    assert log.entries[-2:] == [(2, "end slow"), (2, "end a")]


async def test_a_child_that_does_not_end_when_asked_is_cancelled_at_its_own_deadline(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "slow", Life(polite_after=100), shutdown=2),
        scripted(log, "brutal", POLITE, shutdown=0),
        scripted(log, "deaf", FOREVER, shutdown=7),
    )
    async with open_tree(supervisor.run, system=new_system()):
        log.clear()
    assert log.entries == [(0, "end deaf"), (0, "end brutal"), (2, "end slow")]


async def test_a_stuck_child_is_reported_with_its_stack_and_the_others_still_end(autojump_clock: MockClock) -> None:
    log, system = Log(), new_system()
    stuck_at: list[float] = []
    inner = supervise(scripted(log, "b", Life(ignores_cancel_for=60)))
    supervisor = supervise(scripted(log, "a", POLITE), inner.as_child("inner"))
    async with open_tree(
        supervisor.run, system=system, on_stuck=lambda: stuck_at.append(trio.current_time() - log.zero)
    ) as tree:
        log.clear()
    assert log.entries == [(CANCEL_GRACE_SECONDS, "end a"), (60, "end b")], "a did not wait for b"
    assert stuck_at == [CANCEL_GRACE_SECONDS]
    [report] = [report for report in system.reports.recent if report.context == "stuck"]
    assert (report.supervisor, report.offender) == ("root/inner", "root/inner/b")
    assert any("scripted.<locals>.run" in place for place in report.stack)
    assert tree.context.state == "stuck"


async def test_a_child_stuck_while_a_restart_needs_it_gone_fails_the_supervisor(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = supervise(
        scripted(log, "a", Life(runs=1), FOREVER),
        scripted(log, "b", Life(ignores_cancel_for=60)),
        strategy=Strategy.ONE_FOR_ALL,
    )
    with pytest.raises(StuckError, match="child 'b' does not end though it was cancelled"):
        async with open_tree(supervisor.run, system=new_system()):
            await trio.sleep_forever()


async def test_significant_children_end_the_tree_by_themselves(autojump_clock: MockClock) -> None:
    log = Log()
    supervisor = Supervisor(
        children=(
            scripted(log, "a"),
            scripted(log, "job", Life(runs=3, ends="returns"), restart="transient", significant=True),
        ),
        auto_shutdown="any_significant",
    )
    async with open_tree(supervisor.run, system=new_system()):
        await trio.sleep(1000)
    assert log.entries[-1] == (3, "end a")


async def test_a_crash_that_is_a_group_is_restarted_like_any_other(autojump_clock: MockClock) -> None:
    lives = 0

    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        async with trio.open_nursery() as nursery:
            if lives == 1:
                nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    async def fail() -> None:
        raise ValueError("in a nursery")

    async with open_tree(supervise(ChildSpec(id="a", start=run)).run, system=new_system()) as tree:
        await trio.sleep(1)
        assert tree.snapshot().children[0].last_failure == "ValueError: in a nursery"
    assert lives == 2


async def test_keyboard_interrupt_in_a_child_ends_everything(autojump_clock: MockClock) -> None:
    log = Log()

    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(1)
        raise KeyboardInterrupt

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_tree(supervise(scripted(log, "a"), ChildSpec(id="b", start=run)).run, system=new_system()):
            await trio.sleep_forever()
    assert caught.group_contains(KeyboardInterrupt)
    assert not log.living


def counter(lives: list[int], *, crash_on_first: bool) -> Start[None]:
    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        mailbox: Mailbox[Said] = ctx.open_mailbox()
        ctx.publish(COUNTER, mailbox.address)
        lives.append(mailbox.incarnation)
        task_status.started()
        while True:
            for _, reply in await mailbox.receive():
                if len(lives) == 1 and crash_on_first:
                    raise ValueError("first life")
                if reply is not None:
                    reply.answer(len(lives))

    return run


async def test_a_caller_survives_the_restart_of_a_service(autojump_clock: MockClock) -> None:
    lives: list[int] = []
    system = new_system()
    supervisor = supervise(ChildSpec(id="counter", start=counter(lives, crash_on_first=True)))
    async with open_tree(supervisor.run, system=system):
        assert await system.directory.address(COUNTER).ask(GetTotal(), int) == 2


async def test_callers_of_a_service_that_will_not_come_back_are_told(autojump_clock: MockClock) -> None:
    system = new_system()
    spec = ChildSpec(id="counter", start=counter([], crash_on_first=True), restart="temporary")
    async with open_tree(supervise(spec).run, system=system):
        with pytest.raises(DownError, match="'counter' is not running"):
            await system.directory.address(COUNTER).ask(GetTotal(), int)


async def test_the_tree_can_be_stopped_from_inside_and_twice(autojump_clock: MockClock) -> None:
    log = Log()
    async with open_tree(supervise(scripted(log, "a", POLITE)).run, system=new_system()) as tree:
        tree.stop()
        tree.stop()
        await tree.wait_gone()
    assert not log.living


async def test_an_error_in_the_body_ends_the_tree_in_order_first(autojump_clock: MockClock) -> None:
    log = Log()

    async def use() -> None:
        async with open_tree(supervise(scripted(log, "a", POLITE), scripted(log, "b")).run, system=new_system()):
            await wait_all_tasks_blocked()
            raise LookupError("body")

    with pytest.raises(ExceptionGroup) as caught:
        await use()
    assert caught.group_contains(LookupError)
    assert log.words[-2:] == ["end b", "end a"]


async def test_the_names_of_a_whole_branch_are_retired_with_it(autojump_clock: MockClock) -> None:
    system = new_system()
    inner = supervise(ChildSpec(id="counter", start=counter([], crash_on_first=False)))
    branch = ChildSpec(id="inner", start=inner.run, restart="temporary", kind="supervisor")
    async with open_tree(supervise(branch).run, system=system) as tree:
        address = system.directory.address(COUNTER)
        assert await address.ask(GetTotal(), int) == 1
        [context] = (tree.context._children or {}).values()
        context.request_shutdown(1)
        await trio.sleep(1)
        with pytest.raises(DownError):
            await address.ask(GetTotal(), int)


async def test_a_stuck_child_that_ends_after_all_with_a_crash_is_reported(autojump_clock: MockClock) -> None:
    system = new_system()

    async def stuck(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)
            raise ValueError("at last")

    async with open_tree(supervise(ChildSpec(id="a", start=stuck)).run, system=system):
        pass
    assert happened(system.reports.recent) == [("stuck", "a"), ("crashed_while_stopping", "a")]
    assert system.dead_letters.total == 0
