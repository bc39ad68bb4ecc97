"""The network: a fabric that knows who listens, each life's port to it, and the rounds, stepped."""

from __future__ import annotations

import errno
import os
import random
import ssl
from collections import deque

import trio

from actors.ports.network import ROUND_SOCKETS, ByteStream
from actors.ports.production.round_pass import FailureHook, RoundBase, RoundWatch, log_failure
from tests.simulation.life import Chances, Life
from tests.simulation.pipes import Pipe, SimStream

FIRST_FREE_PORT = 40000
"""Where port 0 is resolved from."""

BACKLOG = 128
"""Connections that wait to be accepted, unless `listen` says otherwise."""


class Fabric:
    """What connects the machine's inside and outside."""

    def __init__(self, chances: Chances) -> None:
        self.chances = chances
        self.listeners: dict[str, SimListener] = {}
        self.unreachable: set[str] = set()
        """Addresses (``HOST:PORT`` or a path) that answer nothing: connecting to them waits for ever."""
        self.streams: list[SimStream] = []
        """Every end of every connection, in the order in which they were made; for testers."""
        self._next_port = FIRST_FREE_PORT
        self._next_number = 10

    def free_port(self) -> int:
        """One that nobody has."""
        self._next_port += 1
        return self._next_port

    def connect(self, address: str, client: SimNetwork, listener: SimListener) -> SimStream:
        """A new connection; the listener's end waits in its backlog."""
        there, back = Pipe(self.chances.pipe_bytes), Pipe(self.chances.pipe_bytes)
        number = self._next_number
        self._next_number += 2
        near = SimStream(client, number, f"{number}→{address}", back, there)
        far = SimStream(listener.network, number + 1, f"{number}←{address}", there, back)
        self.streams += (near, far)
        listener.backlog.append(far)
        listener.arrivals.unpark()
        return near


class SimListener:
    """See `actors.ports.network.Listener`."""

    def __init__(self, network: SimNetwork, address: str, limit: int) -> None:
        self.network = network
        self.backlog: deque[SimStream] = deque()
        self.limit = limit
        self.arrivals = trio.lowlevel.ParkingLot()
        self._address = address
        self._closed = False
        network.fabric.listeners[address] = self
        network.life.on_unplug[self] = self._close

    @property
    def address(self) -> str:
        return self._address

    async def accept(self) -> ByteStream:
        await trio.lowlevel.checkpoint()
        while True:
            self.network.life.check()
            if self._closed:
                raise trio.ClosedResourceError("this listener is closed")
            if self.backlog:
                stream = self.backlog.popleft()
                self.network.life.effect("accept", stream.name)
                return stream
            await self.arrivals.park()

    async def aclose(self) -> None:
        self.network.life.check()
        self.network.life.on_unplug.pop(self, None)
        self._close()
        await trio.lowlevel.checkpoint()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            del self.network.fabric.listeners[self._address]
            for stream in self.backlog:
                stream.reset()
            self.backlog.clear()
            self.arrivals.unpark_all()


class SimRounds(RoundBase):
    """The same rounds; the order of the ready streams is drawn from the seed."""

    def __init__(self, dice: random.Random, on_failure: FailureHook = log_failure) -> None:
        super().__init__(on_failure)
        self._dice = dice
        self._ready: dict[RoundWatch, None] = {}
        self._waiting: trio.lowlevel.Task | None = None

    async def _serve(self) -> None:
        def stop_waiting(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._waiting = None
            return trio.lowlevel.Abort.SUCCEEDED

        while True:
            if self._ready:
                await trio.lowlevel.checkpoint()
            else:
                self._waiting = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(stop_waiting)
            batch = list(self._ready)[:ROUND_SOCKETS]
            for watch in batch:
                del self._ready[watch]
            self._dice.shuffle(batch)
            self._round(batch)
            for watch in batch:  # level-triggered, as the epoll is
                self._look(watch)

    def _listen(self, watch: RoundWatch) -> None:
        self._stream(watch).incoming.on_change = lambda: self._look(watch)
        self._look(watch)

    def _unlisten(self, watch: RoundWatch) -> None:
        self._stream(watch).incoming.on_change = None
        self._ready.pop(watch, None)

    def _look(self, watch: RoundWatch) -> None:
        if watch.listening and self._stream(watch).incoming.readable:
            self._ready[watch] = None
            if self._waiting is not None:
                task, self._waiting = self._waiting, None
                trio.lowlevel.reschedule(task)

    def _stream(self, watch: RoundWatch) -> SimStream:
        assert isinstance(watch.stream, SimStream), "a simulated network watches simulated streams"
        return watch.stream


class SimNetwork:
    """See `actors.ports.network.Network`."""

    def __init__(self, life: Life, fabric: Fabric, *, on_failure: FailureHook = log_failure) -> None:
        self.life = life
        self.fabric = fabric
        self.chances = fabric.chances
        self.dice = life.random("network")
        self._rounds = SimRounds(life.random("rounds"), on_failure)

    @property
    def rounds(self) -> SimRounds:
        return self._rounds

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_hostname: str | None = None
    ) -> ByteStream:
        stream = await self._connect(f"{_host(host)}:{port}", f"0.0.0.0:{port}")
        stream.tls = tls is not None
        return stream

    async def secure(self, stream: ByteStream, tls: ssl.SSLContext) -> ByteStream:
        await trio.lowlevel.checkpoint()
        return stream

    async def connect_unix(self, path: str) -> ByteStream:
        return await self._connect(path)

    async def listen(self, host: str, port: int, *, backlog: int | None = None) -> SimListener:
        return await self._listen(f"{_host(host)}:{port or self.fabric.free_port()}", backlog)

    async def listen_unix(self, path: str, *, mode: int = 0o600) -> SimListener:
        return await self._listen(path, None)

    async def _connect(self, *addresses: str) -> SimStream:
        await trio.lowlevel.checkpoint()
        self.life.check()
        if addresses[0] in self.fabric.unreachable:
            await trio.sleep_forever()
        for address in addresses:
            listener = self.fabric.listeners.get(address)
            if listener is not None and len(listener.backlog) < listener.limit:
                self.life.effect("connect", address)
                return self.fabric.connect(address, self, listener)
        raise _error(errno.ECONNREFUSED, f"cannot connect to {addresses[0]}")

    async def _listen(self, address: str, backlog: int | None) -> SimListener:
        await trio.lowlevel.checkpoint()
        self.life.check()
        if address in self.fabric.listeners:
            raise _error(errno.EADDRINUSE, f"cannot listen on {address}")
        self.life.effect("listen", address)
        return SimListener(self, address, BACKLOG if backlog is None else backlog)


def _host(host: str) -> str:
    return {"localhost": "127.0.0.1", "": "0.0.0.0"}.get(host, host)


def _error(number: int, what: str) -> OSError:
    return OSError(number, f"{what}: {os.strerror(number)}")
