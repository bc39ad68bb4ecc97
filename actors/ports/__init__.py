"""Ports: the only doors through which actors reach the world.

clock      what time it is (waiting is trio's business: its clock can be virtual)
entropy    ids, tokens, jitter
threads    blocking work off the loop
files      the file system, as blocking verbs to be run in threads
network    byte streams, listeners, and the rounds that serve all streaming sockets at once
processes  contained child processes

Each file holds the protocol; `production` beside it is a thin implementation, and the tests hold a simulated one that
makes the whole daemon run in virtual time from a seed. A guard test refuses direct use of os, time, random, socket,
subprocess and open() elsewhere in `actors`.
"""

from __future__ import annotations

import msgspec

from actors.ports.clock import Clock
from actors.ports.entropy import Entropy
from actors.ports.files import Files
from actors.ports.network import Network
from actors.ports.processes import Processes
from actors.ports.threads import Threads


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an actor may touch outside itself; handed down from the root, never imported."""

    clock: Clock
    entropy: Entropy
    threads: Threads
    files: Files
    network: Network
    processes: Processes


__all__ = ["Clock", "Entropy", "Files", "Network", "Ports", "Processes", "Threads"]
