"""What a person sees while something takes long: what it is, and for how long it has taken already."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from rich.spinner import Spinner
from rich.text import Text

from actors.console.screen import Screen


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say so on a terminal, for the length of a block and on the standard error output: pipes get nothing of it."""
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what, style="dim")):
        yield


class Wait:
    """A wait that a live view draws: a spinner, and the seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since = trio.current_time()
        self._spinner = Spinner("dots", style="yellow")

    def drawn(self) -> Spinner:
        """As it is now."""
        seconds = math.floor(trio.current_time() - self._since)
        self._spinner.update(text=Text(f"{self._what} · {seconds} s", style="yellow"))
        return self._spinner
