"""Text that is still growing: one writer, many readers, no message per piece.

While a response streams, its model_stream is the only writer of the open item's texts; a running command's worker is
the only writer of its output. Readers (cursors of connections, the checkpoint journal) keep the index of the next
piece they have not seen. Appending costs a list append and, when somebody is waiting to hear of it, one call.
"""

from __future__ import annotations

from collections.abc import Callable

from messages.model import TextChannel


class OpenText:
    """The pieces of one text so far. ``chars`` is their total length."""

    __slots__ = ("chars", "channel", "index", "on_grow", "pieces")

    def __init__(self, channel: TextChannel, index: int = 0) -> None:
        self.channel = channel
        self.index = index
        self.pieces: list[str] = []
        self.chars = 0
        self.on_grow: Callable[[], None] | None = None

    def append(self, piece: str) -> None:
        """Writer only."""
        self.pieces.append(piece)
        self.chars += len(piece)
        if self.on_grow is not None:
            self.on_grow()

    def since(self, position: int) -> str:
        """Everything from piece number ``position`` on."""
        pieces = self.pieces
        if len(pieces) - position == 1:
            return pieces[position]
        return "".join(pieces[position:])

    def text(self) -> str:
        """All of it so far."""
        return "".join(self.pieces)


class TextTable:
    """The texts of one sampling, by text slot: written by its model_stream, attached to the feed by its session.

    Until the session has attached a text, its characters count as undelivered, and the stream's reader pauses when
    there are too many of them.
    """

    __slots__ = ("_attached", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, OpenText] = {}
        self._attached: set[int] = set()

    def open(self, text_slot: int, text: OpenText) -> None:
        """Writer: a text began."""
        self._slots[text_slot] = text

    def attach(self, text_slot: int) -> OpenText:
        """Session: take over the text of a slot that `TextBegan` named. Raises KeyError for a slot never opened."""
        self._attached.add(text_slot)
        return self._slots[text_slot]

    def undelivered_chars(self) -> int:
        """Characters in texts that the session has not attached yet."""
        return sum(text.chars for slot, text in self._slots.items() if slot not in self._attached)
