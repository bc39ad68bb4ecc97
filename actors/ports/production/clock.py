"""The machine's clocks."""

from __future__ import annotations

import time

import trio


class SystemClock:
    """The `Clock` port."""

    def now(self) -> float:
        """See `actors.ports.clock.Clock`."""
        return time.time()

    def monotonic(self) -> float:
        """See `actors.ports.clock.Clock`. Only inside `trio.run`."""
        return trio.current_time()
