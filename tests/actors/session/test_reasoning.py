"""What clients are shown of a model's reasoning, and in which pieces; history keeps all of it whatever is shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.session.effects import AttachText, StartSampling
from actors.session.open_text import OpenText
from actors.session.reasoning import MORE, PIECE_CHARS, InPieces
from messages.client.item import Reasoning
from messages.items import HistoryItem, Origin, ReasoningItem, ReasoningText, SummaryText
from messages.log import ItemShown, ResponseItem
from messages.model import ItemFinished
from messages.session import (
    ItemCompleted,
    ReasoningPartAdded,
    SettingsPatch,
    ShowReasoning,
    StartTurn,
)
from tests.actors.session.made import (
    SETTINGS,
    Session,
    asked,
    began,
    completed,
    message,
    new_state,
    reasoning,
    text_began,
    words,
)
from tests.actors.session.theatre import Scene, open_theatre

THOUGHT = HistoryItem(
    kind="reasoning",
    raw=msgspec.json.encode(
        ReasoningItem(
            summary=(SummaryText(text="In short."),),
            content=(ReasoningText(text="At length."),),
            encrypted_content="x",
        )
    ),
    origin=Origin(provider="p", model="m", wire="responses"),
)


def turn(show: ShowReasoning | None = None, **settings: Any) -> Session:
    """A turn in which the model thinks, in raw and in short, and answers."""
    session = Session(new_state(settings=msgspec.structs.replace(SETTINGS, **settings)))
    patch = None if show is None else SettingsPatch(show_reasoning=show)
    effects = session.hear(asked(StartTurn(submission_id="s", input=words("think"), settings=patch)))
    id_ = next(effect.request.request_id for effect in effects if isinstance(effect, StartSampling))
    session.hear(
        began(id_, 0, THOUGHT),
        text_began(id_, 0, "summary", 0, 0),
        text_began(id_, 0, "reasoning", 1, 0),
        text_began(id_, 0, "summary", 2, 1),
        ItemFinished(request_id=id_, slot=0, item=THOUGHT),
        began(id_, 1, message("yes")),
        ItemFinished(request_id=id_, slot=1, item=message("yes")),
        completed(id_),
    )
    return session


def shown(session: Session) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(summary, content) of the reasoning that clients were shown, and that is in the log for those who come later."""
    told = [
        event.item for effect in session.effects if isinstance(event := getattr(effect, "event", None), ItemCompleted)
    ]
    logged = [
        record.item
        for effect in session.effects
        for record in getattr(effect, "records", ())
        if isinstance(record, ItemShown)
    ]
    assert told == logged
    return [(item.summary, item.content) for item in told if isinstance(item, Reasoning)]


@pytest.mark.parametrize(
    ("show", "expected", "texts"),
    [
        ("none", [], [False, False, False]),
        ("readable", [(("In short.",), ())], [True, False, True]),
        ("raw", [(("In short.",), ("At length.",))], [True, True, True]),
    ],
)
def test_the_three_ways_by_setting_and_by_turn(show: ShowReasoning, expected: Any, texts: list[bool]) -> None:
    for session in (turn(show_reasoning=show), turn(show)):
        assert shown(session) == expected
        attached = [effect for effect in session.effects if isinstance(effect, AttachText)]
        assert [effect.item_id is not None for effect in attached] == texts
        parts = [effect for effect in session.effects if isinstance(getattr(effect, "event", None), ReasoningPartAdded)]
        assert len(parts) == (0 if show == "none" else 2)
        remembered = [
            record.item
            for effect in session.effects
            for record in getattr(effect, "records", ())
            if isinstance(record, ResponseItem)
        ]
        assert THOUGHT in remembered, "what is not shown is sent back all the same"
        assert THOUGHT in session.state.history


def test_of_a_flood_a_beginning_is_shown_that_says_so() -> None:
    assert shown(turn("raw", show_reasoning_chars=5)) == [(("In sh" + MORE,), ("At le" + MORE,))]


@given(pieces=st.lists(st.text(max_size=60), max_size=30), limit=st.integers(0, 300))
def test_pieces_come_to_the_whole_or_to_its_beginning(pieces: list[str], limit: int) -> None:
    source = OpenText("summary")
    shown_ = InPieces(source, limit)
    sizes: list[int] = []
    shown_.text.on_grow = lambda: sizes.append(len(shown_.text.pieces[-1]))
    for piece in pieces:
        source.append(piece)
    assert all(size >= min(PIECE_CHARS, limit) or "\n" in "".join(pieces) or limit < 300 for size in sizes)
    shown_.flush()
    whole = "".join(pieces)
    assert shown_.text.text() == (whole if len(whole) <= limit else whole[:limit] + MORE)
    assert source.text() == whole


async def test_a_flood_of_small_pieces_reaches_clients_as_few_and_whole(autojump_clock: trio.abc.Clock) -> None:
    """1000 pieces of two characters: some forty deltas, in order, before the item completes."""

    async def floods(scene: Scene) -> None:
        thought = OpenText("summary")
        scene.texts.open(0, thought)
        await scene.report.send(began(scene.request.request_id, 0, THOUGHT))
        await scene.report.send(text_began(scene.request.request_id, 0, "summary", 0))
        for number in range(1000):
            thought.append(f"{number % 10} ")
            await trio.sleep(0.001)
        await scene.give(reasoning(thought.text()), 0, begun=True)
        await scene.give(message("yes"), 1)
        await scene.stop()

    async with open_theatre() as theatre:
        theatre.scripts = [floods]
        thread = await theatre.thread()
        await thread.start()
        told = await thread.until("TurnCompleted")
    deltas = [each for each in told if each.startswith("~")]
    assert "".join(each[1:] for each in deltas) == "".join(f"{number % 10} " for number in range(1000))
    assert len(deltas) <= 2000 // PIECE_CHARS + 2, "and the first and the last"
    assert told.index("ReasoningPartAdded") < told.index(deltas[0])
    assert told.index(deltas[-1]) < len(told) - 1 - told[::-1].index("ItemCompleted")
