"""The user's programs around a compaction."""

from __future__ import annotations

import msgspec

from actors.session.effects import ChildDown, HooksAnswered, RunHooks, Show, StartSampling
from messages.client.item import ContextCompaction
from messages.hooks import HookEvent, Verdict
from messages.log import Compacted
from messages.session import ItemStarted, TurnCompleted, Warned
from tests.actors.session.made import Session, start_turn
from tests.actors.session.test_compaction import (
    WINDOW,
    answer,
    compact,
    events,
    logged,
    requests,
    summary_item,
    talked,
    windowed,
)
from tests.actors.session.test_prompting import run_of


def hooked(*hook_events: HookEvent, tokens: int = 3) -> Session:
    """A conversation of one prompt, with programs that want to hear of these."""
    session = talked(tokens=tokens)
    offer = msgspec.structs.replace(session.state.offer, hook_events=frozenset(hook_events))
    session.state = msgspec.structs.replace(session.state, offer=offer)
    return session


def runs(session: Session) -> list[RunHooks]:
    return [effect for effect in session.effects if isinstance(effect, RunHooks)]


def speak(session: Session, run: RunHooks, verdict: Verdict | None = None) -> None:
    session.hear(HooksAnswered(child=run.child, verdict=verdict or Verdict()), ChildDown(child=run.child))


def test_they_are_told_before_anything_is_shown_or_sent_and_again_when_it_is_done() -> None:
    session = hooked("PreCompact", "PostCompact")
    before = len(requests(session))
    run = run_of(session.hear(compact()))
    assert (run.event, run.fields) == ("PreCompact", {"trigger": "manual"})
    assert len(requests(session)) == before
    assert not any(
        isinstance(each, ItemStarted) and isinstance(each.item, ContextCompaction)
        for each in events(session, ItemStarted)
    )
    speak(session, run)
    answer(session, "a summary")
    after = runs(session)[-1]
    assert (after.event, after.fields) == ("PostCompact", {"trigger": "manual", "compact_summary": "a summary"})
    assert events(session, TurnCompleted)[1:] == [], "the turn waits for them"
    speak(session, after, Verdict(blocked="too late to object"))
    assert session.state.turn is None
    assert session.state.history[-1] == summary_item("a summary")


def test_a_compaction_that_was_asked_for_fails_when_they_object() -> None:
    session = hooked("PreCompact")
    history = session.state.history
    speak(session, run_of(session.hear(compact())), Verdict(blocked="not now"))
    assert session.state.history == history
    assert logged(session, Compacted) == []
    ended = events(session, TurnCompleted)[-1]
    assert isinstance(ended, TurnCompleted)
    assert ended.turn.failure is not None
    assert ended.turn.failure.message == (
        "A PreCompact hook stopped the compaction; the conversation stays as it is. not now"
    )


def test_one_that_was_due_is_left_out_once_in_a_turn_and_the_turn_goes_on() -> None:
    session = hooked("PreCompact", tokens=WINDOW)
    run = run_of(session.hear(start_turn("more", "s2", "turn-2")))
    assert run.fields == {"trigger": "auto"}
    speak(session, run, Verdict(blocked=""))
    shown = [effect.event for effect in session.effects if isinstance(effect, Show)]
    assert Warned(message="A PreCompact hook stopped the compaction; the conversation stays as it is.") in shown
    assert session.of(StartSampling)[-1] is not None
    answer(session, "an answer", tokens=WINDOW)
    assert [run.event for run in runs(session)] == ["PreCompact"]
    assert session.state.turn is None


def test_programs_that_break_down_stop_no_compaction() -> None:
    session = hooked("PreCompact", "PostCompact")
    run = run_of(session.hear(compact()))
    session.hear(ChildDown(child=run.child, crash="OSError"))
    answer(session, "a summary")
    session.hear(ChildDown(child=runs(session)[-1].child, crash="OSError"))
    assert session.state.turn is None
    assert session.state.history[-1] == summary_item("a summary")


def test_what_they_tell_at_a_sessions_start_is_asked_for_again() -> None:
    session = hooked("SessionStart")
    session.hear(compact())
    answer(session, "a summary")
    run = runs(session)[-1]
    assert (run.event, run.fields) == ("SessionStart", {"source": "compact"})
    speak(session, run, Verdict(context=("read the wiki",)))
    assert session.state.history[-2] == summary_item("a summary")
    assert b"read the wiki" in session.state.history[-1].raw


def test_an_empty_conversation_is_nobodys_business() -> None:
    session = Session(windowed())
    offer = msgspec.structs.replace(session.state.offer, hook_events=frozenset({"PreCompact", "PostCompact"}))
    session.state = msgspec.structs.replace(session.state, offer=offer)
    session.hear(compact())
    assert runs(session) == []
    assert session.state.turn is None
