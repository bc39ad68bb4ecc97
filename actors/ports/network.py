"""Byte streams, listeners, and rounds.

A *round* is one pass over every streaming socket that has data: one task waits on an epoll that holds them all, reads
each ready socket once, runs its decoder, and then lets every connection made dirty write once. A token thus goes from
the model's socket to the client's without waking any other task. A round is bounded in sockets and in bytes per
socket, and ends in a checkpoint. The simulated port steps through the same rounds deterministically.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

import trio

ROUND_SOCKETS = 512
"""At most so many sockets are read in one round, so that no round keeps the tasks waiting for long: at about 10 µs a
socket this is 5 ms. The kernel hands out ready sockets in turn, so the rest is first in the next round."""

ROUND_BYTES = 65536
"""What an ``on_readable`` may take from its socket in one round: more than any model sends between two rounds, little
enough (some 300 deltas, a millisecond of decoding) that a flood on one socket does not starve the others."""


class ByteStream(Protocol):
    """One connected stream. It is also a `trio.abc.Stream`, for libraries that take one.

    Errors are trio's: BrokenResourceError when the peer is gone, ClosedResourceError after our own close.
    """

    @property
    def peer(self) -> str:
        """Who is at the other end of an accepted stream, for logs: ``HOST:PORT``, or ``pid N uid N`` of a Unix
        socket; "" where that is not known."""
        ...

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. Cancelling it in the middle leaves half of it on the wire: then only `close_now` is left."""
        ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte, or b"" at the end of the stream."""
        ...

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        """Send what fits without waiting; how many bytes were taken (0: it would block)."""
        ...

    def try_receive(self, max_bytes: int) -> bytes | None:
        """What is there now: None if it would block, b"" at the end of the stream."""
        ...

    async def wait_writable(self) -> None:
        """Return when `try_send` would take something."""
        ...

    def close_now(self) -> None:
        """Close without ceremony; may be called twice. Readers and writers wake with ClosedResourceError."""
        ...

    async def aclose(self) -> None:
        """Close in order (TLS says goodbye, bounded in time)."""
        ...


class Listener(Protocol):
    """A listening socket."""

    @property
    def address(self) -> str:
        """``HOST:PORT`` or the path of a Unix socket, as bound (port 0 resolved)."""
        ...

    async def accept(self) -> ByteStream:
        """The next connection, TCP_NODELAY set. Survives what a full file table or an aborted handshake throws."""
        ...

    async def aclose(self) -> None: ...


class Watch(Protocol):
    """A stream's place in the rounds."""

    def pause(self) -> None:
        """Stop reading this stream (its reader has no room)."""
        ...

    def resume(self) -> None:
        """Read it again; data that waits is seen in the next round."""
        ...

    def close(self) -> None:
        """Leave the rounds; the stream itself stays open. May be called twice."""
        ...


class Flushable(Protocol):
    """Whoever wrote something during a round and wants to put it on the wire once at its end."""

    def flush(self) -> None:
        """One non-blocking write. Must not raise."""
        ...


class Rounds(Protocol):
    """The loop that serves all watched streams."""

    def watch(self, stream: ByteStream, on_readable: Callable[[], None]) -> Watch:
        """Call ``on_readable`` in each round in which the stream has data or ended.

        It takes at most ROUND_BYTES with one ``try_receive`` (None is possible: nothing there after all), must not
        block and must not raise; if it raises all the same, its watch is closed and the failure reported. ``stream``
        is one that this port made, not a wrapper around it, and has one watch at a time (BusyResourceError).
        """
        ...

    def flush_later(self, target: Flushable) -> None:
        """Flush ``target`` once: at the end of the round under way, or as soon as the tasks now runnable have run."""
        ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        ...


class Network(Protocol):
    """TCP and Unix sockets."""

    @property
    def rounds(self) -> Rounds: ...

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_hostname: str | None = None
    ) -> ByteStream:
        """Connect (happy eyeballs), TCP_NODELAY set. Raises OSError."""
        ...

    async def secure(self, stream: ByteStream, tls: ssl.SSLContext) -> ByteStream:
        """Shake hands as the server of TLS over an accepted stream, which is closed if that fails.

        Raises ssl.SSLError, or trio.BrokenResourceError when the peer is gone.
        """
        ...

    async def connect_unix(self, path: str) -> ByteStream: ...

    async def listen(self, host: str, port: int, *, backlog: int | None = None) -> Listener:
        """Raises OSError, e.g. when the port is in use."""
        ...

    async def listen_unix(self, path: str, *, mode: int = 0o600) -> Listener:
        """Raises OSError; a dead socket file left at ``path`` is replaced, a live one is not."""
        ...
