"""A few trials of each scenario, and proof that the laws would notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from actors.sandbox_pool.past import Past, read_past
from actors.session.feed import Feed
from actors.session.step import Step
from messages.log import Record, ToolStarted
from messages.script import CallStarted, ScriptEvent, ScriptPumped
from messages.session import ItemCompleted, SessionEvent
from supervisors.daemon import HomeUnusableError
from tests.protocol_schema import check_server_frame
from tests.simulation.scripts import SimWorker
from tests.system.simulation.machine import Machine
from tests.system.simulation.plans import plans
from tests.system.simulation.scenarios import SCENARIOS, Scenario
from tests.system.simulation.trial import Cut, Outcome, Plan, rehearse, run

DEATHS = 6
"""Of each scenario, each under a seed of its own: a sample of `python -m tests.system.simulation`."""

BUILD, CAREFUL, TALK, SCRIPT = (
    next(each for each in SCENARIOS if each.name == name) for name in ("build", "careful", "talk", "script")
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_law_is_broken_wherever_the_daemon_dies(scenario: Scenario) -> None:
    seed = 1000 + SCENARIOS.index(scenario)
    rehearsal = rehearse(seed, scenario)
    outcomes = [rehearsal, *map(run, plans(seed, rehearsal, DEATHS))]
    broken = [f"{outcome.plan}: {words}" for outcome in outcomes for words in outcome.complaints]
    assert not broken, "\n".join(broken)


def test_a_plan_is_reproducible_down_to_every_step_and_frame() -> None:
    plan = Plan(seed=7, scenario=CAREFUL, cuts=(Cut(at="step", number=300, power_loss=True),))
    assert run(plan).digest == run(plan).digest
    assert run(plan).digest != rehearse(7, CAREFUL).digest


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        yield from leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


def test_a_first_start_on_a_disk_that_fills_up_is_refused_in_words() -> None:
    refused = []
    for room in range(0, 400, 20):
        machine = Machine(1)
        used = sum(len(node.data) for node in set(machine.world.disk.names.values()))
        machine.world.disk.capacity = used + room
        machine.over = True
        machine.stop.set()
        try:
            machine.world.run(machine.daemon)
        except* HomeUnusableError as group:
            refused += [str(error) for error in leaves(group)]
    assert len(set(refused)) > 1, "at more than one place"
    assert all("cannot work in /home/callboard (No space left on device" in words for words in refused)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["careful", "background", "steered", "shaky model", "careful script"])
def test_every_frame_of_an_undisturbed_life_is_one_a_client_may_be_sent(name: str) -> None:
    outcome = rehearse(3, next(each for each in SCENARIOS if each.name == name))
    for person in outcome.people:
        for heard in person.heard:
            check_server_frame(heard.frame, answering=heard.answering)


# --- what the laws would notice ---------------------------------------------------------------------------------


def complaints(outcome: Outcome) -> str:
    return "\n".join(outcome.complaints)


def test_a_log_without_barriers_is_noticed() -> None:
    found = complaints(run(Plan(seed=1, scenario=BUILD), config='durability = "relaxed"\n'))
    assert "was shown before turn/completed, and power loss would take it" in found
    assert "started, and power loss would take the record of that" in found


def test_a_tool_that_starts_unrecorded_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Step.log

    def forgetful(self: Step, *records: Record, barrier: bool = False) -> None:
        log(self, *(record for record in records if not isinstance(record, ToolStarted)), barrier=barrier)

    monkeypatch.setattr(Step, "log", forgetful)
    assert "ran, and the log does not say so" in complaints(
        run(Plan(seed=1, scenario=BUILD, cuts=(Cut(at="stop", number=400),)))
    )


def test_a_scripts_call_that_is_made_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(log: Iterable[ScriptEvent]) -> Past:
        return read_past(event for event in log if not isinstance(event, CallStarted))

    monkeypatch.setattr("actors.sandbox_pool.driver.read_past", forgetful)
    found = complaints(run(Plan(seed=1, scenario=SCRIPT, cuts=(Cut(at="step", number=800),))))
    assert "ran twice in one turn" in found
    assert "was started 2 times" in found


def test_a_replay_that_goes_another_way_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the ends of calls are remembered, not the order in which they were told."""

    def forgetful(log: Iterable[ScriptEvent]) -> Past:
        return read_past(event for event in log if not isinstance(event, ScriptPumped))

    monkeypatch.setattr("actors.sandbox_pool.driver.read_past", forgetful)
    assert "went another way" in complaints(run(Plan(seed=1, scenario=SCRIPT, cuts=(Cut(at="step", number=900),))))


def test_a_script_that_outlives_its_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimWorker, "kill", lambda self: None)
    assert "a script of it still runs" in complaints(run(Plan(seed=1, scenario=SCRIPT)))


def test_text_that_is_never_checkpointed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.rollout_writer.actor.CHECKPOINT_SECONDS", 60.0)
    lost = [run(Plan(seed=1, scenario=TALK, cuts=(Cut(at="step", number=number),))) for number in (180, 200, 220)]
    assert any("never completes: the thread does not know it" in complaints(outcome) for outcome in lost)


def test_an_item_that_completes_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    put = Feed.put

    def stutter(self: Feed, event: SessionEvent, *, ordinal: int) -> int:
        if isinstance(event, ItemCompleted):
            put(self, event, ordinal=ordinal)
        return put(self, event, ordinal=ordinal)

    monkeypatch.setattr(Feed, "put", stutter)
    assert "twice" in complaints(run(Plan(seed=1, scenario=TALK)))


def test_a_daemon_that_surprises_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("actors.session.turns.advance", broken)
    assert "ZeroDivisionError" in complaints(run(Plan(seed=1, scenario=TALK)))
