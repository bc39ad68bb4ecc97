"""Bytes from one to another: a bounded pipe, and two of them as a stream."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

import trio

from actors.ports.production.round_pass import RoundStream
from tests.simulation.life import Chances, Life, digest

RECEIVE_BYTES = 65536


class Pipe:
    """One direction. The writer may end it, either side may break it; what was written before can still be read."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        """The writer is done: after the data comes the end."""
        self.broken = False
        """Reset: after the data comes an error, and nothing can be written."""
        self.on_change: Callable[[], None] | None = None
        """Told when there is something to read: the reader's rounds."""
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()

    @property
    def readable(self) -> bool:
        """Data, the end, or an error."""
        return bool(self.data) or self.ended or self.broken

    def take(self, max_bytes: int) -> bytes:
        """From the front; makes room for the writer."""
        piece = bytes(self.data[:max_bytes])
        del self.data[:max_bytes]
        self._writers.unpark_all()
        return piece

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """The caller has looked at `room`."""
        self.data += data
        self.changed()

    def room(self) -> int:
        """Bytes that fit."""
        return self.capacity - len(self.data)

    def end(self) -> None:
        """No more data."""
        self.ended = True
        self.changed()

    def break_off(self) -> None:
        """Reset."""
        self.broken = True
        self.changed()

    def changed(self) -> None:
        """Wake both sides; they look for themselves."""
        self._readers.unpark_all()
        self._writers.unpark_all()
        if self.on_change is not None:
            self.on_change()

    async def wait_readable(self) -> None:
        """Until woken; the caller looks again."""
        await self._readers.park()

    async def wait_writable(self) -> None:
        """Until woken; the caller looks again."""
        await self._writers.park()


class Holder(Protocol):
    """Whose stream it is: asked before, and told about, everything."""

    @property
    def life(self) -> Life: ...
    @property
    def chances(self) -> Chances: ...
    @property
    def dice(self) -> random.Random: ...


class SimStream(RoundStream):
    """One end of a connection."""

    def __init__(self, holder: Holder, number: int, name: str, incoming: Pipe, outgoing: Pipe) -> None:
        self._holder = holder
        self._life = holder.life
        self._number = number
        self.name = name
        """Who speaks to whom, for the trace."""
        self.peer = f"sim:{number}"
        self.incoming = incoming
        self.outgoing = outgoing
        self.tls = False
        """Connected with TLS. It is taken for granted, not simulated."""
        self._closed = False
        self._sending = False
        self._life.on_unplug[self] = self._cut

    def __repr__(self) -> str:
        return f"<SimStream {self.name}{' closed' if self._closed else ''}>"

    def fileno(self) -> int:
        return -1 if self._closed else self._number

    def has_pending(self) -> bool:
        return False

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        self._check()
        if self.outgoing.broken or self.outgoing.ended:
            raise trio.BrokenResourceError("the connection broke: reset by peer")
        count = min(self.outgoing.room(), len(data))
        if count > 1 and self._holder.dice.random() < self._holder.chances.short_write:
            count = self._holder.dice.randint(1, count)
        if count:
            piece = bytes(memoryview(data)[:count])
            self._life.effect("send", f"{self.name} {digest(piece)}")
            self.outgoing.put(piece)
        return count

    def try_receive(self, max_bytes: int) -> bytes | None:
        self._check()
        pipe = self.incoming
        if pipe.data:
            count = min(max_bytes, len(pipe.data))
            if count > 1 and self._holder.dice.random() < self._holder.chances.short_read:
                count = self._holder.dice.randint(1, count)
            return pipe.take(count)
        if pipe.broken:
            raise trio.BrokenResourceError("the connection broke: reset by peer")
        return b"" if pipe.ended else None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            with memoryview(data) as view:
                sent = 0
                while sent < len(view):
                    taken = self.try_send(view[sent:])
                    sent += taken
                    if taken == 0:
                        await self.wait_writable()
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while (data := self.try_receive(RECEIVE_BYTES if max_bytes is None else max_bytes)) is None:
            await self.incoming.wait_readable()
        return data

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        while not (self.outgoing.room() or self.outgoing.broken or self.outgoing.ended):
            await self.outgoing.wait_writable()
            self._check()

    async def wait_send_all_might_not_block(self) -> None:
        await self.wait_writable()

    def close_now(self) -> None:
        self._life.check()
        if not self._closed:
            self._life.effect("close", self.name)
            self.leave_rounds()
            self._close()

    async def aclose(self) -> None:
        self.close_now()
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """For testers: the connection breaks, for both ends."""
        self.incoming.break_off()
        self.outgoing.break_off()

    def _close(self) -> None:
        """Closing with unread data resets the connection, as TCP does; otherwise the peer reads to the end."""
        self._closed = True
        self._life.on_unplug.pop(self, None)
        if self.incoming.data:
            self.outgoing.break_off()
        else:
            self.outgoing.end()
        self.incoming.data.clear()
        self.incoming.break_off()

    def _cut(self) -> None:
        """The process is gone, and with it its end."""
        if not self._closed:
            self._close()

    def _check(self) -> None:
        self._life.check()
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed by this side")
