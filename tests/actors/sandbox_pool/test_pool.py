"""Who gets a worker, and when: bounded, warm and fair."""

from __future__ import annotations

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.ports.scripts import Confinement, EngineUnavailableError
from actors.sandbox_pool.fairness import FairGate
from actors.sandbox_pool.pool import DEFAULT_LIMITS, ScriptPool
from actors.sandbox_pool.running import Cancellation
from messages.script import ScriptOutcome, ScriptRequest
from tests.actors.sandbox_pool.stage import (
    PLAYS,
    InProcessEngine,
    InProcessWorker,
    SeededEntropy,
    Tools,
    VirtualClock,
    limited,
    play,
)


def pool_of(engine: InProcessEngine, workers: int = 2, *, degraded: bool = False) -> ScriptPool:
    return ScriptPool(engine, VirtualClock(), SeededEntropy(), max_workers=workers, degraded=degraded)


def request(source: str, session: str = "a") -> ScriptRequest:
    tools = Tools(PLAYS).declared()
    return ScriptRequest(script_id="s", session=session, source=source, tools=tools, limits=DEFAULT_LIMITS)


async def test_sessions_take_turns(autojump_clock: MockClock) -> None:
    pool = pool_of(InProcessEngine(), workers=1)
    order: list[str] = []
    async with trio.open_nursery() as nursery:

        async def run(session: str) -> None:
            await pool.run(request("await tools.slow({ ms: 100 })", session), Tools(PLAYS).call)
            order.append(session)

        for session in ("a", "a", "a", "a", "b", "c"):
            nursery.start_soon(run, session)
            await wait_all_tasks_blocked()
        assert pool.waiting == 5
    assert order == ["a", "a", "b", "c", "a", "a"]


async def test_a_script_that_gets_no_worker_in_time_says_so_and_has_not_run(autojump_clock: MockClock) -> None:
    pool = pool_of(InProcessEngine(), workers=1)
    tools = Tools(PLAYS)
    outcomes: list[ScriptOutcome] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, request("await tools.approve({ ms: 3600000 })"), tools.call)
        await wait_all_tasks_blocked()
        outcomes.append(await pool.run(request("await tools.echo({})", "b"), tools.call))
    assert outcomes[0].status == "unavailable"
    assert outcomes[0].waited_seconds == pytest.approx(30)
    assert outcomes[0].failure is not None
    assert outcomes[0].failure.retryable
    assert tools.begun == [("approve", {"ms": 3600000})]


async def test_one_that_waits_can_be_cancelled(autojump_clock: MockClock) -> None:
    pool = pool_of(InProcessEngine(), workers=1)
    cancellation = Cancellation()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, request("await tools.slow({ ms: 20000 })"), Tools(PLAYS).call)
        await wait_all_tasks_blocked()

        async def cancel() -> None:
            await trio.sleep(1)
            cancellation.cancel("enough")

        nursery.start_soon(cancel)
        outcome = await pool.run(request("return 1", "b"), Tools(PLAYS).call, cancellation=cancellation)
    assert outcome.status == "cancelled"
    assert outcome.waited_seconds == pytest.approx(1)
    assert pool.waiting == 0


async def test_a_spare_is_kept_and_replaced(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()
    pool = pool_of(engine)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.serve)
        await wait_all_tasks_blocked()
        assert engine.workers == 1
        outcome = await pool.run(request("return 1"), Tools(PLAYS).call)
        assert outcome.status == "returned"
        await trio.sleep(1)
        assert engine.workers == 2
        nursery.cancel_scope.cancel()
    assert engine.open == set()


async def test_without_an_engine_nothing_runs_and_nothing_breaks(autojump_clock: MockClock) -> None:
    class NoEngine(InProcessEngine):
        async def worker(self) -> InProcessWorker:
            await trio.lowlevel.checkpoint()
            raise EngineUnavailableError("there is none")

    pool = pool_of(NoEngine())
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.serve)
        outcome = await pool.run(request("return 1"), Tools(PLAYS).call)
        nursery.cancel_scope.cancel()
    assert outcome.status == "unavailable"
    assert outcome.failure is not None
    assert outcome.failure.message == "there is none"


async def test_a_kernel_that_does_not_confine_runs_scripts_only_when_told_to(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()
    engine.confinement = Confinement(layers={"landlock": -38}, missing=("landlock",))
    pool = pool_of(engine)
    outcome = await pool.run(request("return 1"), Tools(PLAYS).call)
    assert outcome.status == "unavailable"
    assert outcome.failure is not None
    assert "landlock" in outcome.failure.message
    assert not outcome.failure.retryable
    assert engine.open == set()
    told = pool_of(engine, degraded=True)
    assert (await told.run(request("return 1"), Tools(PLAYS).call)).status == "returned"


async def test_no_limit_can_be_raised_above_its_ceiling(autojump_clock: MockClock) -> None:
    show = await play("return 'x'.repeat(200000)", limits=limited(return_bytes=1 << 30))
    assert show.failure == ("script", "exception", 0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=25))
def test_the_gate_never_holds_more_and_forgets_nobody(visits: list[tuple[str, int, bool]]) -> None:
    async def main() -> None:
        gate, inside, served = FairGate(2), 0, 0

        async def visit(session: str, seconds: int, impatient: bool) -> None:
            nonlocal inside, served
            with trio.CancelScope() as scope:
                if impatient:
                    scope.deadline = trio.current_time() + 1
                await gate.enter(session)
                inside += 1
                assert inside <= 2
                scope.deadline = float("inf")
                try:
                    await trio.sleep(seconds)
                finally:
                    inside -= 1
                    gate.leave()
                served += 1

        async with trio.open_nursery() as nursery:
            for each in visits:
                nursery.start_soon(visit, *each)
        assert (gate.free, gate.waiting, inside) == (2, 0, 0)
        assert served >= sum(not impatient for _, _, impatient in visits)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_the_default_limits_are_those_that_are_documented() -> None:
    assert msgspec.structs.asdict(DEFAULT_LIMITS) == {
        "source_bytes": 20 * 1024,
        "memory_bytes": 96 * 1024 * 1024,
        "stack_bytes": 512 * 1024,
        "wall_seconds": 30.0,
        "cpu_seconds": 5.0,
        "calls": 100,
        "calls_at_once": 8,
        "orphan_grace_seconds": 0.25,
        "return_bytes": 128 * 1024,
        "console_lines": 50,
        "console_bytes": 8 * 1024,
        "progress_events": 50,
    }
