"""Workers for whoever wants to run a script: some kept warm, a bounded number at once, shared fairly.

A script runs in the task of whoever asked for it, so its cancellation is the caller's; the pool only hands out workers.
Each is used once.
"""

from __future__ import annotations

import msgspec
import trio

from actors.ports.clock import Clock
from actors.ports.entropy import Entropy
from actors.ports.scripts import EngineUnavailableError, ScriptEngine, ScriptWorker
from actors.sandbox_pool import limits as ceilings
from actors.sandbox_pool.driver import Driver
from actors.sandbox_pool.fairness import FairGate
from actors.sandbox_pool.running import CallHandler, Cancellation, EventHandler, Running
from messages.script import ScriptFailure, ScriptLimits, ScriptOutcome, ScriptRequest

SPARE_DELAY_SECONDS = 0.003
"""A spare is made a moment after one was taken: at once, it would take the processor from the script that begins."""

RETRY_SECONDS = 1.0
"""Between attempts to make a spare while there is no engine."""

DEFAULT_LIMITS = ScriptLimits(
    source_bytes=ceilings.SOURCE_BYTES,
    memory_bytes=ceilings.MEMORY_BYTES,
    stack_bytes=ceilings.STACK_BYTES,
    wall_seconds=ceilings.WALL_SECONDS,
    cpu_seconds=ceilings.CPU_SECONDS,
    calls=ceilings.CALLS_MAX,
    calls_at_once=ceilings.CALLS_AT_ONCE,
    orphan_grace_seconds=ceilings.ORPHAN_GRACE_SECONDS,
    return_bytes=ceilings.RETURN_BYTES,
    console_lines=ceilings.CONSOLE_LINES,
    console_bytes=ceilings.CONSOLE_BYTES,
    progress_events=ceilings.PROGRESS_EVENTS,
)


class ScriptPool:
    """`serve` keeps it warm; `run` runs a script."""

    def __init__(
        self,
        engine: ScriptEngine,
        clock: Clock,
        entropy: Entropy,
        *,
        max_workers: int,
        min_warm: int = ceilings.MIN_WARM,
        queue_seconds: float = ceilings.QUEUE_SECONDS,
        degraded: bool = False,
    ) -> None:
        """``degraded``: somebody has said that scripts shall run although a required layer does not hold."""
        self._engine = engine
        self._clock = clock
        self._entropy = entropy
        self._gate = FairGate(max_workers)
        self._min_warm = min_warm
        self._queue_seconds = queue_seconds
        self._degraded = degraded
        self._spares: list[ScriptWorker] = []
        self._taken = trio.Event()
        self.wanted = trio.Event()
        """Set when a script is to be expected: nothing need be started before."""

    @property
    def waiting(self) -> int:
        """Scripts that wait for a worker."""
        return self._gate.waiting

    def refusal(self) -> str | None:
        """Why no script is run here, for a person; None when they are, or when no worker has been tried yet."""
        confinement = self._engine.confinement
        if confinement is None or not confinement.missing or self._degraded:
            return None
        return (
            f"scripts are off: this kernel does not confine them (no {', '.join(confinement.missing)}); "
            "they can be enabled explicitly"
        )

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep spares. Ready at once: a script that comes earlier gets a worker of its own."""
        task_status.started()
        try:
            while True:
                self._taken = trio.Event()
                try:
                    while len(self._spares) < self._min_warm:
                        self._spares.append(await self._engine.worker())
                except EngineUnavailableError:
                    await trio.sleep(RETRY_SECONDS)
                    continue
                await self._taken.wait()
                await trio.sleep(SPARE_DELAY_SECONDS)
        finally:
            for spare in self._spares:
                await spare.aclose()
            self._spares.clear()

    async def run(
        self,
        request: ScriptRequest,
        call: CallHandler,
        *,
        on_event: EventHandler = lambda _: None,
        cancellation: Cancellation | None = None,
    ) -> ScriptOutcome:
        """Run it to its end, and until every call it made has ended.

        Raises nothing of its own: what can go wrong is in the outcome. Cancelled from outside (rather than through
        ``cancellation``), it kills the worker and cancels the calls, and leaves nothing running.
        """
        request = msgspec.structs.replace(request, limits=_held(request.limits))
        cancellation = cancellation or Cancellation()
        self.wanted.set()
        began = self._clock.monotonic()
        refused = None if self._gate.enter_now() else await self._enter(request.session, cancellation)
        waited = self._clock.monotonic() - began
        if refused is not None:
            return msgspec.structs.replace(refused, waited_seconds=waited)
        try:
            try:
                worker = await self._take()
            except EngineUnavailableError as error:
                return _unavailable(str(error), waited)
            if (reason := self.refusal()) is not None:
                await worker.aclose()
                return _unavailable(reason, waited, retryable=False)
            seed = self._entropy.random.getrandbits(31)
            driver = Driver(request, seed=seed, clock_ms=int(self._clock.now() * 1000))
            running = Running(
                driver, worker, another=self._engine.worker, call=call, on_event=on_event, clock=self._clock
            )
            outcome = await running.run(cancellation)
            return msgspec.structs.replace(outcome, waited_seconds=waited)
        finally:
            self._gate.leave()

    async def _enter(self, session: str, cancellation: Cancellation) -> ScriptOutcome | None:
        """Take a place; or the outcome of a script that got none."""
        outcome = _unavailable(f"no worker was free within {self._queue_seconds:g} s", 0.0)
        inside = False
        try:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    nonlocal outcome
                    failure = ScriptFailure(kind="cancelled", code="cancelled", message=await cancellation.wait())
                    outcome = ScriptOutcome(status="cancelled", failure=failure)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(watch)
                with trio.move_on_after(self._queue_seconds):
                    await self._gate.enter(session)
                    inside = True
                nursery.cancel_scope.cancel()
        except BaseException:
            if inside:
                self._gate.leave()
            raise
        return None if inside else outcome

    async def _take(self) -> ScriptWorker:
        """Raises EngineUnavailableError."""
        if self._spares:
            self._taken.set()
            return self._spares.pop()
        return await self._engine.worker()


def _held(limits: ScriptLimits) -> ScriptLimits:
    """None above its ceiling; what the kernel enforces was decided when the engine was started."""
    return msgspec.structs.replace(
        limits,
        source_bytes=min(limits.source_bytes, ceilings.SOURCE_BYTES),
        memory_bytes=min(limits.memory_bytes, ceilings.MEMORY_BYTES),
        stack_bytes=min(limits.stack_bytes, ceilings.STACK_BYTES),
        cpu_seconds=min(limits.cpu_seconds, ceilings.CPU_SECONDS),
        return_bytes=min(limits.return_bytes, ceilings.RETURN_BYTES),
    )


def _unavailable(reason: str, waited: float, *, retryable: bool = True) -> ScriptOutcome:
    failure = ScriptFailure(kind="harness", code="unavailable", message=reason, retryable=retryable)
    return ScriptOutcome(status="unavailable", failure=failure, waited_seconds=waited)
