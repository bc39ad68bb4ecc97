"""The supervisor of children that come and go: sessions, connections.

All children are alike in policy and independent of each other, so there is no order and no plan: each child is one
task that runs its lives, judges their endings and waits out its own backoff. A child costs one task; starting it, one
more switch to hear that it has started.

Differences from `Supervisor`, both because its children belong to different people:
* ``intensity`` is counted per child. One too many and that child alone is given up (``on_gave_up``), not the family.
* At shutdown all are asked at once, with one deadline for all.

Rejected: a mailbox of start requests (a second switch per start, and a slow start would be everybody's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import trio

from actors.kernel import Context, Life, Mailbox, Report, Shutdown, Start, run_life
from actors.kernel.children import report_ending
from actors.kernel.context import failure_text
from actors.kernel.report import Happened
from supervisors.child import CANCEL_GRACE_SECONDS, SHUTDOWN_SECONDS, ChildSpec
from supervisors.errors import StartError
from supervisors.strategy import (
    DEFAULT_BACKOFF,
    DEFAULT_INTENSITY,
    DEFAULT_PERIOD,
    Backoff,
    Restart,
    RestartIntensity,
    wants_restart,
)

T = TypeVar("T")


class NotRunningError(Exception):
    """The dynamic supervisor itself is down or shutting down, so it starts nobody."""


class _Child:
    """One child through all its lives."""

    __slots__ = (
        "booted",
        "context",
        "ended",
        "failures",
        "intensity",
        "life",
        "pause",
        "start",
        "started_at",
        "starter",
        "terminating",
    )

    def __init__(self, context: Context, start: Start[Any]) -> None:
        self.context = context
        self.start = start
        self.life = Life(context)
        self.booted = False
        self.started_at = 0.0
        self.failures = 0
        self.intensity: RestartIntensity | None = None
        self.terminating = False
        self.pause: trio.CancelScope | None = None
        """While it waits for its restart."""
        self.starter: trio.lowlevel.Task | None = None
        """The task that waits in `start_child`."""
        self.ended: trio.Event | None = None

    def on_started(self, life: Life) -> None:
        assert life is self.life
        self.booted = True
        self.started_at = trio.current_time()
        self.wake_starter()

    def wake_starter(self) -> None:
        task, self.starter = self.starter, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def cancel(self, reason: str) -> None:
        self.terminating = True
        self.life.cancel(reason)
        if self.pause is not None:
            self.pause.cancel(reason)

    def ask(self, grace_seconds: float) -> bool:
        """Ask it to end; False if it has to be cancelled."""
        self.terminating = True
        return self.pause is None and self.life.request_stop(grace_seconds)

    async def wait_ended(self) -> None:
        if self.ended is None:
            self.ended = trio.Event()
        await self.ended.wait()


class DynamicSupervisor:
    """The policy for all children, and the verbs to start and end them. ``run`` is a `Start`.

    ``restart`` and ``shutdown`` are as in `ChildSpec`. ``on_gave_up`` is told the id and last crash of a child that
    crashed too often to be restarted; it must not raise or block.
    """

    __slots__ = (
        "_children",
        "_context",
        "_nursery",
        "backoff",
        "intensity",
        "on_gave_up",
        "period",
        "restart",
        "shutdown",
    )

    def __init__(
        self,
        *,
        restart: Restart = "permanent",
        shutdown: float = SHUTDOWN_SECONDS,
        intensity: int = DEFAULT_INTENSITY,
        period: float = DEFAULT_PERIOD,
        backoff: Backoff = DEFAULT_BACKOFF,
        on_gave_up: Callable[[str, BaseException | None], None] | None = None,
    ) -> None:
        self.restart = restart
        self.shutdown = shutdown
        self.intensity = intensity
        self.period = period
        self.backoff = backoff
        self.on_gave_up = on_gave_up
        self._context: Context | None = None
        self._nursery: trio.Nursery | None = None
        self._children: dict[str, _Child] = {}

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """Supervise until asked to end; then end all children, all at the same time."""
        mailbox: Mailbox[Shutdown] = ctx.open_mailbox()
        ctx.shutdown_to(mailbox.address)
        try:
            async with trio.open_nursery() as nursery:
                self._context, self._nursery = ctx, nursery
                self._children = {}
                task_status.started()
                await mailbox.receive()
                self._nursery = None  # from here on nobody is started any more
                if await self._end_children(ctx, tuple(self._children.values())):
                    ctx.say_stuck()
        finally:
            self._context = self._nursery = None

    def as_child(self, id_: str) -> ChildSpec:
        """This supervisor as another's permanent child, with the time its children may take to end."""
        return ChildSpec(id=id_, start=self.run, shutdown=self.shutdown + 2 * CANCEL_GRACE_SECONDS, kind="supervisor")

    async def start_child(self, id_: str, start: Start[T], *, kind: str = "worker") -> T:
        """Start a child and return what it gave to ``task_status.started``.

        When this returns its first start has succeeded; when this raises, nothing of it is left. Raises StartError
        (its cause is the child's error), ValueError for an ``id_`` in use, NotRunningError. Cancelled before the child
        has started, the child is cancelled too.
        """
        context, nursery = self._context, self._nursery
        if context is None or nursery is None:
            raise NotRunningError(f"no child {id_!r} can be started: its supervisor is not running")
        child = _Child(context.child(id_, kind=kind), start)
        self._children[id_] = child
        child.starter = trio.lowlevel.current_task()
        nursery.start_soon(self._run_child, child, context, self._children, name=id_)

        def abort(_: object) -> trio.lowlevel.Abort:
            child.starter = None
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            await trio.lowlevel.wait_task_rescheduled(abort)
        except BaseException:
            child.cancel("whoever started it gave up")
            with trio.CancelScope(shield=True):  # never half: nothing of it is left when this raises
                await child.wait_ended()
            raise
        if not child.booted:
            error = child.life.error
            raise StartError(context.name, id_, "it was cancelled" if error is None else failure_text(error)) from error
        value: T = child.life.value
        return value

    async def terminate_child(self, id_: str) -> bool:
        """Ask; after `shutdown` seconds cancel; after `CANCEL_GRACE_SECONDS` report it stuck, and go on waiting.

        Returns when nothing of it runs any more. False: there is no child of this id.
        """
        child, context = self._children.get(id_), self._context
        if child is None or context is None:
            await trio.lowlevel.checkpoint()
            return False
        if await self._end_children(context, (child,)):
            await child.wait_ended()
        return True

    def child_ids(self) -> tuple[str, ...]:
        """The children there are, also those that wait for their restart."""
        return tuple(self._children)

    # --- one child --------------------------------------------------------------------------------------------------

    async def _run_child(self, child: _Child, parent: Context, children: dict[str, _Child]) -> None:
        context = child.context
        try:
            while True:
                await run_life(child.life, child.start, child.on_started)
                report_ending(parent.name, child.life)
                delay = self._judge(child, parent)
                if delay is None:
                    return
                context.set_phase("restarting")
                self._report(parent, context, "restarting", f"in {delay:.3f} s")
                with trio.CancelScope() as child.pause:
                    await trio.sleep(delay)
                child.pause = None
                if child.terminating:
                    return
                child.life = Life(context)
                context.restarts += 1
        finally:
            del children[context.id]
            parent.remove_child(context.id)
            child.wake_starter()
            if child.ended is not None:
                child.ended.set()

    def _judge(self, child: _Child, parent: Context) -> float | None:
        """Seconds until its restart; None: it has ended for good."""
        life = child.life
        assert life.ending is not None
        if child.terminating or not child.booted or not wants_restart(self.restart, life.ending):
            return None
        now = trio.current_time()
        if child.intensity is None:
            child.intensity = RestartIntensity(self.intensity, self.period)
        if not child.intensity.allows(now):
            reason = f"more than {self.intensity} restarts within {self.period:g} s"
            self._report(parent, child.context, "gave_up", reason, error=life.error)
            if self.on_gave_up is not None:
                self.on_gave_up(child.context.id, life.error)
            return None
        healthy = life.started and now - child.started_at >= self.backoff.healthy_seconds
        child.failures = 1 if healthy else child.failures + 1
        return self.backoff.delay(child.failures, child.context.system.random)

    # --- ending children --------------------------------------------------------------------------------------------

    async def _end_children(self, context: Context, children: tuple[_Child, ...]) -> bool:
        """Ask, cancel, report; whether some of them are stuck."""
        reason = f"{context.name} ends it"
        asked: list[_Child] = []
        for child in children:
            if self.shutdown > 0 and child.ask(self.shutdown):
                asked.append(child)
            else:
                child.cancel(reason)
        if not await self._wait_all(asked, self.shutdown):
            for child in asked:
                child.cancel(reason)
        if await self._wait_all(children, CANCEL_GRACE_SECONDS):
            return False
        for child in children:
            if child.life.task is not None:
                child.context.set_phase("stuck")
                text = "it does not end though it was cancelled"
                self._report(context, child.context, "stuck", text, stack=child.life.stack())
        return True

    async def _wait_all(self, children: Sequence[_Child], seconds: float) -> bool:
        with trio.move_on_after(seconds) as scope:
            for child in children:
                if self._children.get(child.context.id) is child:
                    await child.wait_ended()
        return not scope.cancelled_caught

    def _report(
        self,
        parent: Context,
        child: Context,
        context: Happened,
        reason: str,
        *,
        error: BaseException | None = None,
        stack: tuple[str, ...] = (),
    ) -> None:
        report = Report(
            supervisor=parent.name, context=context, offender=child.name, reason=reason, error=error, stack=stack
        )
        parent.system.reports.add(report)
