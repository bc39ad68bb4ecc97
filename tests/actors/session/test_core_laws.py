"""Whatever happens in whatever order, the session's laws hold (see `laws`)."""

from __future__ import annotations

from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messages.hooks import HookEvent
from messages.script import ScriptMode
from tests.actors.session.scripting import ScriptedWorld
from tests.actors.session.world import World

WALK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walk(data: st.DataObject, world: World, steps: int, *, clients_in_ten: int, junk_in_ten: int = 0) -> None:
    """Some moves, each one of those that could happen."""
    for _ in range(steps):
        dice = data.draw(st.integers(0, 9))
        moves = world.moves(clients=dice < clients_in_ten, children=dice >= clients_in_ten, junk=9 - dice < junk_in_ten)
        moves[data.draw(st.integers(0, len(moves) - 1))][1]()


@WALK
@given(st.data(), st.integers(1, 40))
def test_the_laws_hold_when_clients_keep_interfering(data: st.DataObject, steps: int) -> None:
    world = World()
    walk(data, world, steps, clients_in_ten=5)
    world.close()


@WALK
@given(st.data(), st.integers(20, 80))
def test_the_laws_hold_when_turns_are_left_to_work(data: st.DataObject, steps: int) -> None:
    world = World()
    walk(data, world, steps, clients_in_ten=1)
    world.close()


@WALK
@given(st.data(), st.integers(10, 60))
def test_the_laws_hold_when_children_talk_nonsense(data: st.DataObject, steps: int) -> None:
    world = World()
    walk(data, world, steps, clients_in_ten=2, junk_in_ten=3)
    world.close()


@WALK
@given(st.data(), st.integers(20, 80))
def test_the_laws_hold_when_the_users_programs_hear_everything(data: st.DataObject, steps: int) -> None:
    world = World(hooks=frozenset(get_args(HookEvent)))
    walk(data, world, steps, clients_in_ten=2, junk_in_ten=1)
    world.close()


@WALK
@given(st.data(), st.integers(20, 90), st.sampled_from(["enabled", "dry-run"]))
def test_the_laws_hold_when_models_write_scripts(data: st.DataObject, steps: int, mode: ScriptMode) -> None:
    world = ScriptedWorld(mode)
    walk(data, world, steps, clients_in_ten=1)
    world.close()


@WALK
@given(st.data(), st.integers(20, 70))
def test_scripts_end_whoever_interferes(data: st.DataObject, steps: int) -> None:
    world = ScriptedWorld()
    walk(data, world, steps, clients_in_ten=4, junk_in_ten=1)
    world.close()
