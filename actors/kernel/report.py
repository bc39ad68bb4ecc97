"""Reports of whoever runs actors: every one has the same four keys, so that all failures look alike in a log.

supervisor  who reports (its path)
context     what happened
offender    the child it happened to (its path)
reason      in words

OTP's supervisors report in these four words (`?report_error` in `supervisor.erl`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

RECENT_REPORTS = 64
"""Kept for whoever looks later (`callboard ps`, a test), without the errors, whose tracebacks would keep the frames of
dead actors and all they held; the observers have long written those elsewhere."""

Happened = Literal[
    "start_failed",
    "crashed",
    "crashed_while_stopping",
    "restarting",
    "ended",
    "quarantined",
    "stuck",
    "gave_up",
    "escalated",
]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a child."""

    supervisor: str
    context: Happened
    offender: str
    reason: str
    error: BaseException | None = None
    """With its traceback. Its text may quote what the actor handled: do not send it to clients."""
    stack: tuple[str, ...] = ()
    """For a stuck child: where it is, outermost call first."""


class Reports:
    """Where reports go: to every observer, and into a short memory."""

    __slots__ = ("_observers", "recent")

    def __init__(self) -> None:
        self.recent: deque[Report] = deque(maxlen=RECENT_REPORTS)
        self._observers: list[Callable[[Report], None]] = []

    def observe(self, observer: Callable[[Report], None]) -> None:
        """Call ``observer`` with each report from now on. It must not raise or block."""
        self._observers.append(observer)

    def add(self, report: Report) -> None:
        """Report."""
        self.recent.append(msgspec.structs.replace(report, error=None))
        for observer in tuple(self._observers):
            observer(report)
