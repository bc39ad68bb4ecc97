"""How supervision itself fails. Both are crashes of the supervisor, to be judged by the one above it.

StartError       a child could not be started, so its supervisor could not either
StuckError       a child does not end though it was cancelled, and a restart needs it gone
EscalationError  children crashed more often than the supervisor may restart them
"""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One crash in a supervisor's history."""

    child: str
    at: float
    """Trio's clock, seconds."""
    reason: str
    """Its error in words: the error itself would keep the frames of a dead actor and all they held."""


class SupervisionError(Exception):
    """Abstract: raise one of its subclasses."""


class StartError(SupervisionError):
    """A child failed before it had started; the cause is what it failed with. Its elder siblings have been stopped."""

    def __init__(self, supervisor: str, child: str, reason: str) -> None:
        super().__init__(supervisor, child, reason)
        self.supervisor = supervisor
        self.child = child
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.supervisor!r} could not start its child {self.child!r}: {self.reason}"


class StuckError(SupervisionError):
    """A cancelled child does not end; a trio task cannot be killed, so what depends on its end cannot go on."""

    def __init__(self, supervisor: str, child: str) -> None:
        super().__init__(supervisor, child)
        self.supervisor = supervisor
        self.child = child

    def __str__(self) -> str:
        return (
            f"{self.supervisor!r}: child {self.child!r} does not end though it was cancelled; "
            "its stack is in the report, and only ending the process ends it"
        )


class EscalationError(SupervisionError):
    """More crashes than `intensity` in `period` seconds; the cause is the last. All children have been stopped."""

    def __init__(self, supervisor: str, intensity: int, period: float, history: tuple[Failure, ...]) -> None:
        super().__init__(supervisor, intensity, period, history)
        self.supervisor = supervisor
        self.intensity = intensity
        self.period = period
        self.history = history
        """The crashes that led here, oldest first."""

    def __str__(self) -> str:
        crashes = "; ".join(f"{failure.child} at {failure.at:.1f} s: {failure.reason}" for failure in self.history)
        return (
            f"{self.supervisor!r} gave up: more than {self.intensity} restarts within {self.period:g} s ({crashes}). "
            "Look at the first of these; the later ones are usually its echo"
        )
