"""Messages that reached nobody: counted, and the last few listed, never with their content (it may hold a secret)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Literal

import msgspec

RECENT_LETTERS = 64
"""Enough to see a pattern in `callboard ps`; a flood of them tells no more than its first lines."""

COUNTED_PAIRS = 512
"""Different (address, message type) pairs counted one by one: more than our actors and types have. Then `OTHER`."""

OTHER = "(other)"

Why = Literal["dead", "unread", "nobody"]
"""The address was dead when it was sent; its actor ended before reading it; a service name had no incarnation."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message nobody will read."""

    name: str
    incarnation: int
    message_type: str
    why: Why


class DeadLetterCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many of one type were sent in vain to one name."""

    name: str
    message_type: str
    count: int


class DeadLetters:
    """The counts, the last `RECENT_LETTERS`, and two neighbouring counts: replies nobody wanted any more."""

    __slots__ = ("_counts", "_observers", "late_replies", "recent", "second_replies", "total")

    def __init__(self) -> None:
        self.recent: deque[DeadLetter] = deque(maxlen=RECENT_LETTERS)
        self.total = 0
        self.late_replies = 0
        """Replies whose asker had gone: no error, its deadline passed or it was cancelled."""
        self.second_replies = 0
        """Replies to a request already replied to: somebody's bug."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._observers: list[Callable[[DeadLetter], None]] = []

    def add(self, name: str, incarnation: int, message: object, why: Why) -> None:
        """Record one. Never raises."""
        letter = DeadLetter(name=name, incarnation=incarnation, message_type=type(message).__name__, why=why)
        self.total += 1
        self.recent.append(letter)
        key = (name, letter.message_type)
        if key not in self._counts and len(self._counts) >= COUNTED_PAIRS:
            key = (OTHER, OTHER)
        self._counts[key] += 1
        for observer in tuple(self._observers):
            observer(letter)

    def counts(self) -> tuple[DeadLetterCount, ...]:
        """Most frequent first."""
        return tuple(
            DeadLetterCount(name=name, message_type=message_type, count=count)
            for (name, message_type), count in self._counts.most_common()
        )

    def observe(self, observer: Callable[[DeadLetter], None]) -> None:
        """Call ``observer`` with each letter from now on. It must not raise, block or send."""
        self._observers.append(observer)
