"""The promise ledger of a running script: its calls and timers, each outstanding until it has ended once.

A call is requested and queued, started in its turn (so many at a time), and ended with one result; what has ended waits
here for the next pump. The book keeps that order and says what it makes happen; when a script may go on, and what its
end does to its calls, is the driver's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from actors.sandbox_pool.driving import DropTimer, Effect, SetTimer, StartCall, StopCall, Tell
from messages.script import CallEnded, CallError, CallReport, CallResult, CallStarted, Settled

CANCELLED = CallError(code="cancelled", message="it was cancelled because the script has ended")
UNKNOWN = CallError(
    code="unknown",
    message="the daemon was restarted while it ran: it may or may not have taken effect; look before repeating it",
)


@dataclass(slots=True)
class BookedCall:
    """One call of the script."""

    number: int
    name: str
    """In the script."""
    tool: str
    """In the registry."""
    arguments: str
    line: int
    column: int
    state: Literal["queued", "running", "ended"] = "queued"
    result: CallResult | None = None
    asks: bool = False
    """It waits for a person."""
    started: bool = False
    orphaned: bool = False
    began_at: float = 0.0
    seconds: float = 0.0


class Book:
    """Of one life of a worker: a replaced worker begins a new one."""

    def __init__(self, script_id: str, calls_at_once: int) -> None:
        self._script_id = script_id
        self._calls_at_once = calls_at_once
        self.calls: dict[int, BookedCall] = {}
        self.queue: deque[BookedCall] = deque()
        self.running: dict[int, BookedCall] = {}
        self.acted = False
        """Whether any call was started: from then on something may have happened."""
        self.timers: dict[int, float] = {}
        """Those that have not fired: seconds of each."""
        self.timers_set = 0
        self.arrived: list[Settled] = []
        """What has ended, and has not been told to the script."""

    def call_id(self, number: int) -> str:
        """What the script knows a call as."""
        return f"{self._script_id}:{number}"

    @property
    def only_asks(self) -> bool:
        """Whether everything outstanding is an approval."""
        return not self.timers and bool(self.running) and all(call.asks for call in self.running.values())

    @property
    def nothing_outstanding(self) -> bool:
        """Whether a script that waits now waits for ever."""
        return not self.running and not self.queue and not self.timers

    # ── calls ──

    def start_queued(self, now: float, effects: list[Effect]) -> None:
        """As many as there is room for."""
        while self.queue and len(self.running) < self._calls_at_once:
            self.start(self.queue.popleft(), now, effects)

    def start(self, call: BookedCall, now: float, effects: list[Effect]) -> None:
        """Now."""
        call.state, call.started, call.began_at = "running", True, now
        self.running[call.number] = call
        self.acted = True
        effects.append(Tell(event=CallStarted(number=call.number)))
        effects.append(
            StartCall(
                number=call.number,
                call_id=self.call_id(call.number),
                name=call.name,
                tool=call.tool,
                arguments=call.arguments,
                line=call.line,
                column=call.column,
            )
        )

    def settle(self, call: BookedCall, result: CallResult, effects: list[Effect]) -> None:
        """It has ended like this, once and for all."""
        call.state, call.result, call.asks = "ended", result, False
        effects.append(Tell(event=CallEnded(number=call.number, result=result, seconds=call.seconds)))
        self.arrived.append(Settled(kind="call", number=call.number))

    def recall(self, call: BookedCall, ended: CallEnded, *, started: bool) -> None:
        """It ended like this in an earlier life of the daemon."""
        call.state, call.started = "ended", started
        call.result, call.seconds = ended.result, ended.seconds

    def cancel_queued(self, effects: list[Effect]) -> None:
        """What has not started does not start any more."""
        for call in self.calls.values():
            if call.state == "queued":
                call.orphaned = True
                self.settle(call, CallResult(outcome="cancelled", error=CANCELLED), effects)
        self.queue.clear()

    def stop_running(self, effects: list[Effect]) -> None:
        """Their ends are still waited for."""
        effects += [StopCall(number=number) for number in self.running]

    def reports(self) -> tuple[CallReport, ...]:
        """Every call, in the order of the calls. All have ended."""
        return tuple(_report(call) for call in sorted(self.calls.values(), key=lambda call: call.number))

    # ── timers ──

    def timer_fired(self, number: int) -> None:
        """Its time has come; nothing, if it was dropped."""
        if self.timers.pop(number, None) is not None:
            self.arrived.append(Settled(kind="timer", number=number))

    def clear_timer(self, number: int, effects: list[Effect]) -> None:
        """The script does not want it, even if it has fired."""
        if self.timers.pop(number, None) is not None:
            effects.append(DropTimer(number=number))
        self.arrived = [each for each in self.arrived if each != Settled(kind="timer", number=number)]

    def set_timers(self, effects: list[Effect]) -> None:
        """Let those run that are only booked."""
        effects += [SetTimer(number=number, seconds=seconds) for number, seconds in self.timers.items()]

    def drop_timers(self, effects: list[Effect]) -> None:
        """All."""
        effects += [DropTimer(number=number) for number in self.timers]
        self.timers.clear()


def _report(call: BookedCall) -> CallReport:
    assert call.result is not None
    return CallReport(
        number=call.number,
        name=call.name,
        line=call.line,
        column=call.column,
        outcome=call.result.outcome,
        started=call.started,
        orphaned=call.orphaned,
        seconds=call.seconds,
        error=call.result.error,
    )
