"""Text that is still growing: one writer, many readers, no message per piece.

While a response streams, its model_stream is the only writer of the open item's texts; a running command's worker is
the only writer of its output. Readers (cursors of connections, the checkpoint journal) keep the offset in characters
up to which they have read. Appending costs a list append and, when somebody waits to hear of it, one call.

Offsets are characters, not pieces, so that a read may join the pieces it walked over: a reader far behind would
otherwise walk the same million small pieces again for each chunk it takes. All in all every piece is joined about once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from messages.model import TextChannel


class OpenText:
    """One text so far. ``chars`` is its length."""

    __slots__ = ("channel", "chars", "index", "on_grow", "pieces")

    def __init__(self, channel: TextChannel, index: int = 0) -> None:
        self.channel = channel
        self.index = index
        self.pieces: list[str] = []
        """Never empty strings. Readers use `since`; only the writer appends, and `since` may join them."""
        self.chars = 0
        self.on_grow: Callable[[], None] | None = None
        """Called after an append; set by the feed it is attached to. It must not raise."""

    def append(self, piece: str) -> None:
        """Writer only."""
        if piece:
            self.pieces.append(piece)
            self.chars += len(piece)
            if self.on_grow is not None:
                self.on_grow()

    def since(self, offset: int, limit: int | None = None) -> str:
        """The text from character ``offset`` on, at most ``limit`` characters of it."""
        behind = self.chars - offset
        if behind <= 0:
            return ""
        pieces = self.pieces
        first = len(pieces) - 1
        text = pieces[first]
        if len(text) < behind:
            size = len(text)
            while size < behind:
                first -= 1
                size += len(pieces[first])
            text = "".join(pieces[first:])
            pieces[first:] = (text,)
        start = len(text) - behind
        if start or (limit is not None and limit < behind):
            return text[start:] if limit is None else text[start : start + limit]
        return text

    def text(self) -> str:
        """All of it so far."""
        pieces = self.pieces
        if len(pieces) > 1:
            pieces[:] = ("".join(pieces),)
        return pieces[0] if pieces else ""


class ShownText(Protocol):
    """What of a text is shown, while it grows."""

    @property
    def shown(self) -> OpenText:
        """That part, itself growing."""
        ...

    def close(self) -> None:
        """The text is whole."""
        ...

    def follow(self, on_open: Callable[[OpenText], None], /) -> None:
        """Hear of each text that is shown apart from it, itself growing: of those that have begun, then of others."""
        ...


class TextTable:
    """The texts of one sampling, by text slot: written by its model_stream, attached to the feed by its session.

    Until the session has attached a text, its characters count as undelivered, and the stream's reader pauses when
    there are too many of them.

    ``show``: what stands between a visible text and what is shown of it (`sieve.Sieve`); None: nothing.
    """

    __slots__ = ("_show", "_shown", "_slots", "_unattached", "on_attach")

    def __init__(self, show: Callable[[OpenText], ShownText] | None = None) -> None:
        self._slots: dict[int, OpenText] = {}
        self._unattached: dict[int, OpenText] = {}
        self._show = show
        self._shown: dict[int, ShownText] = {}
        self.on_attach: Callable[[], None] | None = None
        """Called after an attach; the writer may have waited for it. It must not raise."""

    def open(self, text_slot: int, text: OpenText) -> None:
        """Writer: a text began."""
        if self._show is not None and text.channel == "text":
            self._shown[text_slot] = self._show(text)
        self._slots[text_slot] = text
        self._unattached[text_slot] = text

    @property
    def shows_parts(self) -> bool:
        """Of some texts only a part is shown, and `close` must be said."""
        return self._show is not None

    def close(self, text_slot: int) -> None:
        """Writer: nothing more is said there; what was held back of it is shown."""
        shown = self._shown.get(text_slot)
        if shown is not None:
            shown.close()

    def attach(self, text_slot: int) -> OpenText:
        """Session: take over the text of a slot that `TextBegan` named. Raises KeyError for a slot never opened."""
        text = self._slots[text_slot]
        self._unattached.pop(text_slot, None)
        if self.on_attach is not None:
            self.on_attach()
        shown = self._shown.get(text_slot)
        return text if shown is None else shown.shown

    def follow(self, text_slot: int, on_open: Callable[[OpenText], None]) -> None:
        """Session: hear of the texts that are shown apart from this one."""
        shown = self._shown.get(text_slot)
        if shown is not None:
            shown.follow(on_open)

    @property
    def all_attached(self) -> bool:
        """Whether every text that was opened has been taken over."""
        return not self._unattached

    def undelivered_chars(self) -> int:
        """Characters in texts that the session has not attached yet."""
        return sum(text.chars for text in self._unattached.values())
