"""The ports on the real machine: each as thin as its protocol allows.

    clock, entropy, threads, files   the standard library, wrapped
    sockets, tls, network            non-blocking streams
    round_pass, rounds               who is read and who is flushed in a round; how sockets are waited on
    processes                        the launcher's client

Only here may `actors` touch os, socket, time, random and subprocess.
"""

from __future__ import annotations

from actors.ports import Ports, Processes
from actors.ports.production.clock import SystemClock
from actors.ports.production.entropy import SystemEntropy
from actors.ports.production.files import SystemFiles
from actors.ports.production.network import SocketNetwork
from actors.ports.production.round_pass import FailureHook, log_failure
from actors.ports.production.threads import WorkerThreads


def production_ports(processes: Processes, *, on_round_failure: FailureHook = log_failure) -> Ports:
    """All ports of this machine; ``processes`` comes from the launcher, which had to be started before trio was."""
    return Ports(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        threads=WorkerThreads(),
        files=SystemFiles(),
        network=SocketNetwork(on_failure=on_round_failure),
        processes=processes,
    )


__all__ = [
    "FailureHook",
    "SocketNetwork",
    "SystemClock",
    "SystemEntropy",
    "SystemFiles",
    "WorkerThreads",
    "production_ports",
]
