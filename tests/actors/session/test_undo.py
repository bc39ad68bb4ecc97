"""Undo in the core: between turns only, one at a time, answered once, and the model is told."""

from __future__ import annotations

from actors.session import history
from actors.session.effects import ChildDown, ChildId, Reply, StartSampling, Stop, Undo, UndoEnded
from messages.base import TurnId
from messages.items import InputText, MessageItem
from messages.session import CloseThread, Refused, TurnAccepted, TurnUndone, UndoTurn
from tests.actors.session.made import Session, asked, start_turn

DONE = TurnUndone(turn_id=TurnId("turn-0"), root="/w", restored=("a",), removed=("b",))


def begin(session: Session, token: str = "undo") -> ChildId:
    (effect,) = (each for each in session.hear(asked(UndoTurn(), token)) if isinstance(each, Undo))
    return effect.child


def replies(session: Session) -> dict[object, object]:
    return {each.token: each.value for each in session.effects if isinstance(each, Reply)}


def test_the_model_is_told_which_files_are_no_longer_as_it_left_them() -> None:
    session = Session()
    child = begin(session)
    session.hear(UndoEnded(child=child, done=DONE), ChildDown(child=child))
    assert replies(session) == {"undo": DONE}
    told = history.readable(session.state.history[-1])
    assert isinstance(told, MessageItem)
    assert isinstance(told.content[0], InputText)
    assert told.role == "user"
    assert told.content[0].text.splitlines()[-3:] == ["restored: a", "removed: b", "</changes_undone>"]


def test_a_running_turn_or_another_undo_refuses_it() -> None:
    session = Session()
    child = begin(session)
    session.hear(asked(UndoTurn(), "second"))
    session.hear(UndoEnded(child=child, why="no worktree"), ChildDown(child=child))
    session.hear(start_turn())
    session.hear(asked(UndoTurn(), "third"))
    refused = {token: value.reason for token, value in replies(session).items() if isinstance(value, Refused)}
    assert refused == {"undo": "no_snapshot", "second": "busy", "third": "busy"}
    assert session.of(Undo) == [Undo(child=child, turn_id=None)]


def test_a_turn_asked_for_meanwhile_waits_for_the_files_to_be_still() -> None:
    session = Session()
    child = begin(session)
    session.hear(start_turn())
    assert session.of(StartSampling) == []
    session.hear(UndoEnded(child=child, done=DONE), ChildDown(child=child))
    assert len(session.of(StartSampling)) == 1
    assert isinstance(replies(session)["token"], TurnAccepted)


def test_one_that_breaks_down_says_that_nobody_knows_and_blocks_nothing() -> None:
    session = Session()
    child = begin(session)
    session.hear(start_turn(), ChildDown(child=child, crash="KeyError"))
    answer = replies(session)["undo"]
    assert isinstance(answer, Refused)
    assert answer.message == "the undo broke down (KeyError); look at `git status` for how far it came"
    assert len(session.of(StartSampling)) == 1


def test_a_thread_is_closed_only_when_it_is_over() -> None:
    session = Session()
    child = begin(session)
    session.hear(asked(CloseThread(), "close"))
    assert session.of(Stop) == []
    session.hear(UndoEnded(child=child, done=DONE), ChildDown(child=child))
    assert session.of(Stop) == [Stop()]
