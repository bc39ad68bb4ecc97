"""The ledger of a script's calls: from requested to started to exactly one outcome, folded from what happened.

The running session and the recovery fold the same events, so what a model is told of a script that was cut off does not
depend on who was there to see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from messages.script import (
    CallEnded,
    CallError,
    CallReport,
    CallRequested,
    CallStarted,
    ScriptEvent,
    ScriptPrinted,
    ScriptProgressed,
    ScriptPumped,
    ScriptStarted,
)
from messages.tools import ToolOutcome

_replace = msgspec.structs.replace


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a script."""

    number: int
    name: str
    line: int
    column: int
    started: bool = False
    outcome: ToolOutcome | None = None
    """None: it has not ended."""
    error: CallError | None = None
    seconds: float = 0.0


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a script, at one instant."""

    lines: tuple[LedgerLine, ...] = ()
    """In the order of the calls."""
    console: tuple[ScriptPrinted, ...] = ()

    def line(self, number: int) -> LedgerLine | None:
        """One call; None if it was never requested."""
        return next((line for line in self.lines if line.number == number), None)

    def with_event(self, event: ScriptEvent) -> Ledger | None:
        """The ledger after it; None when it says nothing new: a call is requested, and ends, once."""
        match event:
            case CallRequested():
                if self.line(event.number) is not None:
                    return None
                line = LedgerLine(number=event.number, name=event.name, line=event.line, column=event.column)
                return _replace(self, lines=(*self.lines, line))
            case CallStarted():
                return self._with_line(event.number, started=True)
            case CallEnded():
                before = self.line(event.number)
                if before is None or before.outcome is not None:
                    return None
                result = event.result
                return self._with_line(event.number, outcome=result.outcome, error=result.error, seconds=event.seconds)
            case ScriptPrinted():
                return _replace(self, console=(*self.console, event))
            case ScriptStarted() | ScriptPumped() | ScriptProgressed():
                return self
            case _:
                assert_never(event)

    def _with_line(self, number: int, **changes: object) -> Ledger:
        lines = tuple(_replace(line, **changes) if line.number == number else line for line in self.lines)
        return _replace(self, lines=lines)

    def reports(self) -> tuple[CallReport, ...]:
        """Each call with one outcome: what had started and nobody heard the end of is unknown."""
        return tuple(
            CallReport(
                number=line.number,
                name=line.name,
                line=line.line,
                column=line.column,
                outcome=line.outcome or ("unknown" if line.started else "cancelled"),
                started=line.started,
                orphaned=line.outcome is None,
                seconds=line.seconds,
                error=line.error,
            )
            for line in self.lines
        )


def ledger_of(events: Iterable[ScriptEvent]) -> Ledger:
    """The ledger that a log comes to."""
    ledger = Ledger()
    for event in events:
        ledger = ledger.with_event(event) or ledger
    return ledger
