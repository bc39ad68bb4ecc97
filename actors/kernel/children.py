"""Running one life of an actor so that its crash stays its own; and an actor's own temporary children.

`run_life` is the only place where an actor's exceptions are caught, inside its own task: nothing leaves it but
cancellation from outside, KeyboardInterrupt, SystemExit and trio's own end of the world. Supervisors add the policy
(restart, intensity, order); `Children` is for work that is never restarted: a turn's model request, its tool calls.

    async with Children(ctx) as children:
        child = children.start(f"call-{call_id}", run_tool, watcher=mailbox.address)
        ...
        child.cancel(); await child.wait()     # when this returns, nothing of it runs any more

Leaving the block waits for all of them (cancel first if that is meant), because the tree is the nursery tree.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec
import trio

from actors.kernel.address import Address
from actors.kernel.context import Context, failure_text
from actors.kernel.poison import POISON_CRASHES
from actors.kernel.report import Happened, Report
from actors.kernel.signals import Down, DownReason

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Start(Protocol[T_co]):
    """How an actor is started: it calls ``task_status.started(value)`` once it is ready, and runs until it ends."""

    def __call__(self, ctx: Context, /, *, task_status: trio.TaskStatus[T_co]) -> Awaitable[None]: ...


class ChildStarter(Protocol):
    """Whoever starts supervised children at run time: how an actor sees a dynamic supervisor."""

    async def start_child(self, id_: str, start: Start[T], *, kind: str = ...) -> T:
        """Start a child and return what it gave to ``task_status.started``. Raises what its start failed with."""
        ...

    async def terminate_child(self, id_: str) -> bool:
        """Ask the child to end, then cancel it; returns when nothing of it runs. False: there is none of that id."""
        ...


class Ending(enum.Enum):
    """How one life ended."""

    RETURNED = "returned"
    STOPPED = "stopped"
    """It was asked to, or cancelled by whoever runs it."""
    CRASHED = "crashed"


_REASONS: dict[Ending, DownReason] = {
    Ending.RETURNED: "normal",
    Ending.STOPPED: "shutdown",
    Ending.CRASHED: "crash",
}


class NotStartedError(Exception):
    """An actor returned before it said that it had started; it is to do one or the other: start, or fail."""


class Life:
    """One life of an actor, from the side of whoever runs it."""

    __slots__ = (
        "_gone",
        "context",
        "ending",
        "error",
        "quarantined",
        "scope",
        "started",
        "stop_requested",
        "task",
        "value",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None
        self.started = False
        self.value: Any = None
        """What it gave to ``task_status.started``."""
        self.stop_requested = False
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self.quarantined: str | None = None
        """The poison message that this crash convicted."""
        self._gone: trio.Event | None = None

    def request_stop(self, grace_seconds: float) -> bool:
        """Ask it to end. False: it takes no `Shutdown` (yet), so cancel it."""
        self.stop_requested = True
        self.context.set_phase("stopping")
        return self.context.request_shutdown(grace_seconds)

    def cancel(self, reason: str | None = None) -> None:
        """End it now."""
        self.stop_requested = True
        self.context.set_phase("stopping")
        self.scope.cancel(reason)

    async def wait_gone(self) -> None:
        """Return when nothing of it runs any more."""
        if self.ending is not None:
            await trio.lowlevel.checkpoint()
            return
        if self._gone is None:
            self._gone = trio.Event()
        await self._gone.wait()

    def stack(self) -> tuple[str, ...]:
        """Where its task is now, outermost call first: ``file:line function``. For a child that will not end."""
        return () if self.task is None else stack_of(self.task)

    def _end(self, ending: Ending, error: BaseException | None) -> None:
        self.ending = ending
        self.error = error
        self.quarantined = self.context.end_life(_REASONS[ending], error)
        self.task = None
        if self._gone is not None:
            self._gone.set()


class _Status:
    """The ``task_status`` of one life."""

    __slots__ = ("_life", "_on_started")

    def __init__(self, life: Life, on_started: OnStarted | None) -> None:
        self._life = life
        self._on_started = on_started

    def started(self, value: Any = None) -> None:
        life = self._life
        if life.started:
            raise RuntimeError(f"{life.context.name!r} said twice that it had started")
        life.started = True
        life.value = value
        if not life.stop_requested:
            life.context.set_phase("running")
        if self._on_started is not None:
            self._on_started(life)


class OnStarted(Protocol):
    """Told once, from the actor's own task, when it has started."""

    def __call__(self, life: Life, /) -> None: ...


