"""A thread that is loaded from any beginning of its log goes on lawfully, whatever was happening when the log ended."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.rollout_writer.lines import encode
from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.projection import project
from actors.rollout_writer.recovery import Recovery, recover
from actors.rollout_writer.transcript import Transcript
from actors.rollout_writer.validity import validate_history
from actors.session.effects import StartTool
from actors.session.restore import restored
from actors.session.state import Offer
from messages.log import ApprovalAnswered, ApprovalAsked, Record, ResponseItem, SessionMeta, TurnClosed
from messages.session import StartTurn
from tests.actors.session.made import SETTINGS, THREAD, instant, words
from tests.actors.session.world import World

META = SessionMeta(
    thread_id=THREAD,
    created_at=1.0,
    cwd="/w",
    source="test",
    originator="test",
    cli_version="0",
    settings=SETTINGS,
)
WALK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read_back(records: list[Record], count: int) -> tuple[LoadedThread, Recovery]:
    """The thread of the first so many of these records, cut between the two of an item if need be."""
    lines = encode([META, *records], thread_id=THREAD, first_ordinal=0, at=1.0)
    loaded = project(b"".join(lines[: count + 1]))
    return loaded, recover(loaded, at=100.0)


def world_of(records: list[Record], loaded: LoadedThread, recovery: Recovery) -> World:
    """A world around the restored session, whose laws know what the log says."""
    state, effects = restored(loaded, recovery, ids="j", offer=Offer(), path="/p", at=instant(100.0))
    world = World(state)
    world.count = 1000
    laws = world.laws
    laws.logged = [*records, *recovery.records]
    laws.transcript = Transcript.resume(loaded.transcript)
    for record in recovery.records:
        if isinstance(record, ResponseItem):
            laws.transcript.add(record.item, record.response_id)
        elif isinstance(record, TurnClosed):
            laws.transcript.settle()
    if state.turn is None:
        laws.transcript.settle()
    laws.asked = {record.approval.id for record in laws.logged if isinstance(record, ApprovalAsked)}
    laws.answered = {record.approval_id for record in laws.logged if isinstance(record, ApprovalAnswered)}
    laws.status = state.shown_status
    for turn in state.turns:
        laws.turns_ended.add(turn.id)
        for item in turn.items:
            laws.started[item.id] = (turn.id, item)
            laws.completed[item.id] = item
    if state.turn is not None:
        laws.turn = state.turn.id
        open_ids = {call.shown.id for call in state.turn.calls if call.shown is not None and call.output is None}
        for item in state.turn.items:
            laws.started[item.id] = (state.turn.id, item)
            if item.id not in open_ids:
                laws.completed[item.id] = item
        world.questions = [call.approval.id for call in state.turn.calls if call.approval is not None]
    laws.check(effects, state)
    for effect in effects:
        world._do(effect)
    assert {effect.child for effect in effects if isinstance(effect, StartTool)} == set(world.workers)
    return world


def walk(data: st.DataObject, world: World, steps: int) -> None:
    for _ in range(steps):
        dice = data.draw(st.integers(0, 9))
        moves = world.moves(clients=dice < 2, children=dice >= 2)
        moves[data.draw(st.integers(0, len(moves) - 1))][1]()


@WALK
@given(st.data(), st.integers(5, 60))
def test_a_thread_goes_on_lawfully_from_any_prefix_of_its_log(data: st.DataObject, steps: int) -> None:
    first = World()
    walk(data, first, steps)
    cut = data.draw(st.integers(0, len(first.laws.logged)))
    loaded, recovery = read_back(first.laws.logged, cut)
    world = world_of(first.laws.logged[:cut], loaded, recovery)
    if world.state.turn is None:
        assert validate_history(world.state.history) == []
    walk(data, world, 20)
    world.close()


def test_input_that_had_not_entered_is_sent_with_the_next_turn() -> None:
    first = World()
    first.ask(StartTurn(submission_id="s1", input=words("one")))
    first.ask(StartTurn(submission_id="s2", input=words("two")))
    loaded, recovery = read_back(first.laws.logged, len(first.laws.logged))
    world = world_of(first.laws.logged, loaded, recovery)
    world.ask(StartTurn(submission_id="s3", input=words("three")))
    said = [text for text in (b"one", b"two", b"three") for item in world.state.history if text in item.raw]
    assert said == [b"one", b"two", b"three"]
    world.close()
