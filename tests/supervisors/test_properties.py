"""Whole trees with random lives, random starts and stops: what must hold whatever happens."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.kernel import Context, Down, Mailbox, Report, Shutdown, Start, System, open_mailbox, watch
from supervisors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    EscalationError,
    Restart,
    StartError,
    Strategy,
    Supervisor,
    open_tree,
)
from tests.supervisors.support import Life

INTENSITY, PERIOD = 2, 5.0

lives = st.builds(
    Life,
    init=st.sampled_from([0, 0, 0.5]),
    runs=st.sampled_from([None, 0, 0.3, 2, 7]),
    ends=st.sampled_from(["crashes", "crashes", "returns", "crashes_in_init", "returns_in_init"]),
    polite_after=st.sampled_from([None, 0, 1, 20]),
    ignores_cancel_for=st.sampled_from([0, 0, 1]),
)
scripts = st.lists(lives, min_size=1, max_size=4)


@dataclass
class Observed:
    """Counted by the children and their watcher."""

    running: int = 0
    watched: Counter[int] = field(default_factory=Counter)
    down: Counter[int] = field(default_factory=Counter)
    restarts: list[tuple[float, str]] = field(default_factory=list)


def child(observed: Observed, watcher: Mailbox[Down], script: list[Life]) -> Start[None]:
    """Goes through its script, then waits for ever; each of its lives is watched twice."""
    todo = list(script)

    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[None]) -> None:
        life = todo.pop(0) if todo else Life()
        mailbox: Mailbox[Down] = ctx.open_mailbox()
        for _ in range(2):
            watch(mailbox.address, to=watcher.address)
            observed.watched[mailbox.incarnation] += 1
        observed.running += 1
        asked: Mailbox[Shutdown] = ctx.open_mailbox()
        if life.polite_after is not None:
            ctx.shutdown_to(asked.address)
        try:
            await trio.sleep(life.init)
            if life.ends == "crashes_in_init":
                raise ValueError("in init")
            if life.ends == "returns_in_init":
                return
            task_status.started()
            with trio.move_on_after(float("inf") if life.runs is None else life.runs) as timer:
                await asked.receive()
                await trio.sleep(life.polite_after or 0)
            if timer.cancelled_caught and life.ends == "crashes":
                raise ValueError("crash")
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(life.ignores_cancel_for)
            observed.running -= 1

    return run


def new_system(seed: int, observed: Observed) -> System:
    """Every restart is written down when it is decided."""
    system = System(random=random.Random(seed), strict=True)

    def observe(report: Report) -> None:
        if report.context == "restarting":
            observed.restarts.append((trio.current_time(), report.offender))

    system.reports.observe(observe)
    return system


def check(observed: Observed, watcher: Mailbox[Down], *, per_child: bool) -> None:
    """Nothing runs, each watch had its one Down, and no period saw more restarts than the intensity allows."""
    while batch := watcher.receive_nowait():
        observed.down.update(down.incarnation for down, _ in batch)
    assert observed.running == 0
    assert observed.down == observed.watched
    for id_ in {offender for _, offender in observed.restarts}:
        times = [at for at, offender in observed.restarts if offender == id_ or not per_child]
        for start in times:
            assert len([at for at in times if start <= at <= start + PERIOD]) <= INTENSITY


@given(
    strategy=st.sampled_from(Strategy),
    children=st.lists(st.tuples(st.sampled_from(["permanent", "transient", "temporary"]), scripts), max_size=4),
    stop_after=st.floats(0, 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_no_fixed_tree_leaves_a_task_exceeds_its_intensity_or_miscounts_a_down(
    strategy: Strategy, children: list[tuple[Restart, list[Life]]], stop_after: float, seed: int
) -> None:
    async def main() -> None:
        observed = Observed()
        system = new_system(seed, observed)
        watcher: Mailbox[Down] = open_mailbox("watcher", system=system)
        supervisor = Supervisor(
            children=[
                ChildSpec(id=str(number), start=child(observed, watcher, script), restart=restart)
                for number, (restart, script) in enumerate(children)
            ],
            strategy=strategy,
            intensity=INTENSITY,
            period=PERIOD,
        )
        before = trio.lowlevel.current_statistics().tasks_living
        try:
            with trio.move_on_after(stop_after):
                async with open_tree(supervisor.run, system=system):
                    await trio.sleep_forever()
        except (StartError, EscalationError):
            pass
        check(observed, watcher, per_child=False)
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(main, clock=MockClock(autojump_threshold=0))


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("start"), st.integers(0, 3), scripts),
            st.tuples(st.just("terminate"), st.integers(0, 3), st.none()),
            st.tuples(st.just("sleep"), st.integers(0, 3), st.none()),
        ),
        max_size=14,
    ),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_no_dynamic_tree_leaves_a_task_exceeds_an_intensity_or_miscounts_a_down(
    steps: list[tuple[str, int, list[Life] | None]], seed: int
) -> None:
    async def main() -> None:
        observed = Observed()
        system = new_system(seed, observed)
        watcher: Mailbox[Down] = open_mailbox("watcher", system=system)
        dynamic = DynamicSupervisor(
            restart="transient", intensity=INTENSITY, period=PERIOD, backoff=Backoff(first_seconds=0.2)
        )
        before = trio.lowlevel.current_statistics().tasks_living

        async def do(index: int, step: str, number: int, script: list[Life] | None) -> None:
            ids = dynamic.child_ids()
            match step:
                case "start":
                    # Each start its own id: a child that was given up may be started anew, with a new account.
                    with suppress(StartError):
                        await dynamic.start_child(f"c{index}", child(observed, watcher, script or []))
                case "terminate" if ids:
                    await dynamic.terminate_child(ids[number % len(ids)])
                case _:
                    pass

        async with open_tree(dynamic.run, system=system), trio.open_nursery() as nursery:
            for index, (step, number, script) in enumerate(steps):
                if step == "sleep":
                    await trio.sleep(number)
                nursery.start_soon(do, index, step, number, script)
        check(observed, watcher, per_child=True)
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(main, clock=MockClock(autojump_threshold=0))
