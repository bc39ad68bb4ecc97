"""What a model is told before the user's words: when it is looked for, when it is told, and when not again."""

from __future__ import annotations

import msgspec

from actors.session import history
from actors.session.effects import ChildDown, ChildId, ContextGathered, Effect, GatherContext, StartSampling
from actors.session.project_docs import OPENING
from messages.items import InputText, MessageItem, OutputText
from messages.session import InterruptTurn, SettingsPatch, UpdateSettings
from tests.actors.session.made import Session, asked, message, new_state, response, start_turn

DOCS = f"{OPENING}/w\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>"


def gathering() -> Session:
    state = new_state()
    return Session(msgspec.structs.replace(state, offer=msgspec.structs.replace(state.offer, gathers=True)))


def told(session: Session) -> list[str]:
    """The opening words of everything the model would be sent."""
    words = []
    for item in session.state.history:
        read = history.readable(item)
        assert isinstance(read, MessageItem)
        part = read.content[0]
        assert isinstance(part, InputText | OutputText)
        words.append(part.text.split("\n")[0])
    return words


def scout(effects: list[Effect]) -> ChildId:
    (look,) = (effect for effect in effects if isinstance(effect, GatherContext))
    return look.child


def sampled(effects: list[Effect]) -> str:
    (sample,) = (effect for effect in effects if isinstance(effect, StartSampling))
    return sample.request.request_id


def finished_turn(session: Session) -> None:
    """One turn in which the instructions were found."""
    child = scout(session.hear(start_turn("fix it")))
    request_id = sampled(session.hear(ContextGathered(child=child, docs=DOCS)))
    session.hear(ChildDown(child=child), *response(request_id, message("done")), ChildDown(child=ChildId(request_id)))
    assert session.state.turn is None


def test_the_first_turn_waits_for_the_projects_instructions_and_the_model_reads_them_before_the_prompt() -> None:
    session = gathering()
    effects = session.hear(start_turn("fix it"))
    assert (told(session), session.of(StartSampling)) == ([], [])
    assert sampled(session.hear(ContextGathered(child=scout(effects), docs=DOCS)))
    assert told(session) == [f"{OPENING}/w", "<environment_context>", "fix it"]


def test_what_has_been_told_is_told_again_only_when_it_has_changed() -> None:
    session = gathering()
    finished_turn(session)
    assert sampled(session.hear(start_turn("more", "s2", "turn-2"))), "nobody looks again"
    assert told(session)[-2:] == ["done", "more"]


def test_another_folder_is_looked_at_as_well_and_the_same_words_are_not_repeated() -> None:
    session = gathering()
    finished_turn(session)
    session.hear(asked(UpdateSettings(settings=SettingsPatch(cwd="/other"))))
    child = scout(session.hear(start_turn("more", "s2", "turn-2")))
    session.hear(ContextGathered(child=child, docs=DOCS))
    assert told(session)[-3:] == ["done", "<environment_context>", "more"]


def test_a_search_that_breaks_down_stops_no_turn() -> None:
    session = gathering()
    child = scout(session.hear(start_turn("fix it")))
    assert sampled(session.hear(ChildDown(child=child, crash="OSError")))
    assert told(session) == ["<environment_context>", "fix it"]


def test_an_interrupt_while_it_is_looked_for_keeps_the_prompt() -> None:
    session = gathering()
    child = scout(session.hear(start_turn("fix it")))
    session.hear(asked(InterruptTurn()), ContextGathered(child=child, docs=DOCS), ChildDown(child=child))
    assert session.state.turn is None
    assert told(session) == ["<turn_aborted>", "fix it"]
