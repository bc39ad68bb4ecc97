"""The order of a session's effects: first in, first out, and nothing passes a write that the log does not have yet.

One write is under way at a time. While it is, further effects queue up, and the writes among them are joined into the
next one: under load a session appends in groups, idle it appends at once. A write that failed is kept, in order, ahead
of the next one, so that the log never has a later record without an earlier one; what waited behind it goes on, because
it is the session's core that decides what a thread without a log may still say (that its turn has failed).

A list, not a deque: it is empty most of the time and short otherwise, and an empty deque costs 700 bytes per thread.
Pure: it holds effects and says which may be performed; the shell performs them.
"""

from __future__ import annotations

import msgspec

from actors.session.effects import Append, ChildId, Effect, StartSampling, StartTool
from messages.log import Record

JOINED_RECORDS = 512
"""In one write: far below what a reader of the feed expects one append to hold (`cursor.RECORDS_IN_APPEND`)."""


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """What to append next."""

    first_ordinal: int
    records: tuple[Record, ...]
    barrier: bool


class Outbox:
    """Effects that wait. ``ordinal`` is how far the log has come."""

    __slots__ = ("_backlog", "_backlog_barrier", "_queue", "ordinal", "write")

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        self.write: Write | None = None
        """The one under way."""
        self._queue: list[Effect] = []
        self._backlog: tuple[Record, ...] = ()
        self._backlog_barrier = False

    def put(self, effect: Effect) -> None:
        """Add an effect behind all others."""
        self._queue.append(effect)

    def next(self) -> Effect | Write | None:
        """What to perform now; None: nothing, until the write under way has ended or there are new effects."""
        if self.write is not None or not self._queue:
            return None
        if isinstance(self._queue[0], Append):
            self.write = self._joined()
            return self.write
        return self._queue.pop(0)

    def written(self) -> None:
        """The write under way is in the log."""
        assert self.write is not None
        self.ordinal = self.write.first_ordinal + len(self.write.records)
        self.write = None
        self._backlog = ()
        self._backlog_barrier = False

    def failed(self) -> list[Effect]:
        """The write under way is not in the log. It stays to be tried again with the next one; the effects returned are
        those that waited, which go on without it (their own writes stay with it)."""
        assert self.write is not None
        records = list(self.write.records)
        barrier = self.write.barrier
        self.write = None
        going_on: list[Effect] = []
        for effect in self._queue:
            if isinstance(effect, Append):
                records.extend(effect.records)
                barrier = barrier or effect.barrier
            else:
                going_on.append(effect)
        self._queue.clear()
        self._backlog, self._backlog_barrier = tuple(records), barrier
        return going_on

    def keep(self, records: tuple[Record, ...]) -> None:
        """Records that the log has refused already: they go ahead of the next write."""
        self._backlog = (*self._backlog, *records)
        self._backlog_barrier = True

    @property
    def behind(self) -> int:
        """How many records the log has refused so far."""
        return len(self._backlog)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return self.write is None and not self._queue

    def withdraw(self, child: ChildId) -> bool:
        """Take back the start of a child that has not been performed. False: there is none waiting."""
        for effect in self._queue:
            if isinstance(effect, StartSampling | StartTool) and effect.child == child:
                self._queue.remove(effect)
                return True
        return False

    def _joined(self) -> Write:
        """All writes in the queue that can be one. A barrier is not brought forward: what waits for a plain write
        should not have to wait for the disk."""
        records = list(self._backlog)
        barrier = self._backlog_barrier
        first = self._queue[0]
        may_barrier = barrier or (isinstance(first, Append) and first.barrier)
        kept: list[Effect] = []
        joining = True
        for effect in self._queue:
            if not isinstance(effect, Append):
                kept.append(effect)
                continue
            fits = not records or len(records) + len(effect.records) <= JOINED_RECORDS or effect is first
            joining = joining and fits and (may_barrier or not effect.barrier)
            if joining:
                records.extend(effect.records)
                barrier = barrier or effect.barrier
            else:
                kept.append(effect)
        self._queue = kept
        return Write(first_ordinal=self.ordinal, records=tuple(records), barrier=barrier)
