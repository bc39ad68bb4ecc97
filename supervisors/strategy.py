"""The numbers and choices of supervision, pure: when to restart, how soon, how often, and whom else.

The words and their meaning are OTP's (`supervisor` in stdlib); the exponential backoff is ours, because a child that
fails on something outside (a full disk, a refused port) needs time rather than three quick tries.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from typing import Literal

import msgspec

from actors.kernel import Ending

Restart = Literal["permanent", "transient", "temporary"]
"""Restarted always; only after a crash; never."""

AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""Whether a supervisor ends by itself when its significant children have ended in their normal way."""


class Strategy(enum.Enum):
    """Whom a restart concerns."""

    ONE_FOR_ONE = "one_for_one"
    """The crashed child alone."""
    ONE_FOR_ALL = "one_for_all"
    """All children: they cannot do without one another."""
    REST_FOR_ONE = "rest_for_one"
    """The crashed child and those started after it, which depend on it."""


DEFAULT_INTENSITY = 3
DEFAULT_PERIOD = 5.0
"""Restarts, in seconds. OTP's default is 1 in 5 s without backoff; ours are spaced (0.1, 0.2, 0.4 s), so that a third
still falls into the same trouble's period and a fourth proves that restarting does not help."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before restart number ``n`` of a child that has not been healthy in between."""

    first_seconds: float = 0.1
    """Not to be felt by a user, and longer than a crash loop's own work."""
    factor: float = 2.0
    max_seconds: float = 30.0
    """A service that comes back is found within half a minute."""
    jitter: float = 0.2
    """± this fraction, so that children that fell together do not come back together."""
    healthy_seconds: float = 60.0
    """A life this long makes the next crash a first one again."""

    def delay(self, failures: int, rng: random.Random) -> float:
        """Seconds before the restart after the ``failures``-th crash in a row (1 is the first)."""
        exponent = min(failures - 1, 64)  # beyond it only the overflow of the float would be new
        seconds = min(self.max_seconds, self.first_seconds * self.factor**exponent)
        return seconds * (1 + self.jitter * (2 * rng.random() - 1))


DEFAULT_BACKOFF = Backoff()


class RestartIntensity:
    """At most ``intensity`` restarts in any ``period`` seconds."""

    __slots__ = ("_restarts", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        if intensity < 0 or period <= 0:
            raise ValueError(f"intensity must be at least 0 and period positive, not {intensity} in {period} s")
        self.intensity = intensity
        self.period = period
        self._restarts: deque[float] = deque(maxlen=intensity + 1)

    def allows(self, now: float) -> bool:
        """Count a restart at ``now`` (never going back); False: it is one too many."""
        while self._restarts and now - self._restarts[0] > self.period:
            self._restarts.popleft()
        self._restarts.append(now)
        return len(self._restarts) <= self.intensity


def wants_restart(restart: Restart, ending: Ending) -> bool:
    """Whether a child that ended like this, unasked, is started again."""
    match restart:
        case "permanent":
            return True
        case "transient":
            return ending is Ending.CRASHED
        case "temporary":
            return False


def concerned(strategy: Strategy, index: int, count: int) -> range:
    """Which children, by their place in the start order, a restart of number ``index`` of ``count`` concerns."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return range(index, index + 1)
        case Strategy.ONE_FOR_ALL:
            return range(count)
        case Strategy.REST_FOR_ONE:
            return range(index, count)
