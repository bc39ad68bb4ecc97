"""Where scripts run. The production port forks confined workers (`actors/sandbox_pool/inside`)."""

from __future__ import annotations

from typing import Protocol

import msgspec


class EngineUnavailableError(Exception):
    """No worker could be had; the text says why. Nothing has run."""


class WorkerLostError(Exception):
    """The worker's process ended, or broke the protocol; the text says how. ``signal`` is what ended it, if one did."""

    def __init__(self, message: str, *, signal: int = 0) -> None:
        super().__init__(message)
        self.signal = signal


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a worker in, as the worker itself found out before it read any script."""

    layers: dict[str, int]
    """Layer -> its version or 1; or, negative, the errno for which it does not hold."""
    missing: tuple[str, ...]
    """Required layers that do not hold."""


class ScriptWorker(Protocol):
    """One process for one script. Whoever has it owns it, and closes it."""

    @property
    def pid(self) -> int:
        """For people."""
        ...

    def send_now(self, frame: bytes) -> bool:
        """Send it without waiting, as can nearly always be done. False: `send` it, which goes on from there. Of a lost
        worker `receive` tells."""
        ...

    async def send(self, frame: bytes) -> None:
        """Raises WorkerLostError. Not to be cancelled and gone on with."""
        ...

    async def receive(self, max_bytes: int) -> bytes:
        """The next frame. Raises WorkerLostError, also for one that is longer."""
        ...

    def kill(self) -> None:
        """At once. May be repeated."""
        ...

    async def aclose(self) -> None:
        """Kill it, and return when it is gone. Shielded. May be repeated."""
        ...


class ScriptEngine(Protocol):
    """Whoever can give a worker."""

    @property
    def confinement(self) -> Confinement | None:
        """None before the first worker was ready."""
        ...

    async def worker(self) -> ScriptWorker:
        """A new one, confined and ready. Raises EngineUnavailableError. Cancelled, it leaves nothing running."""
        ...
