"""What becomes of a conversation that is summed up, by a person's wish or because its window is full."""

from __future__ import annotations

import msgspec
import pytest

from actors.rollout_writer.validity import validate_history
from actors.session import history
from actors.session.compaction import CUT, KEPT_CHARS, MAX_HALVINGS, PROMPT, SUMMARY_OPENING
from actors.session.effects import Asked, ChildDown, ChildId, Reply, StartSampling
from actors.session.state import Offer, SessionState
from messages.base import TurnId
from messages.client.item import ContextCompaction
from messages.failure import Failure
from messages.log import Compacted
from messages.model import SampleFailed, SampleRequest
from messages.session import (
    CompactThread,
    InterruptTurn,
    ItemCompleted,
    ItemStarted,
    Refused,
    SteerTurn,
    TurnAccepted,
    TurnCompleted,
    UsageUpdated,
)
from tests.actors.session.made import (
    SETTINGS,
    Session,
    asked,
    completed,
    message,
    new_state,
    response,
    start_turn,
    words,
)

WINDOW = 1000


def requests(session: Session) -> list[SampleRequest]:
    return [effect.request for effect in session.effects if isinstance(effect, StartSampling)]


def events(session: Session, kind: type) -> list[object]:
    shown = (getattr(effect, "event", None) for effect in session.effects)
    return [event for event in shown if isinstance(event, kind)]


def logged(session: Session, kind: type) -> list[object]:
    appends = (getattr(effect, "records", ()) for effect in session.effects)
    return [record for records in appends for record in records if isinstance(record, kind)]


def answer(session: Session, *texts: str, tokens: int = 3) -> None:
    """The last request is answered, and its child goes."""
    request_id = requests(session)[-1].request_id
    said = response(request_id, *(message(text) for text in texts))
    session.hear(*said[:-1], completed(request_id, tokens=tokens))
    session.hear(ChildDown(child=ChildId(request_id)))


def windowed() -> SessionState:
    state = new_state()
    return msgspec.structs.replace(state, offer=msgspec.structs.replace(state.offer, context_window=WINDOW))


def compact(fresh_id: str = "turn-c") -> Asked:
    return asked(CompactThread(submission_id=fresh_id), token=fresh_id, fresh_id=fresh_id)


def talked(*, tokens: int = 3) -> Session:
    """A session that has answered one prompt."""
    session = Session(windowed())
    session.hear(start_turn("the prompt"))
    answer(session, "the answer", tokens=tokens)
    return session


def summary_item(text: str) -> object:
    return history.text_item(f"{SUMMARY_OPENING}{text}")


def test_a_compacted_history_is_what_people_said_and_the_summary() -> None:
    session = talked()
    session.hear(compact())
    assert requests(session)[-1].history[-1] == history.text_item(PROMPT)
    assert requests(session)[-1].tool_choice == "none"
    answer(session, "a summary")
    prompt = history.user_item(words("the prompt"))
    environment = session.state.environment
    assert environment is not None
    assert session.state.history == (history.text_item(environment), prompt, summary_item("a summary"))
    assert logged(session, Compacted) == [
        Compacted(turn_id=TurnId("turn-c"), message="a summary", history=session.state.history)
    ]
    assert validate_history(session.state.history) == []


