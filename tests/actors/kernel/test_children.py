from __future__ import annotations

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Children, Context, Down, Ending, Life, Mailbox, NotStartedError, Start, open_mailbox, run_life
from actors.kernel.children import split_crash
from actors.kernel.tree import Node
from tests.actors.kernel.support import new_system, waiting_actor


def crashing(error: BaseException) -> Start[None]:
    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        ctx.open_mailbox()
        task_status.started()
        raise error

    return run


async def returning(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
    task_status.started()


async def half(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
    """Returns without ever having started."""


def new_root() -> Context:
    return Context(new_system(), "root")


async def test_one_childs_crash_cancels_neither_siblings_nor_the_parent() -> None:
    root = new_root()
    async with Children(root) as children:
        sibling = children.start("sibling", waiting_actor())
        crash = children.start("crash", crashing(ValueError("boom")))
        assert await crash.wait() is Ending.CRASHED
        assert isinstance(crash.error, ValueError)
        assert sibling.running
        children.cancel()
    assert [(report.context, report.offender, report.reason) for report in root.system.reports.recent] == [
        ("crashed", "root/crash", "ValueError: boom")
    ]


async def test_a_child_brings_its_watcher_exactly_one_down_however_it_ends() -> None:
    root = new_root()
    mine: Mailbox[Down] = open_mailbox("parent", system=root.system)
    async with Children(root) as children:
        children.start("returns", returning, watcher=mine.address)
        children.start("crashes", crashing(KeyError("secret")), watcher=mine.address)
        stopped = children.start("stopped", waiting_actor(), watcher=mine.address)
        await wait_all_tasks_blocked()
        stopped.cancel()
        assert await stopped.wait() is Ending.STOPPED
    got = {down.name: (down.reason, down.detail) for down, _ in mine.receive_nowait()}
    assert got == {
        "root/returns": ("normal", ""),
        "root/crashes": ("crash", "KeyError"),
        "root/stopped": ("shutdown", ""),
    }


async def test_when_wait_returns_nothing_of_the_child_runs_any_more(autojump_clock: MockClock) -> None:
    root = new_root()
    log: list[str] = []

    async def slow_to_end(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            log.append("gone")

    async with Children(root) as children:
        child = children.start("slow", slow_to_end)
        await wait_all_tasks_blocked()
        child.cancel()
        await child.wait()
        assert log == ["gone"]
        assert root.snapshot().children == ()


async def test_a_name_is_free_again_when_its_child_has_ended() -> None:
    async with Children(new_root()) as children:
        child = children.start("one", waiting_actor())
        with pytest.raises(ValueError, match="already has a child 'one'"):
            children.start("one", waiting_actor())
        child.cancel()
        await child.wait()
        children.start("one", waiting_actor())
        children.cancel()


async def test_a_return_before_started_is_a_crash() -> None:
    life = Life(new_root())
    await run_life(life, half)
    assert life.ending is Ending.CRASHED
    assert isinstance(life.error, NotStartedError)


async def test_saying_started_twice_is_a_crash() -> None:
    async def twice(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        task_status.started()

    life = Life(new_root())
    await run_life(life, twice)
    assert str(life.error) == "'root' said twice that it had started"


async def test_an_exception_group_is_a_crash() -> None:
    group = ExceptionGroup("several", [ValueError("first"), KeyError("second")])
    life = Life(new_root())
    await run_life(life, crashing(group))
    assert life.ending is Ending.CRASHED
    assert life.error is group
    assert life.context.last_failure == "ValueError: first (and 1 more)"


async def test_cancellation_from_outside_is_no_crash_and_passes_through() -> None:
    life = Life(new_root())
    with trio.CancelScope() as scope:
        scope.cancel()
        await run_life(life, waiting_actor())
    assert scope.cancelled_caught
    assert life.ending is Ending.STOPPED
    assert life.error is None


async def test_a_crash_in_a_finally_block_under_cancellation_is_still_a_crash() -> None:
    async def stumble(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while ending")

    life = Life(new_root())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_life, life, stumble)
        await wait_all_tasks_blocked()
        life.cancel()
    assert life.ending is Ending.CRASHED
    assert str(life.error) == "while ending"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), trio.TrioInternalError()])
async def test_the_end_of_the_world_passes_through(error: BaseException) -> None:
    for raised in (error, BaseExceptionGroup("group", [ValueError(), error])):
        life = Life(new_root())
        with pytest.raises(type(raised)):
            await run_life(life, crashing(raised))
        assert life.ending is Ending.STOPPED
        assert life.context.snapshot().mailbox_depth == 0


async def test_of_a_mixed_group_only_the_cancellation_passes_on() -> None:
    caught: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            caught.append(cancelled)
            raise
    error = ValueError()
    crash, passing = split_crash(BaseExceptionGroup("mixed", [error, *caught]))
    assert isinstance(crash, ExceptionGroup)
    assert crash.exceptions == (error,)
    assert isinstance(passing, BaseExceptionGroup)
    assert passing.exceptions == tuple(caught)


async def test_the_tree_shows_what_an_actor_does_and_what_it_has_in_hand(autojump_clock: MockClock) -> None:
    root = new_root()

    async def busy(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        mailbox: Mailbox[Down] = ctx.open_mailbox()
        for number in range(3):
            mailbox.address.send_nowait(Down(name="x", incarnation=number, reason="normal"))
        task_status.started()
        ctx.state = "sampling"
        await mailbox.receive()
        mailbox.address.send_nowait(Down(name="x", incarnation=4, reason="normal"))
        await trio.sleep_forever()

    async with Children(root) as children:
        children.start("busy", busy, kind="session")
        await trio.sleep(2)
        assert root.snapshot() == Node(
            id="root",
            kind="actor",
            state="starting",
            children=(
                Node(
                    id="busy",
                    kind="session",
                    state="sampling",
                    mailbox_depth=1,
                    mailbox_peak=3,
                    message_age_seconds=2.0,
                ),
            ),
        )
        children.cancel()


async def test_the_stack_of_a_child_shows_where_it_waits() -> None:
    life = Life(new_root())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_life, life, waiting_actor())
        await wait_all_tasks_blocked()
        functions = [place.rpartition(" ")[2] for place in life.stack()]
        assert "waiting_actor.<locals>.run" in functions
        assert functions.index("run_life") < functions.index("Mailbox.receive")
        life.cancel()
    assert life.stack() == ()


async def test_cancelling_the_children_leaves_the_block_itself_alone() -> None:
    async with Children(new_root()) as children:
        first = children.start("first", waiting_actor())
        await wait_all_tasks_blocked()
        children.cancel()
        assert await first.wait() is Ending.STOPPED
        second = children.start("second", returning)
        assert await second.wait() is Ending.RETURNED
