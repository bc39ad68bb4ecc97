"""Typing a secret: not shown, and given up with Ctrl-C like anything else."""

from __future__ import annotations

import contextlib
import getpass
import sys
import termios
from collections.abc import Iterator

import trio


async def typed_unseen(prompt: str) -> str:
    """A line from the terminal, which shows nothing of it. Empty at the end of input.

    When this is cancelled, the read is left behind in its thread and the terminal is put back as it was; waiting for
    the thread would mean to wait for the line.
    """
    with _terminal_put_back():
        try:
            return await trio.to_thread.run_sync(getpass.getpass, prompt, abandon_on_cancel=True)
        except EOFError:
            return ""


@contextlib.contextmanager
def _terminal_put_back() -> Iterator[None]:
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        if termios.tcgetattr(descriptor) != before:  # the read was left behind: it has not done so itself
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
            print(file=sys.stderr)  # the line that was never finished
