"""What one thread's history has become as messages of this wire, kept from request to request.

What a longer history begins with is said as the shorter one was (`messages`), so a request looks at what is new: groups
of items that are settled go through the one builder that is kept, and their messages are kept as JSON; what may yet
change goes through a fork of it, for this request alone. See `responses/recital.py` for the same on that wire, where
items need no reading.
"""

from __future__ import annotations

import msgspec

from actors.model_stream.chat.messages import Builder
from actors.model_stream.rendering import Replay
from messages.items import HistoryItem, Origin
from messages.settings import Dialect

_encode = msgspec.json.Encoder().encode


class Recital:
    """One thread's history as one server was last sent it. Mutable; of no use to anybody else meanwhile."""

    __slots__ = ("_builder", "_replay", "_said", "_target")

    def __init__(self) -> None:
        self._target: tuple[str, Origin, Dialect] | None = None
        self._replay: Replay | None = None
        self._builder: Builder
        self._said: list[bytes] = []

    def say(self, instructions: str, history: tuple[HistoryItem, ...], target: Origin, dialect: Dialect) -> msgspec.Raw:
        """All messages as a JSON array, the instructions first. Any history may follow any other; one that goes on
        where the last one stopped, for the same server, is quick."""
        replay, self._replay = self._replay, None  # should an item raise, the next request begins anew
        if replay is None or self._target != (instructions, target, dialect) or not replay.leads_to(history):
            self._target = (instructions, target, dialect)
            replay, self._builder, self._said = Replay(target), Builder(dialect, instructions), []
        replay.hear(history)
        for replayed in replay.settled():
            self._builder.take(replayed)
        self._said += map(_encode, self._builder.let_go())
        open_ = self._builder.fork()
        for replayed in replay.unsettled():
            open_.take(replayed)
        open_.settle()
        self._replay = replay
        return msgspec.Raw(b"[" + b",".join((*self._said, *map(_encode, open_.messages))) + b"]")
