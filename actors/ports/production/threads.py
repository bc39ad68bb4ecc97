"""trio's cached worker threads, behind a limiter of our own, by a shorter way than `trio.to_thread.run_sync`.

Work for these threads is mostly one small write, so the way there and back is most of its price. Left out of trio's own
way: a copy of the context variables and the thread-locals for `trio.from_thread` (work never calls back), a name per
call, and a pass of the scheduler for a limiter that has room. That leaves some 0.6 of the time.

Rejected: threads of our own (no cheaper one at a time, dearer when several hops are under way, and their end would be
ours to care for), and writing on the loop (an append can wait for a full device queue, and every stream with it).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import trio

if TYPE_CHECKING:
    from outcome import Outcome

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

WORKER_THREADS = 16
"""At once, for work that names no limiter of its own. Mostly waiting for a disk: 1,000 files are synced in 149 ms one
by one and in 34 ms by 16. trio's own default of 40 stays free for libraries."""


class WorkerThreads:
    """The `Threads` port."""

    def __init__(self, limit: int = WORKER_THREADS) -> None:
        self._limiter = trio.CapacityLimiter(limit)

    @trio.lowlevel.enable_ki_protection
    async def run(self, work: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        """See `actors.ports.threads.Threads`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if limiter is None:
            limiter = self._limiter
        hop = _Hop(work, args)
        try:
            limiter.acquire_on_behalf_of_nowait(hop)
        except trio.WouldBlock:
            await limiter.acquire_on_behalf_of(hop)
        try:
            trio.lowlevel.start_thread_soon(hop.perform, hop.deliver)
            result: T = await trio.lowlevel.wait_task_rescheduled(_go_on)
        finally:
            limiter.release_on_behalf_of(hop)
        return result


class _Hop:
    """One piece of work, and the task that waits for it."""

    __slots__ = ("_args", "_outcome", "_task", "_token", "_work")

    def __init__(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._work = work
        self._args = args
        self._task = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self._outcome: Outcome[Any]

    def perform(self) -> Any:
        """In the thread."""
        return self._work(*self._args)

    def deliver(self, result: Outcome[Any]) -> None:
        """In the thread, which takes other work from here on."""
        self._outcome = result
        with contextlib.suppress(trio.RunFinishedError):  # the loop crashed: nobody is left to hear
            self._token.run_sync_soon(self._wake)

    def _wake(self) -> None:
        trio.lowlevel.reschedule(self._task, self._outcome)
        del self._outcome  # an error's traceback leads back here


def _go_on(_raise_cancel: object) -> trio.lowlevel.Abort:
    """Cancellation does not end work that has begun."""
    return trio.lowlevel.Abort.FAILED