def test_clients_see_an_item_and_how_full_the_context_is_and_nothing_of_the_summary() -> None:
    session = talked()
    before = len(session.effects)
    session.hear(compact())
    answer(session, "a summary")
    session.effects = session.effects[before:]
    [started] = events(session, ItemStarted)
    [ended] = events(session, ItemCompleted)
    assert isinstance(started, ItemStarted)
    assert isinstance(ended, ItemCompleted)
    assert isinstance(started.item, ContextCompaction)
    assert ended.item.id == started.item.id
    usage = [event.last.total for event in events(session, UsageUpdated) if isinstance(event, UsageUpdated)]
    assert usage == [3, 3, sum(len(item.raw) for item in session.state.history) // 4]
    [told] = events(session, TurnCompleted)
    assert isinstance(told, TurnCompleted)
    assert told.turn.status == "completed"


def test_a_full_window_is_compacted_before_the_next_prompt_enters() -> None:
    session = talked(tokens=WINDOW)
    session.hear(start_turn("the next", submission_id="s2", fresh_id="turn-2"))
    assert requests(session)[-1].history[-1] == history.text_item(PROMPT)
    answer(session, "a summary")
    sent = requests(session)[-1].history
    assert sent[-2:] == (summary_item("a summary"), history.user_item(words("the next")))


def test_what_cannot_be_made_shorter_is_compacted_once_and_then_sent() -> None:
    session = talked(tokens=WINDOW)
    session.hear(start_turn("x" * WINDOW * 8, submission_id="s2", fresh_id="turn-2"))
    answer(session, "summary " * WINDOW, tokens=WINDOW)
    assert requests(session)[-1].history[-1] == history.user_item(words("x" * WINDOW * 8))


@pytest.mark.parametrize("kind", ["server_error", "interrupted", "silent"])
def test_a_compaction_that_comes_to_nothing_changes_nothing(kind: str) -> None:
    session = talked()
    before = session.state.history
    session.hear(compact())
    request_id = requests(session)[-1].request_id
    if kind == "server_error":
        session.hear(SampleFailed(request_id=request_id, failure=Failure(kind="server_error", message="no")))
    elif kind == "interrupted":
        session.hear(asked(InterruptTurn(), token="stop"))
    else:
        session.hear(completed(request_id))
    session.hear(ChildDown(child=ChildId(request_id)))
    marker = (history.text_item(history.ABORT_MARKER),) if kind == "interrupted" else ()
    assert session.state.history == before + marker
    assert logged(session, Compacted) == []
    assert len(events(session, ItemStarted)) == len(events(session, ItemCompleted))
    assert session.state.turn is None


def test_a_request_that_does_not_fit_is_tried_without_its_older_half() -> None:
    session = talked()
    for number in range(2, 40):
        session.hear(start_turn(f"prompt {number}", submission_id=f"s{number}", fresh_id=f"turn-{number}"))
        answer(session, f"answer {number}")
    session.hear(compact())
    sizes = []
    too_long = Failure(kind="context_window_exceeded", message="too long")
    while session.state.turn is not None:
        request = requests(session)[-1]
        sizes.append(len(request.history))
        assert validate_history(request.history) == []
        session.hear(SampleFailed(request_id=request.request_id, failure=too_long))
        session.hear(ChildDown(child=ChildId(request.request_id)))
    assert len(sizes) == MAX_HALVINGS + 1
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_of_words_that_do_not_fit_the_middle_of_the_oldest_is_left_out() -> None:
    state = new_state()
    session = Session(state)
    for number in (1, 2):
        text = f"begin{number} " + "x" * (KEPT_CHARS * 2 // 3) + f" end{number}"
        session.hear(start_turn(text, submission_id=f"s{number}", fresh_id=f"turn-{number}"))
        answer(session, "yes")
    session.hear(compact())
    answer(session, "a summary")
    _, older, newer, _ = session.state.history
    assert older.raw.startswith(history.text_item("begin1").raw[:-5])
    assert msgspec.json.encode(CUT)[1:-1] in older.raw
    assert b"end1" in older.raw
    assert b"begin2" in newer.raw
    assert sum(len(item.raw) for item in (older, newer)) < KEPT_CHARS * 1.01


def test_a_turn_that_compacts_is_not_steered_and_a_prompt_waits_for_its_end() -> None:
    session = talked()
    session.hear(compact())
    steer = SteerTurn(submission_id="s3", input=words("also"), expected_turn_id=TurnId("turn-c"))
    [refused] = [effect for effect in session.hear(asked(steer, token="steer")) if isinstance(effect, Reply)]
    assert isinstance(refused.value, Refused)
    assert refused.value.reason == "not_steerable"
    assert session.hear(start_turn("later", submission_id="s4", fresh_id="turn-4")) == []
    answer(session, "a summary")
    assert Reply(token="token", value=TurnAccepted(turn_id=TurnId("turn-4"))) in session.effects
    assert requests(session)[-1].history[-1] == history.user_item(words("later"))


def test_where_nothing_was_said_there_is_nothing_to_ask_a_model() -> None:
    session = Session()
    session.hear(compact())
    assert requests(session) == []
    assert session.state.turn is None
    assert len(events(session, ItemCompleted)) == 1


def test_each_model_has_its_own_window_unless_the_user_has_said_what_all_have() -> None:
    windows = {("p", "small"): 100, ("p", "large"): 1000}
    offer = Offer(windows=lambda provider, model: windows.get((provider, model)))
    small, large, other = (msgspec.structs.replace(SETTINGS, model=name) for name in ("small", "large", "other"))
    assert [offer.window_of(each) for each in (small, large, other)] == [100, 1000, None]
    assert msgspec.structs.replace(offer, context_window=7).window_of(large) == 7
