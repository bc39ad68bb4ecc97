"""A line that is typed while other things are printed: keys as they come, and the line they make.

The terminal is put into its mode where each key comes at once and nothing is echoed (signals stay: Ctrl-C is still an
interrupt); what is typed is drawn by whoever owns the screen. The mode is put back on every way out.

Rejected: reading whole lines (what is printed meanwhile tears them apart), and a full-screen toolkit (those there are
run on another event loop, and what scrolled away would be gone).
"""

from __future__ import annotations

import codecs
import enum
import os
import re
import termios
import tty
from types import TracebackType
from typing import Any, Final, Self

import trio

READ_BYTES = 4096

HISTORY = 200
"""Lines that can be called back."""


class Named(enum.Enum):
    """Keys that are no text."""

    ENTER = "enter"
    BACKSPACE = "backspace"
    DELETE = "delete"
    HOME = "home"
    END = "end"
    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    ESCAPE = "escape"
    END_OF_INPUT = "ctrl-d"
    CUT_BEFORE = "ctrl-u"
    CUT_BEHIND = "ctrl-k"
    CUT_WORD = "ctrl-w"


Key = Named | str
"""A named key, or a run of printable text."""

NAMED: Final = {
    "\r": Named.ENTER,
    "\n": Named.ENTER,
    "\x7f": Named.BACKSPACE,
    "\x08": Named.BACKSPACE,
    "\x01": Named.HOME,
    "\x05": Named.END,
    "\x04": Named.END_OF_INPUT,
    "\x15": Named.CUT_BEFORE,
    "\x17": Named.CUT_WORD,
    "\x0b": Named.CUT_BEHIND,
    "\x1b": Named.ESCAPE,
    "\x1b[A": Named.UP,
    "\x1b[B": Named.DOWN,
    "\x1b[C": Named.RIGHT,
    "\x1b[D": Named.LEFT,
    "\x1b[H": Named.HOME,
    "\x1b[F": Named.END,
    "\x1b[3~": Named.DELETE,
    "\x1bOA": Named.UP,
    "\x1bOB": Named.DOWN,
    "\x1bOC": Named.RIGHT,
    "\x1bOD": Named.LEFT,
}

_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z])?|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f]+", re.DOTALL)

PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"
"""What a terminal puts around what is pasted, once it is asked to."""


def keys(text: str) -> list[Key]:
    """What was pressed, in order. Sequences and control characters without a name say nothing."""
    return [NAMED.get(key, key) for key in _KEY.findall(text) if key in NAMED or key[0] >= " "]


class LineEditor:
    """The line being typed. Pure."""

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0
        self._history: list[str] = []
        self._at: int | None = None
        self._draft = ""

    def press(self, key: Key) -> str | None:
        """Take one key in; the line, when it is Enter that was pressed."""
        match key:
            case Named.ENTER:
                return self._submit()
            case Named.BACKSPACE if self.cursor:
                self._cut(self.cursor - 1, self.cursor)
            case Named.DELETE:
                self._cut(self.cursor, self.cursor + 1)
            case Named.LEFT:
                self.cursor = max(self.cursor - 1, 0)
            case Named.RIGHT:
                self.cursor = min(self.cursor + 1, len(self.text))
            case Named.HOME:
                self.cursor = 0
            case Named.END:
                self.cursor = len(self.text)
            case Named.CUT_BEFORE:
                self._cut(0, self.cursor)
            case Named.CUT_BEHIND:
                self._cut(self.cursor, len(self.text))
            case Named.CUT_WORD:
                kept = self.text[: self.cursor].rstrip()
                self._cut(kept.rfind(" ") + 1, self.cursor)
            case Named.UP | Named.DOWN:
                self._recall(-1 if key is Named.UP else 1)
            case Named.BACKSPACE | Named.ESCAPE | Named.END_OF_INPUT:
                pass
            case str():
                self.text = self.text[: self.cursor] + key + self.text[self.cursor :]
                self.cursor += len(key)
        return None

    def _cut(self, begin: int, end: int) -> None:
        self.text = self.text[:begin] + self.text[end:]
        self.cursor = begin

    def _submit(self) -> str:
        line, self.text, self.cursor, self._at = self.text, "", 0, None
        if line.strip() and self._history[-1:] != [line]:
            self._history = [*self._history[-(HISTORY - 1) :], line]
        return line

    def _recall(self, step: int) -> None:
        if self._at is None:
            if step > 0 or not self._history:
                return
            self._draft, self._at = self.text, len(self._history)
        self._at = min(max(self._at + step, 0), len(self._history))
        self.text = self._draft if self._at == len(self._history) else self._history[self._at]
        if self._at == len(self._history):
            self._at = None
        self.cursor = len(self.text)


class Keyboard:
    """The terminal at ``descriptor``, key by key, for the length of a ``with`` block."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._before: list[Any] | None = None
        self._pasting = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor, termios.TCSADRAIN)  # what was typed while we started is kept
        os.write(1, b"\x1b[?2004h")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            os.write(1, b"\x1b[?2004l")
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    async def read(self) -> list[Key]:
        """The next keys; none at the end of input."""
        while True:
            await trio.lowlevel.wait_readable(self._descriptor)
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                return []
            pressed = self._pressed(self._decoder.decode(data))
            if pressed:
                return pressed

    def _pressed(self, text: str) -> list[Key]:
        """Keys, with what was pasted as one run of text, its line ends in it."""
        found: list[Key] = []
        while text:
            mark = PASTE_END if self._pasting else PASTE_BEGIN
            before, marked, text = text.partition(mark)
            if not self._pasting:
                found += keys(before)
            elif before:
                found.append(before.replace("\r", "\n"))
            if marked:
                self._pasting = not self._pasting
        return found
