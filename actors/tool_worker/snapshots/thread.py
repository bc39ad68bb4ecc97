"""The snapshots of one thread: a turn's first change waits for one, and its end is recorded behind its back."""

from __future__ import annotations

import trio

from actors.tool_worker.snapshots.git import SnapshotError
from actors.tool_worker.snapshots.keeping import Snapshots
from actors.tool_worker.snapshots.undoing import undo
from messages.base import ThreadId, TurnId
from messages.session import TurnUndone


class ThreadSnapshots:
    """One turn at a time, like the thread itself. ``nursery`` outlives turns."""

    def __init__(self, snapshots: Snapshots, thread_id: ThreadId, nursery: trio.Nursery) -> None:
        self._snapshots = snapshots
        self._thread_id = thread_id
        self._nursery = nursery
        self._turn: TurnId | None = None
        self._cwd = ""
        self._taken = trio.Event()
        self._has_start = False
        self._ends = 0
        self._all_ended = trio.Event()
        self._why_none: dict[TurnId, str] = {}

    async def before(self, turn_id: TurnId, cwd: str) -> None:
        """Return when the worktree is recorded as it was before the turn; also when it cannot be: an undo says why."""
        if self._turn == turn_id:
            await self._taken.wait()
            return
        self._turn, self._cwd, self._has_start = turn_id, cwd, False
        taken = self._taken = trio.Event()
        try:
            self._has_start = await self._snapshots.take(cwd, self._thread_id, turn_id, "before")
        except SnapshotError as error:
            self._why_none[turn_id] = str(error)
        finally:
            taken.set()

    def over(self, turn_id: TurnId) -> None:
        """The turn has ended: record what it left, behind its back."""
        if self._turn == turn_id and self._has_start:
            self._turn = None
            if self._ends == 0:
                self._all_ended = trio.Event()
            self._ends += 1
            self._nursery.start_soon(self._record_end, turn_id, self._cwd)

    async def _record_end(self, turn_id: TurnId, cwd: str) -> None:
        try:
            await self._snapshots.take(cwd, self._thread_id, turn_id, "after")
        except SnapshotError as error:
            self._why_none[turn_id] = str(error)
        finally:
            self._ends -= 1
            if self._ends == 0:
                self._all_ended.set()

    async def undo(self, turn_id: TurnId | None, cwd: str) -> TurnUndone:
        """See `undoing.undo`. Raises SnapshotError."""
        if self._ends:
            await self._all_ended.wait()
        if turn_id in self._why_none:
            raise SnapshotError(f"there is no snapshot of turn {turn_id}: {self._why_none[turn_id]}")
        return await undo(self._snapshots, cwd, self._thread_id, turn_id)
