"""Hear a whole stream, cut as one likes, and look at all that came of it at once."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from actors.model_stream.core import WIRES, Hearing
from actors.session.open_text import TextTable
from messages.failure import Failure
from messages.items import HistoryItem, Origin
from messages.model import ItemBegan, ItemFinished, SampleCompleted, StreamEvent, TextBegan

ORIGIN = Origin(provider="recorded", model="some-model", wire="responses")


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one attempt came to."""

    events: tuple[StreamEvent, ...]
    texts: tuple[tuple[int, str, int, str], ...]
    """(slot of the item, channel, index, text), in the order they began."""
    failure: Failure | None

    @property
    def items(self) -> tuple[HistoryItem, ...]:
        """The finished items, in the order they finished."""
        return tuple(event.item for event in self.events if isinstance(event, ItemFinished))

    @property
    def completed(self) -> SampleCompleted | None:
        return next((event for event in self.events if isinstance(event, SampleCompleted)), None)

    @property
    def began(self) -> tuple[ItemBegan, ...]:
        return tuple(event for event in self.events if isinstance(event, ItemBegan))


def hear(chunks: Iterable[bytes]) -> Heard:
    """Feed an attempt to its end."""
    texts = TextTable()
    hearing = Hearing(WIRES["responses"].decoder("r1", ORIGIN, texts, where="the model"), "the model")
    events: list[StreamEvent] = []
    for chunk in chunks:
        events += hearing.feed(chunk)
        if hearing.done:
            break
    events += hearing.end()
    assert hearing.done
    began = [event for event in events if isinstance(event, TextBegan)]
    return Heard(
        events=tuple(events),
        texts=tuple((e.slot, e.channel, e.index, texts.attach(e.text_slot).text()) for e in began),
        failure=hearing.failure,
    )


def cut(stream: bytes, seed: int) -> list[bytes]:
    """``stream`` in pieces of random sizes, from single bytes to all of it."""
    dice = random.Random(seed)
    pieces = []
    position = 0
    while position < len(stream):
        size = min(int(dice.paretovariate(0.4)), 100_000)
        pieces.append(stream[position : position + size])
        position += size
    return pieces


def sse(*events: dict[str, object]) -> bytes:
    """Events as OpenAI frames them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event)) for event in events
    )
