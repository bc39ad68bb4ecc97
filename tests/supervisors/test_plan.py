"""The plan alone: no task, no clock. Hypothesis plays the children, time, and whoever asks the supervisor to end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.kernel import Ending
from supervisors.child import ChildSpec
from supervisors.errors import EscalationError, StartError, StuckError
from supervisors.plan import (
    Action,
    AskChild,
    CancelChild,
    Finish,
    Phase,
    Plan,
    RemoveChild,
    ReportRestart,
    ReportStuck,
    SayStarted,
    StartChild,
)
from supervisors.strategy import AutoShutdown, Backoff, Restart, RestartIntensity, Strategy
from tests.actors.kernel.support import waiting_actor

INTENSITY, PERIOD = 3, 5.0


def new_plan(
    strategy: Strategy, *restarts: Restart, auto_shutdown: AutoShutdown = "never", significant: bool = False
) -> Plan:
    """Children "0", "1", … of these restart types."""
    return Plan(
        supervisor="sup",
        specs=[
            ChildSpec(
                id=str(number),
                start=waiting_actor(),
                restart=restart,
                significant=significant and restart != "permanent",
            )
            for number, restart in enumerate(restarts)
        ],
        strategy=strategy,
        intensity=RestartIntensity(INTENSITY, PERIOD),
        backoff=Backoff(jitter=0),
        auto_shutdown=auto_shutdown,
        rng=random.Random(1),
    )


def running(plan: Plan) -> Plan:
    """All started, at time 0."""
    plan.begin(0)
    for id_ in plan._slots:
        plan.started(id_, 0)
    return plan


CRASH = ValueError("boom")


def test_children_start_in_order_each_when_the_one_before_has_started() -> None:
    plan = new_plan(Strategy.ONE_FOR_ONE, "permanent", "permanent")
    assert plan.begin(0) == [StartChild("0")]
    assert plan.tick(1) == []
    assert plan.started("0", 2) == [StartChild("1")]
    assert plan.started("1", 3) == [SayStarted()]


def test_a_supervisor_without_children_has_started_at_once() -> None:
    assert new_plan(Strategy.ONE_FOR_ONE).begin(0) == [SayStarted()]


def test_a_failed_first_start_stops_in_reverse_what_had_started_and_fails_the_supervisor() -> None:
    plan = new_plan(Strategy.ONE_FOR_ONE, "permanent", "permanent", "permanent")
    plan.begin(0)
    plan.started("0", 0)
    plan.started("1", 0)
    assert plan.ended("2", Ending.CRASHED, CRASH, 1) == [AskChild("1", 5.0)]
    assert plan.ended("1", Ending.STOPPED, None, 1) == [AskChild("0", 5.0)]
    [finish] = plan.ended("0", Ending.STOPPED, None, 1)
    assert isinstance(finish, Finish)
    assert isinstance(finish.error, StartError)
    assert finish.error.__cause__ is CRASH
    assert str(finish.error) == "'sup' could not start its child '2': ValueError: boom"


def test_one_for_one_restarts_the_crashed_child_alone_after_its_backoff() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent", "permanent", "permanent"))
    assert plan.ended("1", Ending.CRASHED, CRASH, 10) == [ReportRestart("1", 0.1)]
    assert plan.next_due(10) == 10.1
    assert plan.tick(10.05) == []
    assert plan.tick(10.1) == [StartChild("1")]
    assert plan.started("1", 10.2) == []


def test_rest_for_one_stops_the_later_ones_in_reverse_and_starts_them_all_in_order() -> None:
    plan = running(new_plan(Strategy.REST_FOR_ONE, "permanent", "permanent", "permanent", "temporary"))
    assert plan.ended("1", Ending.CRASHED, CRASH, 10) == [ReportRestart("1", 0.1), AskChild("3", 5.0)]
    assert plan.ended("3", Ending.STOPPED, None, 10) == [RemoveChild("3"), AskChild("2", 5.0)]
    assert plan.ended("2", Ending.STOPPED, None, 10) == []
    assert plan.tick(10.1) == [StartChild("1")]
    assert plan.started("1", 10.2) == [StartChild("2")]
    assert plan.started("2", 10.3) == []


def test_one_for_all_stops_everybody_and_starts_everybody() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ALL, "permanent", "permanent", "permanent"))
    assert plan.ended("1", Ending.CRASHED, CRASH, 10) == [ReportRestart("1", 0.1), AskChild("2", 5.0)]
    assert plan.ended("2", Ending.STOPPED, None, 10) == [AskChild("0", 5.0)]
    assert plan.ended("0", Ending.STOPPED, None, 11) == [StartChild("0")]
    assert plan.started("0", 11) == [StartChild("1")]
    assert plan.started("1", 11) == [StartChild("2")]


def test_a_failed_restart_is_tried_again_later_each_time_counted() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent"))
    assert plan.ended("0", Ending.CRASHED, CRASH, 10) == [ReportRestart("0", 0.1)]
    assert plan.tick(10.1) == [StartChild("0")]
    assert plan.ended("0", Ending.CRASHED, CRASH, 10.1) == [ReportRestart("0", 0.2)]
    assert plan.tick(10.3) == [StartChild("0")]
    assert plan.ended("0", Ending.CRASHED, CRASH, 10.3) == [ReportRestart("0", 0.4)]
    assert plan.tick(11) == [StartChild("0")]
    [finish] = plan.ended("0", Ending.CRASHED, CRASH, 11)
    assert isinstance(finish, Finish)
    assert isinstance(finish.error, EscalationError)
    assert [failure.at for failure in finish.error.history] == [10, 10.1, 10.3, 11]
    assert finish.error.__cause__ is CRASH


def test_a_shutdown_that_arrives_while_a_restart_waits_is_served_at_once() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent", "permanent"))
    plan.ended("1", Ending.CRASHED, CRASH, 10)
    assert plan.stop(10.01) == [AskChild("0", 5.0)]
    assert plan.ended("0", Ending.STOPPED, None, 10.02) == [Finish(None)]
    assert plan.tick(20) == []


def test_backoff_starts_anew_after_a_healthy_life() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent"))
    now, delays = 0.0, []
    for life in (10, 10, 60, 10):
        [restart] = plan.ended("0", Ending.CRASHED, CRASH, now := now + life)
        assert isinstance(restart, ReportRestart)
        delays.append(restart.seconds)
        plan.tick(now := now + restart.seconds)
        plan.started("0", now)
    assert delays == [0.1, 0.2, 0.1, 0.2]


@pytest.mark.parametrize(
    ("auto_shutdown", "finishes_after"), [("never", None), ("any_significant", "1"), ("all_significant", "2")]
)
def test_significant_children_end_their_supervisor(auto_shutdown: AutoShutdown, finishes_after: str | None) -> None:
    plan = running(
        new_plan(
            Strategy.ONE_FOR_ONE, "permanent", "transient", "temporary", auto_shutdown=auto_shutdown, significant=True
        )
    )
    for id_ in ("1", "2"):
        actions = plan.ended(id_, Ending.RETURNED, None, 1)
        assert any(isinstance(action, AskChild) for action in actions) == (id_ == finishes_after)
        if id_ == finishes_after:
            break


def test_a_stop_asks_then_cancels_then_reports_and_goes_on_with_the_next() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent", "permanent"))
    assert plan.stop(0) == [AskChild("1", 5.0)]
    assert plan.next_due(0) == 5.0
    assert plan.tick(5) == [CancelChild("1")]
    assert plan.tick(10) == [ReportStuck("1"), AskChild("0", 5.0)]
    assert plan.ended("0", Ending.STOPPED, None, 10) == [Finish(None)]
    assert plan.stuck == ("1",)


def test_one_that_cannot_be_asked_has_only_the_cancel_grace() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ONE, "permanent"))
    plan.stop(0)
    plan.cancelled("0", 0)
    assert plan.tick(5) == [ReportStuck("0"), Finish(None)]


def test_a_child_that_is_stuck_while_a_restart_needs_it_gone_fails_the_supervisor() -> None:
    plan = running(new_plan(Strategy.ONE_FOR_ALL, "permanent", "permanent", "permanent"))
    plan.ended("0", Ending.CRASHED, CRASH, 0)
    assert plan.tick(5) == [CancelChild("2")]
    assert plan.tick(10) == [ReportStuck("2"), AskChild("1", 5.0)]
    [finish] = plan.ended("1", Ending.STOPPED, None, 11)
    assert isinstance(finish, Finish)
    assert isinstance(finish.error, StuckError)


def test_two_children_of_one_id_are_refused() -> None:
    spec = ChildSpec(id="0", start=waiting_actor())
    with pytest.raises(ValueError, match="two children of one id"):
        Plan(
            supervisor="sup",
            specs=[spec, spec],
            strategy=Strategy.ONE_FOR_ONE,
            intensity=RestartIntensity(1, 1),
            backoff=Backoff(),
            auto_shutdown="never",
            rng=random.Random(1),
        )


class World:
    """Plays a plan's children and checks every action against the rules."""

    def __init__(self, plan: Plan, strategy: Strategy, restarts: list[Restart]) -> None:
        self.plan = plan
        self.strategy = strategy
        self.restarts = restarts
        self.now = 0.0
        self.alive: dict[str, str] = {}
        """Phase as the world sees it: starting, running, asked, cancelled."""
        self.restarted: list[float] = []
        self.said_started = False
        self.finished: Finish | None = None

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.finished is None, "nothing happens after the end"
            match action:
                case StartChild(id=id_):
                    assert id_ not in self.alive, "one life at a time"
                    if self.strategy is not Strategy.ONE_FOR_ONE or not self.said_started:
                        assert "starting" not in self.alive.values() or self.strategy is Strategy.ONE_FOR_ONE
                    if self.strategy is not Strategy.ONE_FOR_ONE:
                        later = [other for other in self.alive if int(other) > int(id_)]
                        assert not later, "where children depend on each other they start in order"
                    self.alive[id_] = "starting"
                case AskChild(id=id_) | CancelChild(id=id_):
                    kind = "asked" if isinstance(action, AskChild) else "cancelled"
                    assert id_ in self.alive
                    ending = [other for other in self.alive if self.alive[other] in ("asked", "cancelled")]
                    assert all(self.plan.phase(other) is Phase.STUCK for other in ending if int(other) > int(id_))
                    self.alive[id_] = kind
                case ReportRestart():
                    self.restarted.append(self.now)
                case SayStarted():
                    assert not self.said_started
                    self.said_started = True
                case Finish():
                    assert all(self.plan.phase(id_) is Phase.STUCK for id_ in self.alive), "it leaves none behind"
                    self.finished = action
                case RemoveChild() | ReportStuck():
                    pass
        for at in self.restarted:
            assert len([other for other in self.restarted if at - PERIOD <= other <= at]) <= INTENSITY
        due = self.plan.next_due(self.now)
        assert due is None or due > self.now, "a shell that slept until then would spin"

    def step(self, choice: int, child: int, seconds: float) -> None:
        ids = sorted(self.alive)
        id_ = ids[child % len(ids)] if ids else None
        match choice:
            case 0:
                self.now += seconds
                self.do(self.plan.tick(self.now))
            case 1 if id_ is not None and self.alive[id_] == "starting":
                self.alive[id_] = "running"
                self.do(self.plan.started(id_, self.now))
            case 2 if id_ is not None:
                del self.alive[id_]
                self.do(self.plan.ended(id_, Ending.CRASHED, CRASH, self.now))
            case 3 if id_ is not None:
                asked = self.alive.pop(id_) in ("asked", "cancelled")
                self.do(self.plan.ended(id_, Ending.STOPPED if asked else Ending.RETURNED, None, self.now))
            case 4 if id_ is not None and self.alive[id_] == "asked":
                self.alive[id_] = "cancelled"
                self.plan.cancelled(id_, self.now)
            case 5 if seconds > 9:
                self.do(self.plan.stop(self.now))
            case _:
                pass


@given(
    st.sampled_from(Strategy),
    st.lists(st.sampled_from(["permanent", "transient", "temporary"]), max_size=4),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(0, 10)), max_size=60),
)
@settings(deadline=None, max_examples=300)
def test_no_sequence_of_events_breaks_a_rule(
    strategy: Strategy, restarts: list[Restart], steps: list[tuple[int, int, float]]
) -> None:
    plan = new_plan(strategy, *restarts)
    world = World(plan, strategy, restarts)
    world.do(plan.begin(0))
    for choice, child, seconds in steps:
        if world.finished is not None:
            break
        world.step(choice, child, seconds)
    # Whatever happened before: asked to end, and with children that end when cancelled, it ends.
    if world.finished is None:
        world.do(plan.stop(world.now))
    for _ in range(100):
        if world.finished is not None:
            break
        for id_ in [other for other, kind in world.alive.items() if kind == "cancelled"]:
            del world.alive[id_]
            world.do(plan.ended(id_, Ending.STOPPED, None, world.now))
        due = plan.next_due(world.now)
        if due is not None and world.finished is None:
            world.now = due
            world.do(plan.tick(due))
    assert world.finished is not None
