"""How much of its reasoning clients are shown, and in which pieces. Display only: history keeps all of it.

    none       nothing: no item, no text
    readable   the summary a provider makes of it; the thoughts themselves only where there is no summary
    raw        everything that comes

A model may think for a hundred thousand tokens, a few characters at a time. So reasoning is shown in pieces of at least
`PIECE_CHARS` (or up to the end of a line, or of the text), and up to a limit of the settings; behind that one sentence
says that there is more. Each part of a summary is announced before its text (`ReasoningPartAdded`).

Rejected: showing pieces by the clock (a timer for every thread that thinks), and cutting what is kept (replay needs
every byte of it).
"""

from __future__ import annotations

import msgspec

from actors.session.open_text import OpenText
from messages.client.item import Reasoning, ThreadItem
from messages.model import TextChannel
from messages.session import ThreadSettings

PIECE_CHARS = 48
"""A dozen tokens: an eye reads no faster, and a frame then costs its text more than its envelope."""

MORE = "\n\n(There is more reasoning than is shown here.)"

CHANNELS: tuple[TextChannel, ...] = ("summary", "reasoning")


def is_shown(kind: str, settings: ThreadSettings) -> bool:
    """Whether an item of this kind is shown at all."""
    return kind != "reasoning" or settings.show_reasoning != "none"


def is_text_shown(channel: TextChannel, *, summarised: bool, settings: ThreadSettings) -> bool:
    """Whether a text is. ``summarised``: its item has a summary."""
    return channel != "reasoning" or settings.show_reasoning == "raw" or not summarised


def limit_of(channel: TextChannel, settings: ThreadSettings) -> int | None:
    """How many characters of a text are shown; None: all, as they come."""
    return settings.show_reasoning_chars if channel in CHANNELS else None


def as_shown(item: ThreadItem, settings: ThreadSettings) -> ThreadItem:
    """A whole item as clients are shown it."""
    if not isinstance(item, Reasoning):
        return item
    content = item.content if settings.show_reasoning == "raw" or not any(item.summary) else ()
    limit = settings.show_reasoning_chars
    return msgspec.structs.replace(
        item,
        summary=tuple(_cut(text, limit) for text in item.summary),
        content=tuple(_cut(text, limit) for text in content),
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + MORE


class InPieces:
    """A growing text as it is shown: ``text`` follows ``source`` piece by piece, up to ``limit`` characters."""

    __slots__ = ("_limit", "_source", "_taken", "text")

    def __init__(self, source: OpenText, limit: int) -> None:
        self.text = OpenText(source.channel, source.index)
        self._source = source
        self._limit = limit
        self._taken = 0
        self.flush()
        source.on_grow = self._grown

    def flush(self) -> None:
        """Show what is left: the text has ended, or something is shown behind it."""
        source, taken = self._source, self._taken
        if source.chars == taken:
            return
        self._taken = source.chars
        if taken > self._limit:
            return
        piece = source.since(taken)
        room = self._limit - taken
        self.text.append(piece if len(piece) <= room else piece[:room] + MORE)

    def _grown(self) -> None:
        source = self._source
        if source.chars - self._taken >= PIECE_CHARS or "\n" in source.pieces[-1]:
            self.flush()
