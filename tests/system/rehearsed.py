"""The rehearsed model as a server of a test's own, which speaks every wire."""

from __future__ import annotations

from typing import Any

from actors.ports import Ports
from actors.ports.production import SocketNetwork, SystemClock, SystemEntropy, SystemFiles, WorkerThreads
from actors.rehearsal.actor import Stage


def rehearsed_model() -> Stage:
    """Not serving yet."""
    processes: Any = None  # a model server starts none
    ports = Ports(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        threads=WorkerThreads(),
        files=SystemFiles(),
        network=SocketNetwork(),
        processes=processes,
    )
    return Stage(ports)
