"""A stage for scripts: tools that are played, and an engine inside the test's own process.

The engine is the real one without its process and its confinement, so scripts run in virtual time and in no time.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from actors.ports.scripts import Confinement, ScriptEngine, WorkerLostError
from actors.sandbox_pool.driving import StartCall
from actors.sandbox_pool.inside.script import Script
from actors.sandbox_pool.pool import DEFAULT_LIMITS, ScriptPool
from actors.sandbox_pool.running import Cancellation, Gate
from messages.script import (
    CallError,
    CallResult,
    ScriptEvent,
    ScriptLimits,
    ScriptOutcome,
    ScriptRequest,
    ScriptTool,
)
from messages.tools import ToolOutcome

EPOCH = 1_700_000_000.0


class VirtualClock:
    """trio's, which the test may have replaced."""

    def now(self) -> float:
        return EPOCH + trio.current_time()

    def monotonic(self) -> float:
        return trio.current_time()


class SeededEntropy:
    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)

    def uuid7(self) -> str:
        return "00000000-0000-7000-8000-000000000000"

    def token(self, nbytes: int) -> bytes:
        return bytes(nbytes)


class InProcessWorker:
    """Plays a worker. The first ``deaths`` frames given to any are answered by a death."""

    pid = 0

    def __init__(self, engine: InProcessEngine) -> None:
        self._engine = engine
        self._script: Script | None = None
        self._saying, self._said = trio.open_memory_channel[bytes](1)
        self._frames: list[bytes] = []
        engine.frames.append(self._frames)
        self.closed = False

    def send_now(self, frame: bytes) -> bool:
        """See `actors.ports.scripts.ScriptWorker`."""
        return False

    async def send(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._frames.append(frame)
        self._engine.given += 1
        if self._engine.deaths > 0 or self._engine.given == self._engine.dies_at:
            self._engine.deaths = max(self._engine.deaths - 1, 0)
            self._saying.close()
            return
        if self._script is None:
            self._script = Script()
            answer = self._script.start(frame)
        else:
            answer = self._script.settle(frame)
        self._saying.send_nowait(self._engine.forge(answer))

    async def receive(self, max_bytes: int) -> bytes:
        try:
            frame = await self._said.receive()
        except trio.EndOfChannel:
            raise WorkerLostError("its process was ended by SIGKILL", signal=9) from None
        assert len(frame) <= max_bytes
        return frame

    def kill(self) -> None:
        self._engine.killed += 1

    async def aclose(self) -> None:
        self.closed = True
        self._engine.open.discard(self)


class InProcessEngine:
    confinement: Confinement | None = Confinement(layers={}, missing=())

    def __init__(self) -> None:
        self.deaths = 0
        self.given = 0
        self.dies_at: int | None = None
        """The worker that is given this frame, counted over all, dies of it."""
        self.killed = 0
        self.workers = 0
        self.open: set[InProcessWorker] = set()
        self.frames: list[list[bytes]] = []
        """What each worker was given."""
        self.forge: Callable[[bytes], bytes] = lambda frame: frame

    async def worker(self) -> InProcessWorker:
        await trio.lowlevel.checkpoint()
        self.workers += 1
        worker = InProcessWorker(self)
        self.open.add(worker)
        return worker


Play = Callable[[Any, Gate], Awaitable[object]]


class DeniedError(Exception):
    """A played tool's way to fail with a code."""

    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Tools:
    """Played tools, and a ledger of their own of what really happened."""

    plays: dict[str, Play]
    begun: list[tuple[str, Any]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0

    def declared(self) -> tuple[ScriptTool, ...]:
        return tuple(
            ScriptTool(name=name, tool=f"t_{name}", description="", idempotent=name.startswith("idempotent"))
            for name in self.plays
        )

    async def call(self, call: StartCall, gate: Gate) -> CallResult:
        name = call.tool.removeprefix("t_")
        try:
            arguments = msgspec.json.decode(call.arguments)
        except msgspec.MsgspecError as error:  # as a real tool does; only a worker that was taken over sends such
            return CallResult(outcome="failed", error=CallError(code="invalid_arguments", message=str(error)))
        self.begun.append((name, arguments))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            value = await self.plays[name](arguments, gate)
        except DeniedError as denial:
            outcome: ToolOutcome = "denied" if denial.code == "denied" else "failed"
            return CallResult(outcome=outcome, error=CallError(code=denial.code, message=str(denial)))
        finally:
            self.running -= 1
            self.finished.append(name)
        return CallResult(outcome="done", value=msgspec.json.encode(value).decode())


async def echo(arguments: Any, gate: Gate) -> object:
    """At once."""
    await trio.lowlevel.checkpoint()
    return arguments


async def slow(arguments: Any, gate: Gate) -> object:
    """After ``ms``."""
    await trio.sleep(arguments.get("ms", 1000) / 1000)
    return arguments


async def forever(arguments: Any, gate: Gate) -> object:
    """Never."""
    return await trio.sleep_forever()


async def fail(arguments: Any, gate: Gate) -> object:
    """With a code."""
    await trio.lowlevel.checkpoint()
    raise DeniedError(arguments.get("code", "tool_failed"), arguments.get("message", "it did not work"))


async def approve(arguments: Any, gate: Gate) -> object:
    """After a person took ``ms`` to agree, and half a second of work."""
    gate.approval_began("request-1")
    await trio.sleep(arguments.get("ms", 60_000) / 1000)
    gate.approval_over()
    if arguments.get("no"):
        raise DeniedError("denied")
    await trio.sleep(0.5)
    return "approved"


PLAYS: dict[str, Play] = {
    "echo": echo,
    "slow": slow,
    "forever": forever,
    "fail": fail,
    "approve": approve,
    "idempotentSlow": slow,
}


@dataclass
class Show:
    """What a script did."""

    outcome: ScriptOutcome
    events: list[ScriptEvent]
    tools: Tools
    engine: ScriptEngine

    @property
    def value(self) -> Any:
        assert self.outcome.status == "returned", self.outcome
        assert self.outcome.value is not None
        return msgspec.json.decode(self.outcome.value)

    @property
    def failure(self) -> tuple[str, str, int]:
        """Kind, code, line."""
        failure = self.outcome.failure
        assert failure is not None
        return failure.kind, failure.code, failure.line


def limited(**changes: Any) -> ScriptLimits:
    return msgspec.structs.replace(DEFAULT_LIMITS, **changes)


async def play(
    source: str,
    *,
    plays: dict[str, Play] | None = None,
    engine: ScriptEngine | None = None,
    limits: ScriptLimits = DEFAULT_LIMITS,
    log: tuple[ScriptEvent, ...] = (),
    cancellation: Cancellation | None = None,
    context: dict[str, Any] | None = None,
    seed: int = 7,
    on_event: Callable[[ScriptEvent], None] | None = None,
) -> Show:
    """Run a script to its end."""
    engine = engine or InProcessEngine()
    tools = Tools(PLAYS if plays is None else plays)
    events: list[ScriptEvent] = []

    def hear(event: ScriptEvent) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    pool = ScriptPool(engine, VirtualClock(), SeededEntropy(seed), max_workers=4)
    request = ScriptRequest(
        script_id="s1",
        session="a",
        source=source,
        tools=tools.declared(),
        limits=limits,
        context=context or {},
        log=log,
    )
    outcome = await pool.run(request, tools.call, on_event=hear, cancellation=cancellation)
    return Show(outcome, events, tools, engine)
