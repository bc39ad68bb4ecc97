"""What a supervisor with a fixed list of children does next. Pure: events and the time go in, actions come out.

Every rule of ordered supervision is in this file, and this file knows neither tasks nor clocks.

Rules
1. Children start in order, each after the one before it has *started* (not just been launched). The supervisor itself
   has started when all have.
2. A child that fails before its first start fails the supervisor: what had started is stopped in reverse (StartError).
3. An unasked ending is judged by the child's restart type. A restart is counted (one too many: escalate), waits for
   its backoff, and concerns the siblings that the strategy names: they are stopped in reverse first, then all
   start in order. A failed restart is an ending like any other: counted, backed off, tried again.
4. Waiting for a backoff, a start or a stop is a *state*, never a loop: a shutdown that arrives meanwhile is served at
   once (OTP's `try_again_restart`).
5. A stop is: ask; after the child's own `shutdown` seconds cancel; after `CANCEL_GRACE_SECONDS` report it as stuck and
   go on with the next. One that takes no `Shutdown` (yet) is cancelled at once.
6. A child that is stuck while a restart needs it gone is beyond help from here: StuckError. A supervisor that has
   only stuck children left tells the one above, so that the stop of everybody else goes on.

Rejected: one task per child that restarts itself (order between siblings then needs locks), and immutable state
(copied for each event; the plan has one owner, as a connection state machine has).
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Sequence

import msgspec

from actors.kernel import Ending
from supervisors.child import CANCEL_GRACE_SECONDS, ChildSpec
from supervisors.errors import EscalationError, Failure, StartError, StuckError, SupervisionError
from supervisors.strategy import AutoShutdown, Backoff, RestartIntensity, Strategy, concerned, wants_restart


class Phase(enum.Enum):
    """Where one child is."""

    DOWN = "down"
    STARTING = "starting"
    RUNNING = "running"
    ASKED = "asked to end"
    CANCELLED = "cancelled"
    STUCK = "stuck"


# --- actions --------------------------------------------------------------------------------------------------------


class StartChild(msgspec.Struct, frozen=True):
    """Begin a life of it."""

    id: str


class AskChild(msgspec.Struct, frozen=True):
    """Ask it to end within ``grace_seconds``. If it takes no such message, cancel it and say so (`Plan.cancelled`)."""

    id: str
    grace_seconds: float


class CancelChild(msgspec.Struct, frozen=True):
    """Cancel its task."""

    id: str


class ReportRestart(msgspec.Struct, frozen=True):
    """It will be started again in ``seconds``."""

    id: str
    seconds: float


class ReportStuck(msgspec.Struct, frozen=True):
    """It does not end though it was cancelled."""

    id: str


class RemoveChild(msgspec.Struct, frozen=True):
    """It ended for good."""

    id: str


class SayStarted(msgspec.Struct, frozen=True):
    """All children have started, so the supervisor has."""


class Finish(msgspec.Struct, frozen=True):
    """Nothing is left but what is stuck; end, with ``error`` if there is one."""

    error: SupervisionError | None


Action = StartChild | AskChild | CancelChild | ReportRestart | ReportStuck | RemoveChild | SayStarted | Finish


class _Slot(msgspec.Struct, kw_only=True):
    """One child's part of the state."""

    spec: ChildSpec
    phase: Phase = Phase.DOWN
    wanted: bool = True
    """It is to run, now or after a backoff."""
    stopping: bool = False
    """It is to end, whatever comes after."""
    not_before: float = 0.0
    """When it may be started."""
    deadline: float = 0.0
    """While ASKED or CANCELLED: when patience ends."""
    started_at: float = 0.0
    booted: bool = False
    """It has started at least once."""
    running_life: bool = False
    """This life of it has started."""
    failures: int = 0
    """Crashes in a row without a healthy life between them."""

    @property
    def alive(self) -> bool:
        return self.phase is not Phase.DOWN


