"""Input that the user's programs hear first: when it enters, when it never does, and that nothing gets round them."""

from __future__ import annotations

import msgspec

from actors.session import history
from actors.session.compaction import SUMMARY_OPENING
from actors.session.effects import (
    Append,
    Asked,
    ChildDown,
    ChildId,
    ContextGathered,
    Effect,
    GatherContext,
    HooksAnswered,
    RunHooks,
    Show,
    StartSampling,
)
from messages.base import TurnId
from messages.client.item import UserMessage
from messages.hooks import Verdict
from messages.items import InputText, MessageItem, OutputText
from messages.log import ItemShown, ResponseItem, SteerAccepted
from messages.session import CompactThread, InterruptTurn, SteerTurn, TurnCompleted, Warned
from tests.actors.session.made import Session, asked, message, new_state, response, start_turn, words


def hooked() -> Session:
    """A session whose first prompt has been heard and let in, in the middle of its sampling."""
    state = new_state()
    offer = msgspec.structs.replace(state.offer, hook_events=frozenset({"UserPromptSubmit"}))
    session = Session(msgspec.structs.replace(state, offer=offer))
    effects = session.hear(start_turn("fix it"))
    [look] = [effect for effect in effects if isinstance(effect, GatherContext)]
    session.hear(ContextGathered(child=look.child), ChildDown(child=look.child))
    assert sampled(session)
    return session


def steer(text: str, submission_id: str = "s2") -> Asked:
    return asked(SteerTurn(submission_id=submission_id, input=words(text), expected_turn_id=TurnId("turn-1")))


def run_of(effects: list[Effect]) -> RunHooks:
    [run] = [effect for effect in effects if isinstance(effect, RunHooks)]
    return run


def sampled(session: Session) -> str:
    """The last request."""
    return [effect.request.request_id for effect in session.effects if isinstance(effect, StartSampling)][-1]


def answered(session: Session, text: str = "done") -> None:
    request_id = sampled(session)
    session.hear(*response(request_id, message(text)), ChildDown(child=ChildId(request_id)))


def said(session: Session) -> list[str]:
    """What the model would be sent, from the prompt on."""
    texts = []
    for item in session.state.history:
        read = history.readable(item)
        assert isinstance(read, MessageItem)
        part = read.content[0]
        assert isinstance(part, InputText | OutputText)
        texts.append(part.text)
    return texts[texts.index("fix it") :]


def warnings(session: Session) -> list[str]:
    events = [effect.event for effect in session.effects if isinstance(effect, Show)]
    return [event.message for event in events if isinstance(event, Warned)]


def records(session: Session) -> list[object]:
    return [record for effect in session.effects if isinstance(effect, Append) for record in effect.records]


def test_input_that_steers_is_told_to_them_at_once_and_enters_when_they_have_ended() -> None:
    session = hooked()
    run = run_of(session.hear(steer("and quickly")))
    assert (run.event, run.turn_id, run.fields) == ("UserPromptSubmit", "turn-1", {"prompt": "and quickly"})
    [accepted] = [record for record in records(session) if isinstance(record, SteerAccepted)][-1:]
    assert accepted.unheard
    answered(session)
    assert said(session) == ["fix it", "done"], "it waits for them"
    before = sampled(session)
    session.hear(HooksAnswered(child=run.child, verdict=Verdict(context=("it is late",))), ChildDown(child=run.child))
    assert said(session) == ["fix it", "done", "and quickly", "it is late"]
    assert sampled(session) != before


def test_two_inputs_enter_in_their_order_whichever_program_ends_first() -> None:
    session = hooked()
    first = run_of(session.hear(steer("first", "s2")))
    second = run_of(session.hear(steer("second", "s3")))
    answered(session)
    session.hear(HooksAnswered(child=second.child, verdict=Verdict()), ChildDown(child=second.child))
    assert said(session) == ["fix it", "done"]
    session.hear(HooksAnswered(child=first.child, verdict=Verdict()), ChildDown(child=first.child))
    assert said(session) == ["fix it", "done", "first", "second"]


def test_what_they_object_to_is_shown_and_never_sent_and_the_turn_goes_on() -> None:
    session = hooked()
    run = run_of(session.hear(steer("my password is x")))
    session.hear(HooksAnswered(child=run.child, verdict=Verdict(blocked="no passwords")), ChildDown(child=run.child))
    assert warnings(session) == ["A UserPromptSubmit hook stopped this input; the model has not seen it. no passwords"]
    [shown] = [record for record in records(session) if isinstance(record, ItemShown) and record.partial]
    assert isinstance(shown.item, UserMessage)
    assert session.state.withheld == {shown.item.id}
    answered(session)
    assert said(session) == ["fix it", "done"]
    ended = [each.event for each in session.effects if isinstance(each, Show) and isinstance(each.event, TurnCompleted)]
    assert [event.turn.status for event in ended if isinstance(event, TurnCompleted)] == ["completed"]


def test_a_summary_of_the_conversation_does_not_bring_it_back() -> None:
    session = hooked()
    run = run_of(session.hear(steer("my password is x")))
    session.hear(HooksAnswered(child=run.child, verdict=Verdict(blocked="")), ChildDown(child=run.child))
    answered(session)
    session.hear(asked(CompactThread(submission_id="c"), token="c", fresh_id="turn-c"))
    answered(session, "a summary")
    assert said(session) == ["fix it", f"{SUMMARY_OPENING}a summary"]


def test_an_interrupt_does_not_get_round_them() -> None:
    session = hooked()
    run = run_of(session.hear(steer("my password is x")))
    request_id = sampled(session)
    session.hear(asked(InterruptTurn()), ChildDown(child=run.child), ChildDown(child=ChildId(request_id)))
    assert session.state.turn is None
    assert said(session) == ["fix it", history.ABORT_MARKER]
    told = [record for record in records(session) if isinstance(record, ResponseItem)]
    assert not any(b"password" in record.item.raw for record in told)
    assert len(session.state.withheld) == 1


def test_programs_that_break_down_object_to_nothing() -> None:
    session = hooked()
    run = run_of(session.hear(steer("and quickly")))
    session.hear(ChildDown(child=run.child, crash="OSError"))
    answered(session)
    assert said(session) == ["fix it", "done", "and quickly"]
