"""What time it is. To *wait*, use trio: its clock is real in production and virtual in tests."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for people, one for durations."""

    def now(self) -> float:
        """Unix time in seconds. May jump; for timestamps only."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back (trio's clock); for durations and deadlines."""
        ...
