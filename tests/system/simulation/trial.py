"""One trial: people use a daemon, which is killed at given points and started again over what is left.

`rehearse` runs a seed without a death and tells where its life may be cut; `run` runs a plan. Both are functions of
their arguments: the same plan gives the same digest, which is over every effect, every task step and every frame.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import msgspec
import trio

from tests.simulation import Trace
from tests.simulation.stepping import run_deterministically
from tests.system.simulation import laws
from tests.system.simulation.defects import Striker
from tests.system.simulation.laws import Death, Promise
from tests.system.simulation.machine import NOTES, WORKSPACE, Machine, powered
from tests.system.simulation.person import Person
from tests.system.simulation.scenarios import Scenario, people_of
from tests.system.simulation.sites import SiteRecorder

TRIAL_SECONDS = 600.0
"""Of virtual time. The longest scenario needs 20; what needs so much more hangs."""

EFFECT = "effect: "
"""Before the name of an effect, among the places where a daemon died."""

LEAF_FRAMES = 4
"""Of an error that ends a trial: where it was raised; the way there is the same each time."""

DOWN_SECONDS = 0.2
"""Between a death and the next life."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a life ends. ``number`` counts from 1; a life that has fewer is not cut.

    step, effect: it is killed there. stop: it is asked to stop in order, after so many milliseconds.
    """

    at: Literal["step", "effect", "stop"]
    number: int
    power_loss: bool = False

    def __str__(self) -> str:
        return f"{self.at} {self.number}{' with power loss' if self.power_loss else ''}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a trial depends on."""

    seed: int
    scenario: Scenario
    cuts: tuple[Cut, ...] = ()
    defect: int | None = None
    """After this step of the first life an error is raised in an actor, where it waits (`defects`)."""

    def __str__(self) -> str:
        events = [*map(str, self.cuts), *([] if self.defect is None else [f"a defect after step {self.defect}"])]
        return f"seed {self.seed}, {self.scenario.name}: {', then '.join(events) or 'no death'}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial."""

    plan: Plan
    complaints: tuple[str, ...]
    digest: str
    lives: tuple[Trace, ...]
    seconds: float
    """Of virtual time that all lives took."""
    sites: tuple[str, ...]
    """Where each step of the first life rested, if asked for."""
    deaths: tuple[str, ...]
    """Where the daemon rested, or what it was about to do, when it was killed."""
    struck: str
    """In which function a defect struck."""
    people: tuple[Person, ...]


def rehearse(seed: int, scenario: Scenario) -> Outcome:
    """A trial without a death, and where each step of its life rests."""
    return run(Plan(seed=seed, scenario=scenario), record_sites=True)


def run(plan: Plan, *, record_sites: bool = False, config: str = "") -> Outcome:
    """Run a plan to its end. ``config``: lines in front of the daemon's config file."""
    machine = Machine(plan.seed, chances=plan.scenario.chances, config=config + plan.scenario.config)
    recorder = SiteRecorder(1) if record_sites else None
    with _listening(machine):
        trial = _Trial(plan, machine, recorder)
        try:
            run_deterministically(trial.run, f"{plan.seed}/trial")
        except BaseException as error:  # whatever it is, it belongs in the report with the plan that led to it
            if isinstance(error, KeyboardInterrupt):
                raise
            machine.complain(f"the trial broke off: {trial.where()}\n{_leaves(error)}")
    return Outcome(
        plan=plan,
        complaints=tuple(machine.complaints),
        digest=trial.digest(),
        lives=tuple(trial.lives),
        seconds=trial.seconds,
        sites=tuple(recorder.sites) if recorder is not None else (),
        deaths=tuple(trial.died_at),
        struck=machine.struck.rpartition(" in ")[2],
        people=trial.people,
    )