async def run_life(life: Life, start: Start[Any], on_started: OnStarted | None = None) -> None:
    """Run one life to its end and record how it ended; never raises for anything the actor did.

    Lets pass: cancellation from outside, KeyboardInterrupt, SystemExit, trio.TrioInternalError (alone or in a group).
    A return before ``started`` is a crash (NotStartedError): an actor has started or failed, never half.
    """
    life.task = trio.lowlevel.current_task()
    life.context.set_phase("starting")
    try:
        with life.scope:
            await start(life.context, task_status=_Status(life, on_started))
    except BaseException as error:
        crash, passing = split_crash(error)
        life._end(Ending.CRASHED if crash is not None else Ending.STOPPED, crash)
        if passing is not None:
            if passing is error:
                raise
            raise passing from None
    else:
        if life.stop_requested:
            life._end(Ending.STOPPED, None)
        elif not life.started:
            life._end(Ending.CRASHED, NotStartedError(f"{life.context.name!r} returned before it had started"))
        else:
            life._end(Ending.RETURNED, None)


_FATAL = (KeyboardInterrupt, SystemExit, trio.TrioInternalError)


def _passes(leaf: BaseException) -> bool:
    """Cancellation, or something even stranger: not the actor's own error."""
    return not isinstance(leaf, Exception | BaseExceptionGroup)


def split_crash(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """What of ``error`` is a crash to be handled here, and what must pass on: (crash, passing)."""
    if isinstance(error, BaseExceptionGroup):
        fatal, _ = error.split(_FATAL)
        if fatal is not None:
            return None, error
        passing, crash = error.split(_passes)
        if passing is None:
            return error, None
        return crash, passing
    if isinstance(error, Exception) and not isinstance(error, trio.TrioInternalError):
        return error, None
    return None, error


def report_ending(supervisor: str, life: Life) -> None:
    """Report a crash, and the message it quarantined. A normal end is no news."""
    if life.error is None:
        return
    reports = life.context.system.reports
    name = life.context.name
    context: Happened = (
        "start_failed" if not life.started else "crashed_while_stopping" if life.stop_requested else "crashed"
    )
    reason = failure_text(life.error)
    reports.add(Report(supervisor=supervisor, context=context, offender=name, reason=reason, error=life.error))
    if life.quarantined is not None:
        reason = f"message {life.quarantined} has crashed it {POISON_CRASHES} times and will not be handled again"
        reports.add(Report(supervisor=supervisor, context="quarantined", offender=name, reason=reason))


class Child:
    """One temporary child of an actor."""

    __slots__ = ("_life", "id")

    def __init__(self, id_: str, life: Life) -> None:
        self.id = id_
        self._life = life

    def cancel(self, reason: str | None = None) -> None:
        """End it; its watcher will get ``Down(shutdown)``. Does not wait."""
        self._life.cancel(reason)

    async def wait(self) -> Ending:
        """Return when nothing of it runs any more, with how it ended."""
        await self._life.wait_gone()
        assert self._life.ending is not None
        return self._life.ending

    @property
    def name(self) -> str:
        """Its path in the tree; the name its `Down` carries."""
        return self._life.context.name

    @property
    def running(self) -> bool:
        """Whether anything of it may still run."""
        return self._life.ending is None

    @property
    def error(self) -> BaseException | None:
        """What it crashed with."""
        return self._life.error


class Children:
    """An actor's own temporary children: contained, visible in the tree, never restarted."""

    __slots__ = ("_context", "_lives", "_manager", "_nursery")

    def __init__(self, ctx: Context) -> None:
        self._context = ctx
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery | None = None
        self._lives: dict[str, Life] = {}

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)

    def start(
        self, id_: str, start: Start[Any], *, watcher: Address[Down] | None = None, kind: str = "worker"
    ) -> Child:
        """Start a child without waiting for it. ``watcher`` gets one ``Down`` named after it when it ends.

        ``id_`` must be unique among the living children. Raises ValueError.
        """
        assert self._nursery is not None, "enter the block first"
        life = Life(self._context.child(id_, kind=kind))
        self._lives[id_] = life
        self._nursery.start_soon(self._run, life, start, watcher, name=life.context.name)
        return Child(id_, life)

    async def _run(self, life: Life, start: Start[Any], watcher: Address[Down] | None) -> None:
        try:
            await run_life(life, start)
        finally:
            context = life.context
            del self._lives[context.id]
            self._context.remove_child(context.id)
            report_ending(self._context.name, life)
            if watcher is not None and life.ending is not None:
                detail = "" if life.error is None else type(life.error).__name__
                watcher._box._deliver(
                    Down(name=context.name, incarnation=0, reason=_REASONS[life.ending], detail=detail)
                )

    def cancel(self, reason: str | None = None) -> None:
        """End all there are now, not the block's own body. Leaving the block, or `Child.wait`, waits for their end."""
        for life in tuple(self._lives.values()):
            life.cancel(reason)


class StackFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a stack."""

    file: str
    line: int
    function: str


def stack_of(task: trio.lowlevel.Task) -> tuple[str, ...]:
    """Where a task is suspended, outermost call first, as ``file:line function``. Code places only, no values."""
    places: list[str] = []
    for frame, line in task.iter_await_frames():
        places.append(f"{frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}")
    return tuple(places)
