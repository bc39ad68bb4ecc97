"""What is said over a connection that remembers its last response: the whole request, or only what is new. Pure.

Over a WebSocket (`responses_websockets`) a server keeps the latest response of that connection in memory, also with
``store: false``, and takes its id as ``previous_response_id``. Our history stays the only truth, so that is a saving
and never a source: it is used only when the request is, item for item, what the server has been sent on this very
connection, followed by what it answered there, followed by something new; and when nothing else about the request has
changed. In every other case (another model, other tools or instructions, a compaction, an answer of which not all was
kept, a new connection) everything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.model_stream.rendering import without_note
from actors.model_stream.responses.request import Parts
from messages.model import ItemFinished, SampleCompleted, StreamEvent

NOT_SAID = ("stream", "background")
"""Fields of the request that have no place there: an answer is always streamed (OpenAI's reference of the event)."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side of a connection remembers."""

    settings: dict[str, Any]
    items: tuple[bytes, ...]
    """All of the input so far, and what was answered."""
    response_id: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent."""

    text: bytes
    continues: bool
    """It holds only what is new."""


def message(made: Parts, known: Known | None) -> Message:
    """The event ``response.create``."""
    fields: dict[str, Any] = {"type": "response.create", **_settings(made)}
    items, continues = made.items, False
    if known is not None and _goes_on(made, known):
        fields["previous_response_id"] = known.response_id
        items, continues = items[len(known.items) :], True
    text = b"".join((msgspec.json.encode(fields)[:-1], b',"input":[', b",".join(items), b"]}"))
    return Message(text=text, continues=continues)


def known_after(made: Parts, heard: Iterable[StreamEvent]) -> Known | None:
    """What the other side remembers once it has answered; None if there is nothing to go on from."""
    answered: list[bytes] = []
    response_id = None
    for event in heard:
        match event:
            case ItemFinished(item=item):
                answered.append(without_note(item.raw))
            case SampleCompleted():
                response_id = event.response_id
            case _:
                pass
    if not response_id:
        return None
    return Known(settings=_settings(made), items=(*made.items, *answered), response_id=response_id)


def _settings(made: Parts) -> dict[str, Any]:
    return {name: value for name, value in made.settings.items() if name not in NOT_SAID}


def _goes_on(made: Parts, known: Known) -> bool:
    size = len(known.items)
    return len(made.items) > size and made.items[:size] == known.items and _settings(made) == known.settings
