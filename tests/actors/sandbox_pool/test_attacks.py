"""Every attack is contained: it ends in time, the daemon's loop runs on, and no worker is left."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from actors.ports.production.scripts import ZygoteEngine
from tests.actors.sandbox_pool.attacks import DEPTH, ESCAPES, LOOPS, MEMORY, NATIVE
from tests.actors.sandbox_pool.stage import Show, echo, limited, play

LIMITS = limited(cpu_seconds=0.2, wall_seconds=0.6)
PATIENCE_SECONDS = 15.0
"""Ten times what the limits allow, for machines that have other things to do."""
HELD_SECONDS = 1.0
"""No attack may hold the loop up: the frames it sends are decoded in milliseconds. In seconds of this thread's CPU
between two beats of the loop, since those of a clock on the wall are the machine's to give."""


def children_of(pid: int | None) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return listing.read().split()


async def childless(pid: int | None) -> None:
    """A worker that is dead stays listed until the zygote, another process, has noticed."""
    for _ in range(1000):
        if not children_of(pid):
            return
        await trio.sleep(0.005)
    pytest.fail("a worker has survived its script")


@asynccontextmanager
async def zygote() -> AsyncIterator[ZygoteEngine]:
    engine = ZygoteEngine(cpu_seconds=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield engine
        nursery.cancel_scope.cancel()


async def attack(source: str) -> Show:
    """Run it; whatever it does, these hold."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            before = time.thread_time()
            await trio.sleep(0.01)
            worst = max(worst, time.thread_time() - before)

    async with zygote() as engine, trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        with trio.fail_after(PATIENCE_SECONDS):
            show = await play(source, engine=engine, plays={"echo": echo}, limits=LIMITS, context={"deep": {"a": [1]}})
            await childless(engine.pid)
        nursery.cancel_scope.cancel()
        with trio.fail_after(PATIENCE_SECONDS):
            after = await play("return 'well'", engine=engine, plays={"echo": echo}, limits=limited())
        assert after.value == "well"
    assert worst < HELD_SECONDS
    assert show.tools.running == 0
    return show


@pytest.mark.parametrize("name", LOOPS)
async def test_a_loop_is_stopped(name: str) -> None:
    show = await attack(LOOPS[name])
    assert show.outcome.status in ("exceeded", "threw"), show.outcome


@pytest.mark.parametrize("name", NATIVE)
async def test_a_native_loop_is_killed_from_outside(name: str) -> None:
    show = await attack(NATIVE[name])
    assert show.outcome.status in ("exceeded", "threw", "crashed", "returned"), show.outcome
    if show.outcome.status == "exceeded":
        assert show.failure[1] in ("cpu", "time", "memory")


@pytest.mark.parametrize("name", MEMORY)
async def test_memory_runs_out_for_the_script_alone(name: str) -> None:
    show = await attack(MEMORY[name])
    assert show.outcome.status in ("exceeded", "threw", "crashed", "returned", "deadlocked"), show.outcome


@pytest.mark.parametrize("name", DEPTH)
async def test_depth_ends_in_an_error(name: str) -> None:
    show = await attack(DEPTH[name])
    # "crashed": the parser does not survive the end of its memory, which is why it runs in the worker
    assert show.outcome.status in ("exceeded", "threw", "refused", "returned", "crashed"), show.outcome


@pytest.mark.parametrize("name", ESCAPES)
async def test_there_is_no_way_out_of_the_language(name: str) -> None:
    source, expected = ESCAPES[name]
    assert (await attack(source)).value == expected


async def test_without_the_clock_outside_a_native_loop_goes_on() -> None:
    """The control: the engine's own limit does not end it; the kernel's does, a second of work later."""
    async with zygote() as engine:
        limits = limited(cpu_seconds=0.1, wall_seconds=20.0)
        show = await play(NATIVE["repeat in a loop"], engine=engine, plays={"echo": echo}, limits=limits)
    assert show.failure[:2] == ("limit", "cpu")
    assert show.outcome.wall_seconds > 1


async def test_a_worker_that_is_killed_is_reported_as_exactly_that() -> None:
    async with zygote() as engine:

        async def suicide(arguments: object, gate: object) -> object:
            for pid in children_of(engine.pid):
                os.kill(int(pid), 9)
            return await trio.sleep_forever()

        show = await play("await tools.suicide({})", engine=engine, plays={"suicide": suicide})
    assert show.outcome.status == "crashed"
    assert show.outcome.failure is not None
    assert "SIGKILL" in show.outcome.failure.message
    assert [(call.outcome, call.orphaned) for call in show.outcome.calls] == [("cancelled", True)]
