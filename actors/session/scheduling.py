"""In which order the calls of one response may run: a first-come read/write lock, as a pure function.

A parallel-safe call reads, any other writes. Calls take the lock in the model's order, so

* parallel-safe calls that follow one another run together;
* another call runs alone, after everything before it and before everything behind it;
* what is not known to be safe (its worker has not prepared it yet, or a person has yet to answer for it) counts by
  what is known of it so far, and an unknown counts as a writer: order is never given up for speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Place = Literal["waiting", "ready", "running", "over"]


class Waiting(NamedTuple):
    """One call as the lock sees it."""

    place: Place
    parallel_safe: bool


def may_start(calls: Sequence[Waiting]) -> list[int]:
    """Indices of the ready calls that may start now, in order."""
    starts: list[int] = []
    nothing_before = True
    only_readers_before = True
    for index, call in enumerate(calls):
        if call.place == "over":
            continue
        if call.place == "ready" and (only_readers_before if call.parallel_safe else nothing_before):
            starts.append(index)
        nothing_before = False
        if not call.parallel_safe:
            only_readers_before = False
    return starts
