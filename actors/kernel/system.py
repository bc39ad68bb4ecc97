"""What all actors of one daemon share: incarnation numbers, service names, dead letters, reports, jitter."""

from __future__ import annotations

import random

from actors.kernel.dead_letters import DeadLetters
from actors.kernel.directory import Directory
from actors.kernel.report import Reports


class System:
    """One world of actors. Two of them (two tests, two embedded daemons) know nothing of each other.

    ``random`` is for jitter only; a seeded one makes backoff reproducible. ``strict`` turns our own bugs that
    production survives and counts (a second reply) into errors; tests set it.
    """

    __slots__ = ("_incarnations", "dead_letters", "directory", "random", "reports", "strict")

    def __init__(self, *, random: random.Random, strict: bool = False) -> None:
        self.random = random
        self.strict = strict
        self.dead_letters = DeadLetters()
        self.directory = Directory(self)
        self.reports = Reports()
        self._incarnations = 0

    def next_incarnation(self) -> int:
        """A number no other life in this system has or had."""
        self._incarnations += 1
        return self._incarnations
