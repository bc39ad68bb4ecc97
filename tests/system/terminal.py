"""A command in a terminal of its own, with a person at its keys.

A bare pty: what is shown is kept as the text that was printed, without the sequences that place and colour it. What a
screen looks like after a redraw is for tmux (`tests/conformance/terminal.py`).
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Self

from tests.system.daemon import CALLBOARD, MARK, clean_environment

SECONDS = 15.0
"""For anything to be shown. More means that it hangs."""

TOLD_CHARS = 4000
"""Of what was shown, when something was not."""

ROWS, COLUMNS = 40, 120

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Terminal:
    """``callboard`` with these words, for the length of a ``with`` block."""

    def __init__(self, home: Path, *words: str) -> None:
        self.keys, theirs = pty.openpty()
        self.resize(ROWS, COLUMNS)
        self.process = subprocess.Popen(
            [str(CALLBOARD), *words],
            env={**_surroundings(), "CALLBOARD_HOME": str(home), "TERM": "xterm-256color", MARK: "cli"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=_own_terminal,
        )
        os.close(theirs)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._printed = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def shown(self) -> str:
        """All that was printed so far, as text."""
        return _SEQUENCE.sub("", self._printed)

    def until(self, words: str) -> None:
        """Read what it shows until it says that. Raises AssertionError."""
        deadline = time.monotonic() + SECONDS
        while words not in self.shown:
            more = self._read(deadline)
            assert more, f"{words!r} was not shown: {self.shown[-TOLD_CHARS:]}"
            self._printed += more

    def until_new(self, words: str) -> None:
        """The same for what is printed behind the last such words. Raises AssertionError."""
        deadline = time.monotonic() + SECONDS
        while (at := self.shown.find(words, self._seen)) < 0:
            more = self._read(deadline)
            assert more, f"{words!r} was not shown again: {self.shown[self._seen :][-TOLD_CHARS:]}"
            self._printed += more
        self._seen = at + len(words)

    def press(self, key: bytes) -> None:
        os.write(self.keys, key)

    def resize(self, rows: int, columns: int) -> None:
        """As when a window is dragged; the program is told by SIGWINCH."""
        fcntl.ioctl(self.keys, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def ended(self) -> int:
        """Its exit code."""
        deadline = time.monotonic() + SECONDS
        while more := self._read(deadline):
            self._printed += more
        return self.process.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.keys)

    def _read(self, deadline: float) -> str:
        """What it shows next; nothing at its end, or when the time is over."""
        readable, _, _ = select.select([self.keys], [], [], max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(OSError):  # what a terminal says when nobody is behind it any more
            return self._decoder.decode(os.read(self.keys, 65536)) if readable else ""
        return ""


def _surroundings() -> dict[str, str]:
    """Ours, but for the size of a terminal that some test runners hand on: it has one of its own."""
    return {name: value for name, value in clean_environment().items() if name not in ("COLUMNS", "LINES")}


def _own_terminal() -> None:
    """In the child: a session whose terminal is standard input, so that Ctrl-C reaches it as from a keyboard."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
