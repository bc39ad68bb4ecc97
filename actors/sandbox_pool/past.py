"""What the log of a script's earlier run says, sorted by what a replay asks of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from messages.script import (
    CallEnded,
    CallRequested,
    CallStarted,
    ScriptEvent,
    ScriptPrinted,
    ScriptProgressed,
    ScriptPumped,
    ScriptStarted,
)


@dataclass(slots=True)
class Past:
    """Empty for a script that runs for the first time. Nothing in it changes once it is read."""

    begun: ScriptStarted | None = None
    pumps: deque[ScriptPumped] = field(default_factory=deque)
    requested: dict[int, CallRequested] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    ended: dict[int, CallEnded] = field(default_factory=dict)
    """In the order of their ending."""
    printed: list[ScriptPrinted] = field(default_factory=list)
    progressed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to follow: no call was made and no pump given."""
        return not self.requested and not self.pumps


def read_past(log: Iterable[ScriptEvent]) -> Past:
    """Sort a log."""
    past = Past()
    for event in log:
        match event:
            case ScriptStarted():
                past.begun = event
            case CallRequested(number=number):
                past.requested[number] = event
            case CallStarted(number=number):
                past.started.add(number)
            case CallEnded(number=number):
                past.ended[number] = event
            case ScriptPumped():
                past.pumps.append(event)
            case ScriptPrinted():
                past.printed.append(event)
            case ScriptProgressed():
                past.progressed += 1
            case _ as unreachable:
                assert_never(unreachable)
    return past
