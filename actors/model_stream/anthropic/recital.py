"""What one thread's history has become as messages of this wire, kept from request to request.

As on the Chat Completions wire (`chat/recital.py`): what is settled goes through the one writer that is kept, and its
messages are kept as JSON; the rest goes through a fork of it, for one request. Here an item may also wait for what
follows it (`is_decided`); until that has come it and all behind it are said anew each time.
"""

from __future__ import annotations

import msgspec

from actors.model_stream.anthropic.abilities import Abilities
from actors.model_stream.anthropic.messages import Conversation, Writer, is_decided, server_results
from actors.model_stream.rendering import Replay, Replayed
from messages.items import HistoryItem, Origin

_encode = msgspec.json.Encoder().encode


class Recital:
    """One thread's history as one model was last sent it. Mutable; of no use to anybody else meanwhile."""

    __slots__ = ("_earlier", "_finished", "_replay", "_target", "_waiting", "_writer")

    def __init__(self) -> None:
        self._target: tuple[Origin, Abilities, bool] | None = None
        self._replay: Replay | None = None
        self._writer: Writer
        self._earlier: list[bytes] = []
        self._waiting: list[Replayed] = []
        """Settled, and not yet decided."""
        self._finished: frozenset[str] = frozenset()

    def say(
        self, history: tuple[HistoryItem, ...], target: Origin, abilities: Abilities, *, images: bool
    ) -> Conversation:
        """As `messages.conversation`. Any history may follow any other; one that goes on where the last one stopped,
        for the same model, is quick."""
        replay, self._replay = self._replay, None  # should an item raise, the next request begins anew
        if replay is None or self._target != (target, abilities, images) or not replay.leads_to(history):
            self._target = (target, abilities, images)
            replay, self._writer, self._earlier = Replay(target), Writer(abilities, images=images), []
            self._waiting, self._finished = [], frozenset()
        replay.hear(history)
        self._absorb(replay.settled())
        rest = (*self._waiting, *replay.unsettled())
        finished = self._finished | server_results(rest)
        fork = self._writer.fork()
        for position in range(len(rest)):
            fork.take(rest, position, finished)
        self._replay = replay
        return fork.finish(tuple(self._earlier))

    def _absorb(self, settled: list[Replayed]) -> None:
        waiting = [*self._waiting, *settled]
        self._finished |= server_results(settled)
        taken = 0
        while taken < len(waiting) and is_decided(waiting, taken, self._finished):
            self._writer.take(waiting, taken, self._finished)
            taken += 1
        self._waiting = waiting[taken:]
        self._earlier += map(_encode, self._writer.let_go())
