"""The small ports: clock, entropy, threads."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from actors.ports.uuid7 import Uuid7Source
from tests.simulation.life import Chances, Life

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SimClock:
    """Unix time from the world's, durations from trio's virtual clock."""

    def __init__(self, life: Life, unix_time: Callable[[], float]) -> None:
        self._life = life
        self._unix_time = unix_time

    def now(self) -> float:
        self._life.check()
        return self._unix_time()

    def monotonic(self) -> float:
        self._life.check()
        return trio.current_time()


class SimEntropy:
    """Everything from the seed, secrets included."""

    def __init__(self, life: Life, unix_time: Callable[[], float]) -> None:
        self._life = life
        self._random = life.random("entropy")
        self._jitter = life.random("jitter")
        self._uuids = Uuid7Source(unix_time, self._random.getrandbits)

    def uuid7(self) -> str:
        self._life.check()
        return self._uuids.next()

    def token(self, nbytes: int) -> bytes:
        self._life.check()
        return self._random.randbytes(nbytes)

    @property
    def random(self) -> random.Random:
        return self._jitter


class SimThreads:
    """Blocking work, run inline after a delay. As with real threads: once begun it is waited for, cancelled or not."""

    def __init__(self, life: Life, chances: Chances) -> None:
        self._life = life
        self._delay = chances.thread_delay_seconds
        self._random = life.random("threads")

    async def run(self, work: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        await trio.lowlevel.checkpoint()
        if limiter is None:
            return await self._run(work, *args)
        async with limiter:
            return await self._run(work, *args)

    async def _run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        if self._delay:
            with trio.CancelScope(shield=True):
                await trio.sleep(self._random.uniform(0, self._delay))
        self._life.check()
        return work(*args)
