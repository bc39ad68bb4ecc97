"""What one life of a session has been sent so far, on the wire that it speaks now.

Each wire keeps its own kind of recital. A thread seldom changes its wire, so one is kept at a time: the last.
"""

from __future__ import annotations

from typing import Any, TypeVar

R = TypeVar("R")


class Memory:
    """Of one session. Mutable."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: Any = None

    def of(self, kind: type[R]) -> R:
        """The recital of that kind; a new one in the place of any other."""
        if not isinstance(self._kept, kind):
            self._kept = kind()
        kept: R = self._kept
        return kept
