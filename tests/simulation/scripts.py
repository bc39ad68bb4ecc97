"""The `ScriptEngine` port on the simulated machine: the worker's own code, on its own engine, without its process.

A worker is a task of the world, as a program is: it dies with the life that forked it, computes a moment after it was
given a frame (drawn from the seed), and may be lost at any frame if the chances say so. What it computes is the real
thing (`actors/sandbox_pool/inside`), so a script that is replayed takes the way that it takes in production.

Not simulated: confinement, and the clock of the processor, which counts the whole simulation here and is far away.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import trio

from actors.ports.scripts import Confinement, WorkerLostError
from actors.sandbox_pool.inside.protocol import HEADER
from actors.sandbox_pool.inside.script import Script
from tests.simulation.life import Chances, Life, digest

CPU_MILLISECONDS = 3_600_000
"""Allowed to a simulated script: no machine is so slow that a simulation ends by it."""

CONFINEMENT = Confinement(layers={"simulated": 1}, missing=())


@dataclass(eq=False, kw_only=True)
class ScriptProcess:
    """One worker that was forked; what a tester counts."""

    number: int
    life: int
    frames: list[bytes] = field(default_factory=list)
    """What it was given, the first one included."""
    ended: Literal["", "killed", "lost", "left running"] = ""
    """killed: by the daemon. lost: by chance. left running: by the end of the daemon."""

    @property
    def left_running(self) -> bool:
        """The daemon ended before it, and it died of that."""
        return self.ended == "left running"

    @property
    def context(self) -> dict[str, Any]:
        """What its script may read of the world; empty for a spare."""
        if not self.frames:
            return {}
        *_, length = HEADER.unpack_from(self.frames[0])
        config = msgspec.json.decode(self.frames[0][HEADER.size : HEADER.size + length])
        context: dict[str, Any] = config["context"]
        return context


class ScriptProcesses:
    """The workers of the machine, in all lives."""

    def __init__(self) -> None:
        self.history: list[ScriptProcess] = []

    def running(self) -> tuple[ScriptProcess, ...]:
        """Those that have a script and have not ended."""
        return tuple(each for each in self.history if each.frames and not each.ended)


class SimWorker:
    """See `actors.ports.scripts.ScriptWorker`."""

    def __init__(self, life: Life, process: ScriptProcess, chances: Chances) -> None:
        self.process = process
        self._life = life
        self._chances = chances
        self._random = life.random(f"script worker {process.number}")
        self._giving, self._given = trio.open_memory_channel[bytes](math.inf)
        self._saying, self._said = trio.open_memory_channel[bytes](math.inf)
        self._scope = trio.CancelScope()
        life.on_unplug[self] = lambda: self._end("left running")

    async def run(self) -> None:
        """The life of the process; a task of the world, not of the daemon."""
        script: Script | None = None
        with self._scope:
            async for frame in self._given:
                await trio.sleep(self._random.uniform(0, self._chances.thread_delay_seconds))
                if self._random.random() < self._chances.lost_worker:
                    self._end("lost")
                elif script is None:
                    script = Script()
                    self._saying.send_nowait(script.start(_unhurried(frame)))
                else:
                    self._saying.send_nowait(script.settle(frame))

    @property
    def pid(self) -> int:
        return self.process.number

    def send_now(self, frame: bytes) -> bool:
        """See `actors.ports.scripts.ScriptWorker`."""
        return False

    async def send(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._life.check()
        if self.process.ended:
            raise self._lost()
        self._life.effect("script frame", f"{self.pid} {digest(frame)}")
        self.process.frames.append(frame)
        self._giving.send_nowait(frame)

    async def receive(self, max_bytes: int) -> bytes:
        self._life.check()
        try:
            frame = await self._said.receive()
        except trio.EndOfChannel:
            self._life.check()
            raise self._lost() from None
        self._life.check()
        if len(frame) > max_bytes:
            raise WorkerLostError("its process said too much")
        return frame

    def kill(self) -> None:
        if not self.process.ended:
            self._life.effect("signal", f"script worker {self.pid} {signal.SIGKILL}")
            self._end("killed")

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        self.kill()

    def _lost(self) -> WorkerLostError:
        return WorkerLostError("its process was ended by SIGKILL", signal=signal.SIGKILL)

    def _end(self, how: Literal["killed", "lost", "left running"]) -> None:
        if not self.process.ended:
            self.process.ended = how
            self._life.on_unplug.pop(self, None)
            self._life.note("exit", f"script worker {self.pid} {how}")
            self._scope.cancel()
            self._saying.close()


class SimEngine:
    """What `open_daemon` wants: workers, and a service to be kept going."""

    confinement: Confinement | None = CONFINEMENT

    def __init__(
        self,
        life: Life,
        scripts: ScriptProcesses,
        chances: Chances,
        start: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self._life = life
        self._scripts = scripts
        self._chances = chances
        self._start = start

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See `actors.sandbox_pool.actor.RunsEngine`."""
        task_status.started()
        await trio.sleep_forever()

    async def worker(self) -> SimWorker:
        """See `actors.ports.scripts.ScriptEngine`."""
        await trio.lowlevel.checkpoint()
        process = ScriptProcess(number=len(self._scripts.history) + 1, life=self._life.number)
        self._life.effect("fork", f"script worker {process.number}")
        self._scripts.history.append(process)
        worker = SimWorker(self._life, process, self._chances)
        self._start(worker.run)
        return worker


def _unhurried(start: bytes) -> bytes:
    _, *rest = HEADER.unpack_from(start)
    return HEADER.pack(CPU_MILLISECONDS, *rest) + start[HEADER.size :]
