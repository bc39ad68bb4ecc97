"""What a wrong token costs its sender: time. Pure.

The first few are answered at once, for people mistype; from then on each answer waits longer, as long as they keep
coming. A right token never waits, so nobody can lock the owner out, which a limit per address would (on loopback all
have the same). A token of 256 bits cannot be guessed at any speed; this keeps a guesser from filling the log and the
processor.
"""

from __future__ import annotations

FREE = 5
"""Failures that are answered at once."""

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
"""The delay doubles from the one to the other."""

FORGET_SECONDS = 30.0
"""For one failure to be forgotten."""


class Failures:
    """How many there were lately."""

    def __init__(self) -> None:
        self._count = 0.0
        self._at = 0.0
        self.total = 0

    def note(self, now: float) -> float:
        """One more, at ``now`` (monotonic seconds); how long its answer waits, in seconds."""
        self._count = max(0.0, self._count - (now - self._at) / FORGET_SECONDS) + 1
        self._at = now
        self.total += 1
        beyond = self._count - FREE
        return 0.0 if beyond <= 0 else min(FIRST_SECONDS * 2 ** min(beyond - 1, 32), LONGEST_SECONDS)
