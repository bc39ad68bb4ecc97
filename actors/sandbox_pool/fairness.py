"""Who gets the next worker: the sessions in turn, each one's scripts in their order.

A session with a hundred scripts waiting delays another's single one by one script, not by a hundred. Rejected: one
queue (the hundred come first), a share per session (workers would stand idle).
"""

from __future__ import annotations

from collections import OrderedDict, deque

import trio


class FairGate:
    """At most ``capacity`` inside at once."""

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._waiting: OrderedDict[str, deque[trio.Event]] = OrderedDict()

    @property
    def free(self) -> int:
        """How many could go in at once."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many stand outside."""
        return sum(map(len, self._waiting.values()))

    def enter_now(self) -> bool:
        """Take a place, if one is free and nobody waits."""
        if self._free == 0 or self._waiting:
            return False
        self._free -= 1
        return True

    async def enter(self, session: str) -> None:
        """Wait for a place. Cancelled, it takes none."""
        if self.enter_now():
            return
        turn = trio.Event()
        self._waiting.setdefault(session, deque()).append(turn)
        try:
            await turn.wait()
        except trio.Cancelled:
            if turn.is_set():
                self.leave()
            else:
                self._waiting[session].remove(turn)
                if not self._waiting[session]:
                    del self._waiting[session]
            raise

    def leave(self) -> None:
        """Give the place to the next session's next one."""
        if not self._waiting:
            self._free += 1
            return
        session, turns = self._waiting.popitem(last=False)
        turns.popleft().set()
        if turns:
            self._waiting[session] = turns  # behind the others
