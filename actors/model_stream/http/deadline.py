"""httpx2's timeouts as deadlines of trio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import trio


@contextmanager
def deadline(seconds: float | None, error: type[httpx2.TimeoutException], what: str) -> Iterator[None]:
    """Raise ``error`` when the block takes longer; None is no deadline."""
    if seconds is None:
        yield
        return
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise error(f"{what} within {seconds:g} s")
