"""Waiting in tests: a hard end that says what was still there, and looking until something is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from tests.system.daemon import DaemonProcess

POLL_SECONDS = 0.01


@contextmanager
def deadline(seconds: float, *daemons: DaemonProcess) -> Iterator[None]:
    """Fail after so long, naming the living processes of the daemons and what they printed."""
    try:
        with trio.fail_after(seconds):
            yield
    except trio.TooSlowError as error:
        for daemon in daemons:
            error.add_note(f"still there: {daemon.leftovers()}")
            error.add_note(f"the daemon printed: {daemon.printed()}")
        raise


async def until(true: Callable[[], object]) -> None:
    """What other processes do raises no event here: look again and again. The deadline is the test's."""
    while not true():  # noqa: ASYNC110  # see above
        await trio.sleep(POLL_SECONDS)