class _Trial:
    def __init__(self, plan: Plan, machine: Machine, recorder: SiteRecorder | None) -> None:
        self.lives: list[Trace] = []
        self.seconds = 0.0
        self.died_at: list[str] = []
        self.people: tuple[Person, ...] = ()
        self._plan = plan
        self._striker = None if plan.defect is None else Striker(plan.defect, machine)
        self._machine = machine
        self._recorder = recorder
        self._deaths: list[Death] = []
        self._kept: dict[str, list[Promise]] = {}

    async def run(self) -> None:
        with trio.fail_after(TRIAL_SECONDS):
            async with powered(self._machine) as nursery:
                self.people = people_of(self._plan.scenario, self._machine)
                if self._plan.scenario.resets:
                    dice = self._machine.world.outside_life.random("resets")
                    nursery.start_soon(
                        self._machine.cut_connections, lambda: dice.uniform(0.05, 0.8), self._plan.scenario.resets
                    )
                if self._plan.scenario.full_disks:
                    fullness = self._machine.world.outside_life.random("full disk")
                    nursery.start_soon(
                        self._machine.fill_disk, lambda: fullness.uniform(0.02, 0.6), self._plan.scenario.full_disks
                    )
                nursery.start_soon(self._see_people_through)
                for cut in (*self._plan.cuts, None):
                    if not await self._live(cut):
                        break
        last = Death(life=self._machine.life, at=self.seconds, power_loss=False, in_order=True)
        laws.check_files(self._machine, self.people, last)
        laws.check_end(self._machine, self.people, self._deaths, self._kept)
        if not self._plan.cuts and not self._machine.struck:
            self._check_undisturbed()

    async def _see_people_through(self) -> None:
        async with trio.open_nursery() as nursery:
            for person in self.people:
                nursery.start_soon(person.live)
        self._machine.over = True
        self._machine.stop.set()

    async def _stop_after(self, seconds: float) -> None:
        stop = self._machine.stop
        await trio.sleep(seconds)
        self._note_attached()
        stop.set()

    def _note_attached(self) -> None:
        self._machine.asked_to_stop_at = trio.current_time()
        for person in self.people:
            person.attached_at_stop = person.attached and not self._plan.scenario.slow

    async def _live(self, cut: Cut | None) -> bool:
        """One life. False if it was the last: the daemon stopped in order."""
        machine = self._machine
        machine.life += 1
        machine.stop = trio.Event()
        if machine.over:
            machine.stop.set()
        trace = await self._until_cut(cut)
        self.lives.append(trace)
        self.seconds = trio.current_time()
        if trace.outcome == "finished" and machine.over:
            return False
        ended = trio.current_time()
        machine.lives_cut += 1
        if trace.outcome == "crashed" and cut is not None and cut.at == "effect":
            self.died_at.append(_effect_of(trace))
        power_loss = trace.outcome == "crashed" and cut is not None and cut.power_loss
        death = Death(life=machine.life, at=ended, power_loss=power_loss, in_order=trace.outcome == "finished")
        if power_loss:
            machine.world.power_loss()
        # What was under way to the clients was shown: they read it from their sockets.
        await trio.sleep(DOWN_SECONDS)
        for person in self.people:
            if power_loss:
                self._kept.pop(person.name, None)
            self._kept.setdefault(person.name, []).extend(laws.promises(person, death))
        laws.check_files(machine, self.people, death)
        self._deaths.append(death)
        return True

    async def _until_cut(self, cut: Cut | None) -> Trace:
        machine, recorder = self._machine, self._recorder
        if cut is not None and cut.at == "step":
            recorder = SiteRecorder(machine.life, only=cut.number)
        if recorder is not None:
            trio.lowlevel.add_instrument(recorder)
        if self._striker is not None and machine.life == 1:
            trio.lowlevel.add_instrument(self._striker)
        async with trio.open_nursery() as nursery:
            if cut is not None and cut.at == "stop":
                nursery.start_soon(self._stop_after, cut.number / 1000)
            trace = await machine.world.live(
                machine.daemon,
                crash_at_step=cut.number if cut is not None and cut.at == "step" else None,
                crash_at_effect=cut.number if cut is not None and cut.at == "effect" else None,
            )
            nursery.cancel_scope.cancel()
        if recorder is not None:
            trio.lowlevel.remove_instrument(recorder)
            if recorder is not self._recorder:
                self.died_at += recorder.sites
        return trace

    def _check_undisturbed(self) -> None:
        """Without a death everything that was wanted was done."""
        machine, wanted = self._machine, self._plan.scenario.commands
        ran = sorted(executed.command for executed in machine.executed)
        # A command is shown before it starts: an interrupt may come between the two.
        left_out = set(wanted or ()) - set(ran) if self._plan.scenario.interrupts else set()
        if wanted is not None and ran != sorted(set(wanted) - left_out):
            machine.complain(f"what ran is {ran}, not {sorted(wanted)}")
        if wanted is not None and "work whole 0.1" in wanted:
            notes = machine.world.disk.get(f"{WORKSPACE}/notes.txt")
            if notes != NOTES.replace(b"no", b"yes"):
                machine.complain(f"the patch was not applied: {notes!r}")

    def where(self) -> str:
        """What everybody is doing."""
        doing = "; ".join(f"{person.name} is {person.step}" for person in self.people if not person.done.is_set())
        return f"life {self._machine.life}, {doing or 'everybody is done'}"

    def digest(self) -> str:
        """Of everything that happened."""
        found = hashlib.blake2b(digest_size=16)
        for trace in self.lives:
            found.update(repr((trace.outcome, trace.events, trace.steps, trace.effects, trace.schedule)).encode())
        found.update(repr(self._machine.world.outside_life.events).encode())
        for person in self.people:
            found.update(msgspec.json.encode([(each.at, each.life, each.frame) for each in person.heard]))
        return found.hexdigest()


def _leaves(error: BaseException) -> str:
    """The errors themselves, without the nurseries around them."""
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(map(_leaves, error.exceptions))
    if isinstance(error, trio.TooSlowError):
        return f"nothing more happened in {TRIAL_SECONDS:g} seconds"
    return "".join(traceback.format_exception(error, limit=-LEAF_FRAMES, chain=False))


def _effect_of(trace: Trace) -> str:
    """The kind of the effect before which the daemon died."""
    crash = next(event for event in trace.events if event.kind == "crash")
    return EFFECT + crash.detail.partition(": ")[2].partition(" ")[0]


@contextmanager
def _listening(machine: Machine) -> Iterator[None]:
    """What the daemon reports as an error breaks a law: nothing here should surprise it."""

    class Complaining(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if machine.has_room.is_set() and not machine.struck:
                machine.complain(f"the daemon logs {record.levelname} {record.name}: {self.format(record)}")

    handler = Complaining(level=logging.ERROR)
    root = logging.getLogger()
    last, logging.lastResort = logging.lastResort, None
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        logging.lastResort = last
