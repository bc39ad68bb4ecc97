"""The scripts in a text while a model writes them: hidden from the text, and shown as texts of their own as they grow.

A script can take a model half a minute to write, in which its message stands still. People see what is coming, and may
interrupt before it runs. Each script is an open text beside its message's, so it is merged, paced and caught up as any
other; its offsets are those of the script's source. What is shown here is for eyes: only the whole block is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from actors.sandbox_pool.scanner import CLOSING
from actors.session.open_text import OpenText

_FIRST_BREAK = re.compile(r"[ \t]*\r?\n")
"""Behind the opening tag; it is none of the source's."""

_BLANK = re.compile(r"[ \t]*\r?")


class Writing:
    """Of one text. `opened`, `written` and `ended` are called by whoever reads it (`scanner.Watcher`)."""

    __slots__ = ("_begun", "_held", "_on_open", "_texts")

    def __init__(self) -> None:
        self._texts: list[OpenText] = []
        self._on_open: Callable[[OpenText], None] | None = None
        self._held = ""
        """What may be the line break behind the opening tag, or the beginning of the closing one."""
        self._begun = False

    def follow(self, on_open: Callable[[OpenText], None]) -> None:
        """Hear of each script: of those that have begun now, of others when they do. It must not raise."""
        for text in self._texts:
            on_open(text)
        self._on_open = on_open

    def opened(self) -> None:
        """A script begins."""
        self._texts.append(OpenText("script", len(self._texts)))
        self._held, self._begun = "", False
        if self._on_open is not None:
            self._on_open(self._texts[-1])

    def written(self, text: str) -> None:
        """It goes on. Its end comes with its closing tag."""
        text, self._held = self._held + text, ""
        if not self._begun:
            if _BLANK.fullmatch(text):
                self._held = text
                return
            first = _FIRST_BREAK.match(text)
            text = text if first is None else text[first.end() :]
            self._begun = True
        end = len(text) - _begun_tag(text)
        self._texts[-1].append(text[:end])
        self._held = text[end:]

    def ended(self) -> None:
        """It is whole, or the response is over."""
        if self._held != CLOSING:
            self._texts[-1].append(self._held)
        self._held = ""


def _begun_tag(text: str) -> int:
    """How many of the last characters may be those with which the closing tag begins."""
    at = text.rfind("<", max(len(text) - len(CLOSING), 0))
    return len(text) - at if at >= 0 and CLOSING.startswith(text[at:]) else 0
