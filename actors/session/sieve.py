"""Keeps scripts out of what is shown of a text: while it streams, and when it is whole.

A model writes its script into its text, and that text stays in history as it was written. What people are shown is the
text without it: `Sieve` passes on what is certain to be shown as the text grows, `visible` does the same for a whole
text. Both ask the same scanner, so what was shown while it streamed is what the finished item says.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.sandbox_pool.scanner import Block, Opened, Scanner, Visible
from actors.session.open_text import OpenText
from actors.session.writing import Writing
from messages.items import HistoryItem, MessageItem, OutputText

_item: msgspec.json.Decoder[MessageItem] = msgspec.json.Decoder(MessageItem)

MARK = "<tool-calls>"
"""A text without this holds no script, and most texts are spared the scanner."""


class Sieve:
    """Between a text as its writer holds it and what is shown of it."""

    __slots__ = ("_offset", "_on_script", "_raw", "_scanner", "_writing", "shown")

    def __init__(self, raw: OpenText, on_script: Callable[[], None]) -> None:
        """``on_script``: called when a script has begun, long before it can be run."""
        self.shown = OpenText(raw.channel, raw.index)
        self._on_script = on_script
        self._raw = raw
        self._offset = 0
        self._writing = Writing()
        self._scanner = Scanner(watcher=self._writing)
        raw.on_grow = self._grown
        self._grown()

    def close(self) -> None:
        """The writer has ended it."""
        self._raw.on_grow = None
        self._pass(self._scanner.close())

    def follow(self, on_open: Callable[[OpenText], None]) -> None:
        """Hear of each script as a text that grows."""
        self._writing.follow(on_open)

    def _grown(self) -> None:
        fresh = self._raw.since(self._offset)
        if fresh:
            self._offset += len(fresh)
            self._pass(self._scanner.feed(fresh))

    def _pass(self, pieces: list[Visible | Opened | Block]) -> None:
        for piece in pieces:
            if isinstance(piece, Visible):
                self.shown.append(piece.text)
            elif isinstance(piece, Opened):
                self._on_script()


def scan(text: str) -> tuple[str, tuple[Block, ...]]:
    """A whole text's visible part, and its scripts in order."""
    if MARK not in text:
        return text, ()
    scanner = Scanner()
    pieces = [*scanner.feed(text), *scanner.close()]
    visible = "".join(piece.text for piece in pieces if isinstance(piece, Visible))
    return visible, tuple(piece for piece in pieces if isinstance(piece, Block))


def scripts_of(item: HistoryItem) -> tuple[Block, ...]:
    """The scripts in an item that a model has finished, in order."""
    if item.kind != "message" or MARK.encode() not in item.raw.replace(b"\\u003c", b"<").replace(b"\\u003e", b">"):
        return ()
    try:
        message = _item.decode(item.raw)
    except (msgspec.DecodeError, RecursionError):
        return ()
    return tuple(block for part in message.content if isinstance(part, OutputText) for block in scan(part.text)[1])
