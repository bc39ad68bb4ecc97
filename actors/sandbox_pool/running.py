"""One script, being run: does what the driver wants and tells it what became of it.

One nursery holds all that belongs to the script (the conversation with its worker, its calls, its timers), so when
`run` returns or is cancelled nothing of it is left.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, assert_never

import trio

from actors.ports.clock import Clock
from actors.ports.scripts import EngineUnavailableError, ScriptWorker, WorkerLostError
from actors.sandbox_pool.book import CANCELLED
from actors.sandbox_pool.driver import Driver
from actors.sandbox_pool.driving import (
    ApprovalBegan,
    ApprovalOver,
    CallFinished,
    Cancel,
    DropTimer,
    Effect,
    EndWorker,
    Event,
    FrameBroken,
    FrameReceived,
    ReplaceWorker,
    Send,
    SetTimer,
    StartCall,
    StopCall,
    Tell,
    TimeIsUp,
    TimerFired,
    WorkerGone,
)
from actors.sandbox_pool.frames import FrameError, decode
from actors.sandbox_pool.limits import FRAME_BYTES
from messages.script import CallResult, ScriptEvent, ScriptOutcome


class Gate(Protocol):
    """How a call tells its script that it waits for a person: the script's clock may stand still."""

    def approval_began(self, request_id: str) -> None:
        """It waits."""
        ...

    def approval_over(self) -> None:
        """It goes on, or has been declined."""
        ...


CallHandler = Callable[[StartCall, Gate], Awaitable[CallResult]]
"""Makes one call and returns when nothing of it runs any more. Cancelled, it must undo what it can and end; what it
returns then counts, and if it lets `Cancelled` out, the call was cancelled. What else it raises ends the script."""

EventHandler = Callable[[ScriptEvent], None]
"""Hears everything in its order, each thing before what follows from it is done."""


class Cancellation:
    """Lets somebody end a script and still get its outcome."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._reason = ""

    def cancel(self, reason: str) -> None:
        """The first reason counts."""
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    async def wait(self) -> str:
        """Until it was cancelled: why."""
        await self._event.wait()
        return self._reason


class _CallGate:
    def __init__(self, tell: Callable[[Event], None], number: int) -> None:
        self._tell = tell
        self._number = number

    def approval_began(self, request_id: str) -> None:
        self._tell(ApprovalBegan(number=self._number, request_id=request_id))

    def approval_over(self) -> None:
        self._tell(ApprovalOver(number=self._number))


class Running:
    """Made for one script, with the worker it begins in."""

    def __init__(
        self,
        driver: Driver,
        worker: ScriptWorker,
        *,
        another: Callable[[], Awaitable[ScriptWorker]],
        call: CallHandler,
        on_event: EventHandler,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._worker = worker
        self._another = another
        self._call = call
        self._on_event = on_event
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self._alarm = trio.CancelScope()
        self._over = trio.Event()
        self._calls: dict[int, trio.CancelScope] = {}
        self._timers: dict[int, trio.CancelScope] = {}
        self._conversation: set[trio.CancelScope] = set()

    async def run(self, cancellation: Cancellation) -> ScriptOutcome:
        """Until it is over, its worker is gone and its calls have ended. Cancelled, it leaves nothing either."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, cancellation)
                await self._steer(nursery)
                nursery.cancel_scope.cancel()
        finally:
            await self._worker.aclose()
        assert self._driver.outcome is not None
        return self._driver.outcome

    async def _steer(self, nursery: trio.Nursery) -> None:
        """Keep the driver's deadlines; everything else that happens is told to it where it happens."""
        self._nursery = nursery
        nursery.start_soon(self._listen, self._worker)
        self._do(self._driver.begin(self._clock.monotonic()), nursery)
        while self._driver.outcome is None:
            deadline = self._driver.deadline
            with trio.CancelScope(deadline=math.inf if deadline is None else deadline) as self._alarm:
                await self._over.wait()
            if self._alarm.cancelled_caught:
                self._tell(TimeIsUp())

    def _tell(self, event: Event) -> None:
        """At once, without a task in between: a script of a hundred calls comes here five hundred times."""
        if self._nursery is None or self._over.is_set():
            return
        clock_ms = int(self._clock.now() * 1000)
        self._do(self._driver.handle(event, self._clock.monotonic(), clock_ms), self._nursery)
        deadline = self._driver.deadline
        self._alarm.deadline = math.inf if deadline is None else deadline
        if self._driver.outcome is not None:
            self._over.set()

    def _do(self, effects: list[Effect], nursery: trio.Nursery) -> None:
        replace = False
        for effect in effects:
            match effect:
                case Send(frame=frame):
                    if replace or not self._worker.send_now(frame):
                        nursery.start_soon(self._send, frame, replace, nursery)
                case ReplaceWorker():
                    replace = True
                case EndWorker():
                    self._worker.kill()
                    for scope in self._conversation:
                        scope.cancel()
                case StartCall():
                    scope = self._calls[effect.number] = trio.CancelScope()
                    nursery.start_soon(self._make_call, effect, scope)
                case StopCall(number=number):
                    self._calls[number].cancel()
                case SetTimer(number=number, seconds=seconds):
                    scope = self._timers[number] = trio.CancelScope()
                    nursery.start_soon(self._wait_timer, number, seconds, scope)
                case DropTimer(number=number):
                    if (timer := self._timers.pop(number, None)) is not None:
                        timer.cancel()
                case Tell(event=event):
                    self._on_event(event)
                case _ as unreachable:
                    assert_never(unreachable)

    async def _watch(self, cancellation: Cancellation) -> None:
        self._tell(Cancel(reason=await cancellation.wait()))

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        """Ended by `EndWorker`."""
        with trio.CancelScope() as scope:
            self._conversation.add(scope)
            try:
                yield
            finally:
                self._conversation.discard(scope)

    async def _send(self, frame: bytes, replace: bool, nursery: trio.Nursery) -> None:
        """Give the worker a frame; `_listen` hears what comes of it, also that it is lost."""
        with self._scope():
            try:
                if replace:
                    await self._worker.aclose()
                    self._worker = await self._another()
                    nursery.start_soon(self._listen, self._worker)
                await self._worker.send(frame)
            except EngineUnavailableError as error:
                self._tell(WorkerGone(message=str(error)))
            except WorkerLostError:
                pass

    async def _listen(self, worker: ScriptWorker) -> None:
        """Until it is lost or says what is no frame; also while it has nothing to say, to know when it is lost."""
        with self._scope():
            try:
                while True:
                    self._tell(FrameReceived(pumped=decode(await worker.receive(FRAME_BYTES))))
            except WorkerLostError as error:
                self._tell(WorkerGone(message=str(error), signal=error.signal))
            except FrameError as error:
                self._tell(FrameBroken(message=str(error)))

    async def _make_call(self, call: StartCall, scope: trio.CancelScope) -> None:
        result = CallResult(outcome="cancelled", error=CANCELLED)
        with scope:
            await trio.lowlevel.checkpoint_if_cancelled()  # stopped before it has begun
            result = await self._call(call, _CallGate(self._tell, call.number))
        del self._calls[call.number]
        self._tell(CallFinished(number=call.number, result=result))

    async def _wait_timer(self, number: int, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
            self._timers.pop(number, None)
            self._tell(TimerFired(number=number))
