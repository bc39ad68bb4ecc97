"""The machine: what survives a life of the daemon, and how lives follow one another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from actors.ports import Ports
from tests.simulation.disk import Disk
from tests.simulation.files import SimFiles
from tests.simulation.life import Chances, Life, Trace, Unplugged
from tests.simulation.network import Fabric, SimNetwork
from tests.simulation.programs import Programs, SimProcesses
from tests.simulation.scripts import ScriptProcesses, SimEngine
from tests.simulation.small import SimClock, SimEntropy, SimThreads
from tests.simulation.stepping import CURRENT_LIFE, StepCounter, run_deterministically, take_shields, tasks_below

FIRST_UNIX_TIME = 1_800_000_000.0
"""When the simulated machine is switched on (January 2027)."""

PAUSE_SECONDS = 1.0
"""Of Unix time between two runs: whoever restarts the daemon takes a moment."""

Main = Callable[[Ports], Awaitable[object]]


class World:
    """A machine with files, a network and programs, on which one daemon at a time lives; see the package."""

    def __init__(self, seed: int, *, chances: Chances | None = None) -> None:
        self.seed = seed
        self.chances = Chances() if chances is None else chances
        self.disk = Disk(str(seed))
        self.fabric = Fabric(self.chances)
        self.programs = Programs()
        self.scripts = ScriptProcesses()
        self.outside_life = Life(0, f"{seed}/outside", self._now)
        self.outside = self._make_ports(self.outside_life)
        """Ports for those who are not the daemon. Never unplugged."""
        self._lives = 0
        self._life: Life | None = None
        self._unix_base = FIRST_UNIX_TIME
        self._host: trio.Nursery | None = None

    # --- whole runs -------------------------------------------------------------------------------------------------

    def run(self, main: Main, *, crash_at_step: int | None = None, crash_at_effect: int | None = None) -> Trace:
        """Let ``main(ports)`` live in a trio run of its own, in virtual time; returns when it ended or crashed.

        What main raises comes out; the ports are unplugged afterwards either way.
        """
        ended_at = 0.0

        async def whole() -> Trace:
            nonlocal ended_at
            async with self.powered():
                try:
                    return await self.live(main, crash_at_step=crash_at_step, crash_at_effect=crash_at_effect)
                finally:
                    ended_at = trio.current_time()

        try:
            return run_deterministically(whole, f"{self.seed}/run/{self._lives + 1}")
        finally:
            self._unix_base += ended_at + PAUSE_SECONDS

    # --- inside a trio run ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """Processes can run. For tests that keep clients alive across lives; `run` does it by itself."""
        if self._host is not None:
            raise RuntimeError("the simulated machine is powered already")
        async with trio.open_nursery() as nursery:
            self._host = nursery
            try:
                yield
            finally:
                self._host = None
                nursery.cancel_scope.cancel()

    async def live(self, main: Main, *, crash_at_step: int | None = None, crash_at_effect: int | None = None) -> Trace:
        """One life of the daemon, in `powered`. Cancelling it is no crash: ``finally`` blocks then do what they say."""
        life = self._begin(crash_at_step, crash_at_effect)
        counter = StepCounter(life)
        scope = trio.CancelScope()
        result: object = None

        async def daemon() -> None:
            nonlocal result
            result = await main(self._make_ports(life))

        async def begin(nursery: trio.Nursery) -> None:
            nursery.start_soon(daemon)

        try:
            with scope:
                async with trio.open_nursery() as nursery:

                    def kill() -> None:
                        life.unplug()
                        for task in tasks_below(nursery):
                            take_shields(task)
                        scope.cancel()

                    life.kill = kill
                    trio.lowlevel.add_instrument(counter)
                    token = CURRENT_LIFE.set(life)
                    try:
                        await begin(nursery)
                    finally:
                        CURRENT_LIFE.reset(token)
        except BaseException as error:
            if life.plugged or not _is_death(error):
                raise
        finally:
            trio.lowlevel.remove_instrument(counter)
            crashed = not life.plugged
            life.unplug()
            self._life = None
        return Trace(
            seed=self.seed,
            outcome="crashed" if crashed else "finished",
            events=tuple(life.events),
            steps=life.steps,
            effects=life.effects,
            schedule=life.schedule_digest(),
            result=result,
        )

    def engine(self) -> SimEngine:
        """What runs scripts, for the daemon that lives now."""
        if self._life is None:
            raise RuntimeError("no daemon lives that could have workers")
        return SimEngine(self._life, self.scripts, self.chances, self._start_process)

    def crash(self) -> None:
        """Kill the daemon here and now, as SIGKILL would."""
        if self._life is not None:
            self._life.note("crash", "asked for")
            self._life.kill()

    def power_loss(self) -> None:
        """The machine loses power: the daemon dies, and so does what the disk had not yet taken."""
        self.crash()
        self.disk.power_loss()

    # --- parts ------------------------------------------------------------------------------------------------------

    def _begin(self, crash_at_step: int | None, crash_at_effect: int | None) -> Life:
        if self._host is None:
            raise RuntimeError("use `async with world.powered()` around `live`")
        if self._life is not None:
            raise RuntimeError("the daemon lives already")
        self._lives += 1
        self._life = Life(
            self._lives,
            f"{self.seed}/life/{self._lives}",
            self._now,
            crash_at_step=crash_at_step,
            crash_at_effect=crash_at_effect,
        )
        return self._life

    def _make_ports(self, life: Life) -> Ports:
        return Ports(
            clock=SimClock(life, self._unix_time),
            entropy=SimEntropy(life, self._unix_time),
            threads=SimThreads(life, self.chances),
            files=SimFiles(life, self.disk, self._unix_time),
            network=SimNetwork(life, self.fabric),
            processes=SimProcesses(life, self.programs, self.chances, self._start_process),
        )

    def _start_process(self, run: Callable[[], Awaitable[None]]) -> None:
        if self._host is None:
            raise RuntimeError("use `async with world.powered()` to run processes")
        # A process is not the daemon: its steps are not the daemon's, nor does it inherit the daemon's context.
        token = CURRENT_LIFE.set(None)
        try:
            self._host.start_soon(run)
        finally:
            CURRENT_LIFE.reset(token)

    def _now(self) -> float:
        return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0

    def _unix_time(self) -> float:
        return self._unix_base + self._now()


def _is_death(error: BaseException) -> bool:
    """Whether this is only what a killed daemon leaves behind; an ordinary error of its last moment is too."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_death(inner) for inner in error.exceptions)
    return isinstance(error, Unplugged | trio.Cancelled | Exception)
