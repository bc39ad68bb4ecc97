"""One life of the daemon: what its ports ask before they do anything, and what is recorded of it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


class Unplugged(BaseException):
    """Raised by every port of a life that has ended. Not an Exception: no retry and no supervisor may act on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chances:
    """How often what may happen happens. All are drawn from the seed."""

    short_read: float = 0.3
    """A receive returns only a part of what is there."""
    short_write: float = 0.1
    """A send that does not wait takes only a part of what would fit."""
    thread_delay_seconds: float = 0.002
    """Blocking work takes up to so long (virtual), so that it ends in other orders than it began."""
    pipe_bytes: int = 65536
    """What a socket or a pipe holds before its writer has to wait."""
    lost_worker: float = 0.0
    """A script's process dies over a frame, as of a lack of memory."""

    @classmethod
    def none(cls) -> Chances:
        """Nothing is cut or delayed."""
        return cls(short_read=0.0, short_write=0.0, thread_delay_seconds=0.0)


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One change to the world: when (virtual seconds of this run), in whose life (0: outside), what."""

    at: float
    life: int
    kind: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What happened in one life. Equal traces are equal runs."""

    seed: int
    outcome: Literal["finished", "crashed"]
    events: tuple[TraceEvent, ...]
    steps: int
    """Of the daemon's tasks: the range of `crash_at_step`."""
    effects: int
    """Of the daemon's on the world: the range of `crash_at_effect`."""
    schedule: str
    """A digest of which task stepped when."""
    result: object = field(compare=False, default=None)
    """What main returned."""


class Life:
    """The daemon from start to end. The ports of this life hold it and ask it first."""

    def __init__(
        self,
        number: int,
        seed: str,
        now: Callable[[], float],
        *,
        crash_at_step: int | None = None,
        crash_at_effect: int | None = None,
    ) -> None:
        self.number = number
        self.plugged = True
        self.steps = 0
        self.effects = 0
        self.events: list[TraceEvent] = []
        self.crash_at_step = crash_at_step
        self.crash_at_effect = crash_at_effect
        self.on_unplug: dict[object, Callable[[], None]] = {}
        """What the world does about sockets, locks and processes when this life ends; keyed by what they belong to."""
        self.kill: Callable[[], None] = self.unplug
        """Ends this life where it is: replaced by the world with a way that cancels its tasks too."""
        self._seed = seed
        self._now = now
        self._schedule = hashlib.blake2b(digest_size=16)

    def random(self, purpose: str) -> random.Random:
        """A generator of this life's own for one purpose, so that one port's draws do not shift another's."""
        return random.Random(f"{self._seed}/{purpose}")

    def check(self) -> None:
        """Raises Unplugged after the end: nothing can even be looked at."""
        if not self.plugged:
            raise Unplugged(f"life {self.number} has ended")

    def effect(self, kind: str, detail: str, *, torn: Callable[[], None] | None = None) -> None:
        """About to change the world. Raises Unplugged if the life has ended, or ends here.

        ``torn`` does a part of the change, for changes that a kill can cut in the middle.
        """
        self.check()
        self.effects += 1
        if self.effects == self.crash_at_effect:
            self.note("crash", f"at effect {self.effects}: {kind} {detail}")
            if torn is not None:
                torn()
            self.kill()
            raise Unplugged(f"life {self.number} ended at effect {self.effects}")
        self.note(kind, detail)

    def note(self, kind: str, detail: str) -> None:
        """Write into the trace."""
        self.events.append(TraceEvent(round(self._now(), 9), self.number, kind, detail))

    def stepped(self, task_name: str) -> None:
        """A task of the daemon ran until its next await."""
        self.steps += 1
        self._schedule.update(task_name.encode() + b"\n")
        if self.steps == self.crash_at_step and self.plugged:
            self.note("crash", f"at step {self.steps}: {task_name}")
            self.kill()

    def unplug(self) -> None:
        """From now on nothing of this life takes effect."""
        if self.plugged:
            self.plugged = False
            for let_go in list(self.on_unplug.values()):
                let_go()
            self.on_unplug.clear()

    def schedule_digest(self) -> str:
        """Of the order in which tasks ran."""
        return self._schedule.hexdigest()


def digest(data: bytes | bytearray | memoryview) -> str:
    """A short name for bytes in a trace."""
    return f"{len(data)}b {hashlib.blake2b(data, digest_size=6).hexdigest()}"
