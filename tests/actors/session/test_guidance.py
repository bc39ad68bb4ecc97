"""Instructions that change in mid-thread: said where they come into force, never edited into what was said before."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.rollout_writer.lines import encode
from actors.rollout_writer.projection import project
from actors.rollout_writer.recovery import recover
from actors.session.effects import Append, Asked, ChildDown, ChildId, StartSampling
from actors.session.guidance import CHANGED, wanted
from actors.session.restore import restored
from actors.session.state import Offer
from messages.items import HistoryItem
from messages.log import SessionMeta
from messages.model import SampleRequest, ToolSpec
from messages.session import SettingsPatch, StartTurn
from messages.tool_set import Abilities
from tests.actors.session.made import (
    SETTINGS,
    THREAD,
    Session,
    asked,
    instant,
    message,
    new_state,
    response,
    start_turn,
    words,
)

OWN = wanted(SETTINGS, new_state().offer, None)
META = SessionMeta(
    thread_id=THREAD, created_at=1.0, cwd="/w", source="test", originator="test", cli_version="0", settings=SETTINGS
)


def turn(number: int, **patch: Any) -> Asked:
    settings = SettingsPatch(**patch) if patch else None
    command = StartTurn(submission_id=f"s{number}", input=words(f"prompt {number}"), settings=settings)
    return asked(command, fresh_id=f"turn-{number}")


def sampled(session: Session, begin: Asked) -> SampleRequest:
    """The request of a turn that begins so, and is answered."""
    effects = session.hear(begin)
    request = next(effect.request for effect in effects if isinstance(effect, StartSampling))
    session.hear(*response(request.request_id, message("yes")), ChildDown(child=ChildId(request.request_id)))
    return request


def told(item: HistoryItem) -> tuple[str, str, str | None]:
    """Who says what, and what it replaces."""
    read = msgspec.json.decode(item.raw)
    return read["role"], read["content"][0]["text"], read.get("callboard", {}).get("replaces")


def test_new_instructions_are_remembered_behind_the_words_they_come_with_and_history_only_grows() -> None:
    session = Session()
    first = sampled(session, start_turn())
    second = sampled(session, turn(2, base_instructions="be strict"))
    third = sampled(session, turn(3))
    assert (first.instructions, second.instructions, third.instructions) == (OWN, "be strict", "be strict")
    assert second.history[: len(first.history)] == first.history
    assert third.history[: len(second.history)] == second.history
    assert [told(item) for item in second.history[-2:]] == [
        ("user", "prompt 2", None),
        ("developer", f"{CHANGED}be strict", OWN),
    ]
    assert told(third.history[-1]) == ("user", "prompt 3", None)


def test_instructions_that_change_before_anything_was_answered_are_simply_those() -> None:
    session = Session()
    assert sampled(session, turn(1, base_instructions="be strict")).instructions == "be strict"
    assert [told(item)[0] for item in session.state.history if item.origin is None] == ["user", "user"]


def test_a_reloaded_thread_knows_what_it_stood_under() -> None:
    session = Session()
    sampled(session, start_turn())
    sampled(session, turn(2, base_instructions="be strict"))
    records = [record for effect in session.effects if isinstance(effect, Append) for record in effect.records]
    loaded = project(b"".join(encode([META, *records], thread_id=THREAD, first_ordinal=0, at=1.0)))
    state, _ = restored(loaded, recover(loaded, at=9.0), ids="j", offer=new_state().offer, path="/p", at=instant(9.0))
    again = Session(state)
    request = sampled(again, turn(3))
    assert request.instructions == "be strict"
    assert told(request.history[-1]) == ("user", "prompt 3", None)
    once_more = sampled(again, turn(4, base_instructions="be kind"))
    assert told(once_more.history[-1]) == ("developer", f"{CHANGED}be kind", "be strict")


def test_other_words_of_the_developer_are_said_once_when_they_change() -> None:
    session = Session()
    sampled(session, turn(1, developer_instructions="use tabs"))
    sampled(session, turn(2, developer_instructions="use tabs"))
    last = sampled(session, turn(3, developer_instructions="use spaces"))
    assert [told(item)[1] for item in last.history if told(item)[0] == "developer"] == ["use tabs", "use spaces"]


def test_our_own_prompt_for_another_model_is_no_change_and_the_first_model_finds_its_own_again() -> None:
    tools = (ToolSpec(name="run", description="Runs."), ToolSpec(name="look", description="Looks.", needs=("images",)))
    sees = Offer(tools=tools, abilities=lambda _, model: Abilities(lacks=() if model == "m" else ("images",)))
    session = Session(new_state(offer=sees))
    first = sampled(session, turn(1))
    second = sampled(session, turn(2, model="blind"))
    third = sampled(session, turn(3, model="m"))
    assert first.instructions == third.instructions != second.instructions
    assert [told(item)[0] for item in third.history if item.origin is None] == ["user"] * 4