class Plan:
    """The state of one supervisor's life. Call an event's method, carry out the actions it returns, in order."""

    def __init__(
        self,
        *,
        supervisor: str,
        specs: Sequence[ChildSpec],
        strategy: Strategy,
        intensity: RestartIntensity,
        backoff: Backoff,
        auto_shutdown: AutoShutdown,
        rng: random.Random,
    ) -> None:
        self.supervisor = supervisor
        self.specs = specs
        self.strategy = strategy
        self.intensity = intensity
        self.backoff = backoff
        self.auto_shutdown = auto_shutdown
        self.rng = rng
        self._slots = {spec.id: _Slot(spec=spec) for spec in specs}
        if len(self._slots) != len(specs):
            raise ValueError(f"supervisor {supervisor!r} has two children of one id")
        self._order = tuple(self._slots.values())
        self._history: deque[Failure] = deque(maxlen=intensity.intensity + 1)
        self._ending = False
        self._said_started = False
        self._finished = False
        self._error: SupervisionError | None = None

    # --- events -----------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[Action]:
        """The supervisor's life begins."""
        return self._advance(now)

    def started(self, id_: str, now: float) -> list[Action]:
        """The child said that it has started."""
        slot = self._slots[id_]
        slot.booted = slot.running_life = True
        slot.started_at = now
        if slot.phase is Phase.STARTING:
            slot.phase = Phase.RUNNING
        return self._advance(now)

    def ended(self, id_: str, ending: Ending, error: BaseException | None, now: float) -> list[Action]:
        """Nothing of this life of the child runs any more."""
        slot = self._slots[id_]
        actions: list[Action] = []
        had_started = slot.running_life
        slot.running_life = False
        slot.phase = Phase.DOWN
        if slot.stopping:
            slot.stopping = False
            if slot.spec.restart == "temporary" and not self._ending:
                slot.wanted = False
                actions.append(RemoveChild(id_))
        elif not had_started and not slot.booted:
            reason = Ending.STOPPED.value if error is None else _words(error)
            failed = StartError(self.supervisor, id_, reason)
            failed.__cause__ = error
            self._end(failed)
        elif wants_restart(slot.spec.restart, ending):
            actions += self._restart(slot, ending, error, now, had_started=had_started)
        else:
            slot.wanted = False
            actions.append(RemoveChild(id_))
            self._consider_auto_shutdown(slot)
        return actions + self._advance(now)

    def cancelled(self, id_: str, now: float) -> list[Action]:
        """The child could not be asked, so it has been cancelled."""
        slot = self._slots[id_]
        if slot.phase is Phase.ASKED:
            slot.phase = Phase.CANCELLED
            slot.deadline = now + CANCEL_GRACE_SECONDS
        return []

    def child_stuck(self, id_: str, now: float) -> list[Action]:
        """The child, a supervisor, has stopped all it could and waits for a stuck one of its own."""
        slot = self._slots[id_]
        if slot.alive:
            slot.phase = Phase.STUCK
            slot.stopping = True
            if not self._ending:
                self._end(StuckError(self.supervisor, id_))
        return self._advance(now)

    def stop(self, now: float) -> list[Action]:
        """The supervisor is asked to end."""
        self._end(None)
        return self._advance(now)

    def tick(self, now: float) -> list[Action]:
        """Time has passed; call it at `next_due` at the latest."""
        return self._advance(now)

    def next_due(self, now: float) -> float | None:
        """When `tick` has something to do; None: not before the next event.

        Times that have passed are not due any more: what they allowed was done, or waits for another child's event.
        """
        times = [slot.deadline for slot in self._order if slot.phase in (Phase.ASKED, Phase.CANCELLED)]
        if not self._ending:
            times += [slot.not_before for slot in self._order if slot.wanted and not slot.alive]
        return min((time for time in times if time > now), default=None)

    @property
    def stuck(self) -> tuple[str, ...]:
        """The children that did not end."""
        return tuple(slot.spec.id for slot in self._order if slot.phase is Phase.STUCK)

    def phase(self, id_: str) -> Phase:
        """Where a child is."""
        return self._slots[id_].phase

    # --- rules ------------------------------------------------------------------------------------------------------

    def _restart(
        self, slot: _Slot, ending: Ending, error: BaseException | None, now: float, *, had_started: bool
    ) -> list[Action]:
        reason = f"it {ending.value}" if error is None else _words(error)
        self._history.append(Failure(child=slot.spec.id, at=now, reason=reason))
        if not self.intensity.allows(now):
            escalation = EscalationError(
                self.supervisor, self.intensity.intensity, self.intensity.period, tuple(self._history)
            )
            escalation.__cause__ = error
            self._end(escalation)
            return []
        healthy = had_started and now - slot.started_at >= self.backoff.healthy_seconds
        slot.failures = 1 if healthy else slot.failures + 1
        delay = self.backoff.delay(slot.failures, self.rng)
        for index in concerned(self.strategy, self._order.index(slot), len(self._order)):
            sibling = self._order[index]
            sibling.not_before = max(sibling.not_before, now + delay)
            if sibling.alive:
                sibling.stopping = True
        return [ReportRestart(slot.spec.id, delay)]

    def _consider_auto_shutdown(self, slot: _Slot) -> None:
        if not slot.spec.significant or self.auto_shutdown == "never":
            return
        others = any(other.spec.significant and other.wanted for other in self._order)
        if self.auto_shutdown == "any_significant" or not others:
            self._end(None)

    def _end(self, error: SupervisionError | None) -> None:
        if self._error is None:
            self._error = error
        self._ending = True
        for slot in self._order:
            slot.wanted = False
            slot.stopping = slot.alive

    # --- what follows from the state --------------------------------------------------------------------------------

    def _advance(self, now: float) -> list[Action]:
        actions: list[Action] = []
        self._advance_stops(now, actions)
        if self._ending:
            if not self._finished and all(slot.phase in (Phase.DOWN, Phase.STUCK) for slot in self._order):
                self._finished = True
                actions.append(Finish(self._error))
        elif not any(slot.stopping for slot in self._order):
            self._advance_starts(now, actions)
        return actions

    def _advance_stops(self, now: float, actions: list[Action]) -> None:
        """The last started of those to be stopped is asked, cancelled, reported; only then the one before it."""
        for slot in reversed(self._order):
            if not slot.stopping or slot.phase is Phase.STUCK:
                continue
            id_, shutdown = slot.spec.id, slot.spec.shutdown
            if slot.phase in (Phase.STARTING, Phase.RUNNING) and shutdown > 0:
                slot.phase = Phase.ASKED
                slot.deadline = now + shutdown
                actions.append(AskChild(id_, shutdown))
            elif slot.phase in (Phase.STARTING, Phase.RUNNING) or (slot.phase is Phase.ASKED and now >= slot.deadline):
                slot.phase = Phase.CANCELLED
                slot.deadline = now + CANCEL_GRACE_SECONDS
                actions.append(CancelChild(id_))
            elif slot.phase is Phase.CANCELLED and now >= slot.deadline:
                slot.phase = Phase.STUCK
                actions.append(ReportStuck(id_))
                if not self._ending:
                    self._end(StuckError(self.supervisor, id_))
                    self._advance_stops(now, actions)
                    return
                continue
            return

    def _advance_starts(self, now: float, actions: list[Action]) -> None:
        ordered = self.strategy is not Strategy.ONE_FOR_ONE
        waiting = False
        for slot in self._order:
            if not slot.wanted:
                continue
            # Among equals only the first start is in order; where siblings depend on each other every start is.
            if slot.phase is Phase.DOWN and now >= slot.not_before and not (waiting and (ordered or not slot.booted)):
                slot.phase = Phase.STARTING
                slot.not_before = 0.0
                actions.append(StartChild(slot.spec.id))
            if slot.phase is not Phase.RUNNING and (ordered or not slot.booted):
                waiting = True
        if not waiting and not self._said_started and all(slot.booted or not slot.wanted for slot in self._order):
            self._said_started = True
            actions.append(SayStarted())


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
