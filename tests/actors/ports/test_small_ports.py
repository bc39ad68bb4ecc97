"""Ids, randomness, clocks and threads."""

from __future__ import annotations

import contextlib
import random
import threading
import uuid

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import Ports
from actors.ports.production import SystemClock, SystemEntropy, WorkerThreads
from actors.ports.uuid7 import Uuid7Source
from tests.simulation import World


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    text = Uuid7Source(lambda: 1_800_000_000.123, random.Random(1).getrandbits).next()
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == 1_800_000_000_123


@given(st.lists(st.floats(min_value=0, max_value=2e9), min_size=2, max_size=50), st.integers())
def test_ids_increase_strictly_whatever_the_clock_does(times: list[float], seed: int) -> None:
    clock = iter(times)
    source = Uuid7Source(lambda: next(clock), random.Random(seed).getrandbits)
    ids = [source.next() for _ in times]
    assert ids == sorted(set(ids))


def test_ids_increase_when_the_counter_is_used_up() -> None:
    source = Uuid7Source(lambda: 1.0, lambda bits: (1 << bits) - 1)
    source._counter = (1 << 42) - 2
    source._millisecond = 1000
    ids = [source.next() for _ in range(3)]
    assert ids == sorted(set(ids))
    assert uuid.UUID(ids[-1]).int >> 80 == 1001


def test_the_systems_entropy_differs_and_has_the_size_asked_for() -> None:
    entropy = SystemEntropy()
    assert entropy.uuid7() < entropy.uuid7()
    assert len(entropy.token(24)) == 24
    assert entropy.token(16) != entropy.token(16)
    assert 0 <= entropy.random.random() < 1


def test_simulated_entropy_and_time_follow_the_seed() -> None:
    async def main(ports: Ports) -> tuple[str, bytes, float, float, float]:
        await trio.sleep(2.5)
        clock = ports.clock
        return (
            ports.entropy.uuid7(),
            ports.entropy.token(4),
            ports.entropy.random.random(),
            clock.now(),
            clock.monotonic(),
        )

    first, again, other = (World(seed).run(main).result for seed in (1, 1, 2))
    assert first == again
    assert first != other


async def test_the_systems_clock_is_trios() -> None:
    assert SystemClock().monotonic() == pytest.approx(trio.current_time(), abs=0.5)
    assert SystemClock().now() > 1_700_000_000


async def test_blocking_work_runs_elsewhere_under_its_own_limit() -> None:
    threads = WorkerThreads(limit=1)
    assert await threads.run(threading.get_ident) != threading.get_ident()
    assert await threads.run(pow, 2, 3) == 8
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)
    mine = trio.CapacityLimiter(1)
    async with mine:
        with trio.move_on_after(0.01) as scope:
            await threads.run(pow, 2, 3, limiter=mine)
    assert scope.cancelled_caught


async def test_work_that_has_begun_is_waited_for_though_cancelled() -> None:
    threads = WorkerThreads()
    begun, finish = threading.Event(), threading.Event()
    results: list[bool] = []

    def work() -> bool:
        begun.set()
        return finish.wait(5)

    async with trio.open_nursery() as nursery:

        async def caller() -> None:
            results.append(await threads.run(work))

        nursery.start_soon(caller)
        await threads.run(begun.wait, 5)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            assert results == []
            finish.set()
    assert results == [True]


async def test_no_work_begins_in_a_cancelled_scope() -> None:
    calls: list[int] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await WorkerThreads().run(calls.append, 1)
    assert (scope.cancelled_caught, calls) == (True, [])


async def test_no_more_work_runs_at_once_than_the_limiter_allows_whether_it_fails_or_not() -> None:
    threads, limiter = WorkerThreads(), trio.CapacityLimiter(2)
    lock = threading.Lock()
    counts = [0, 0]
    """Running now, and most at once."""

    def work(number: int) -> None:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        with lock:
            counts[0] -= 1
        if number % 3 == 0:
            raise ValueError(number)

    async def caller(number: int) -> None:
        with contextlib.suppress(ValueError):
            await threads.run(work, number, limiter=limiter)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(caller, number)
    assert counts[1] in (1, 2)
    assert limiter.borrowed_tokens == 0
