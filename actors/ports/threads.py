"""Blocking work, off the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads(Protocol):
    """A bounded pool of worker threads."""

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        """Run ``work(*args)`` in a thread and return its result. Not abandoned on cancellation: it is waited for."""
        ...
