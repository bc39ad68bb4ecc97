"""Connections that are kept for the next request to the same origin.

The most recently used goes out first (it is the least likely to have been closed, and the others can expire). Every
operation is O(1): an ordered dict per origin is the stack, one over all is the order of age. An idle connection sits in
the rounds, so that a server closing it is noticed at once and without a task; expired ones are closed when the pool is
used next. Rejected: httpcore's way of walking over all connections for each request (quadratic under load).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import httpx2
import msgspec
import trio

from actors.model_stream.http.deadline import deadline
from actors.ports.network import ByteStream, Network, Watch

MAX_CONNECTIONS = 4000
"""To all origins together: four times the thousand threads that are to stream at once; well below a daemon's file
table. Beyond it requests wait for a connection (httpx2.PoolTimeout after the client's pool timeout)."""

MAX_IDLE_CONNECTIONS = 1000
"""Kept for later: one for each of a thousand threads between two samplings. The oldest is closed first."""

IDLE_SECONDS = 60.0
"""Servers close idle connections after 5 s (node, uvicorn) to 75 s (nginx); asking later than that only loses races."""

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class Connection(msgspec.Struct, eq=False):
    """One connection to an origin, in use or idle."""

    origin: Origin
    stream: ByteStream
    requests: int = 0
    """How many it has carried before: the first answer may be missing because the server closed an idle one."""
    expires_at: float = 0.0
    idle_watch: Watch | None = None
    on_lost: Callable[[], None] | None = None
    """Whom to tell when the pool closes it under a request that no task is waiting for."""


class ConnectionPool:
    """The connections of one client. Not shared between event loops."""

    def __init__(
        self,
        network: Network,
        tls_context: Callable[[], Awaitable[ssl.SSLContext]],
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_idle: int = MAX_IDLE_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._network = network
        self._tls_context = tls_context
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._open: dict[Connection, None] = {}
        self._connecting = 0
        self._idle: dict[Connection, None] = {}
        """All idle ones, the longest idle first."""
        self._stacks: dict[Origin, dict[Connection, None]] = {}
        self._waiting = trio.lowlevel.ParkingLot()
        self._closed = False

    @property
    def idle_connections(self) -> int:
        """For the metrics and the tests."""
        return len(self._idle)

    @property
    def open_connections(self) -> int:
        """In use and idle."""
        return len(self._open)

    async def acquire(
        self, origin: Origin, *, connect_seconds: float | None = None, pool_seconds: float | None = None
    ) -> Connection:
        """An idle connection or a new one; give it to `release` or `discard`.

        Raises httpx2.ConnectError, ConnectTimeout or PoolTimeout.
        """
        if self._closed:
            raise RuntimeError("this HTTP client is closed")
        self._close_expired()
        connection = self._take_idle(origin)
        if connection is not None:
            return connection
        if not self._has_room():
            with deadline(pool_seconds, httpx2.PoolTimeout, "no connection became free"):
                while not self._has_room():
                    await self._waiting.park()
                    connection = self._take_idle(origin)
                    if connection is not None:
                        return connection
        self._connecting += 1
        try:
            stream = await self._connect(origin, connect_seconds)
        except BaseException:
            self._waiting.unpark()
            raise
        finally:
            self._connecting -= 1
        connection = Connection(origin=origin, stream=stream)
        self._open[connection] = None
        return connection

    def release(self, connection: Connection) -> None:
        """Its response was read to the end: keep it."""
        if self._closed or self._max_idle == 0:
            self.discard(connection)
            return
        connection.requests += 1
        connection.expires_at = trio.current_time() + self._idle_seconds
        try:
            connection.idle_watch = self._network.rounds.watch(
                connection.stream, lambda: self._idle_became_readable(connection)
            )
        except trio.ClosedResourceError:
            self.discard(connection)
            return
        self._idle[connection] = None
        self._stacks.setdefault(connection.origin, {})[connection] = None
        if len(self._idle) > self._max_idle:
            self.discard(next(iter(self._idle)))
        self._waiting.unpark()

    def discard(self, connection: Connection) -> None:
        """Close it at once. May be called twice."""
        if connection in self._idle:
            self._leave_idle(connection)
        connection.stream.close_now()
        if self._open.pop(connection, self) is None:
            self._waiting.unpark()

    def close_all(self) -> None:
        """The client is closing: no connection survives it."""
        self._closed = True
        for connection in tuple(self._open):
            self.discard(connection)
            if connection.on_lost is not None:
                connection.on_lost()

    # --- idle connections -------------------------------------------------------------------------------------------

    def _take_idle(self, origin: Origin) -> Connection | None:
        stack = self._stacks.get(origin)
        while stack:
            connection = next(reversed(stack))
            self._leave_idle(connection)
            if _still_silent(connection.stream):
                return connection
            self.discard(connection)
        return None

    def _leave_idle(self, connection: Connection) -> None:
        del self._idle[connection]
        stack = self._stacks[connection.origin]
        del stack[connection]
        if not stack:
            del self._stacks[connection.origin]
        if connection.idle_watch is not None:
            connection.idle_watch.close()
            connection.idle_watch = None

    def _idle_became_readable(self, connection: Connection) -> None:
        if not _still_silent(connection.stream):
            self.discard(connection)

    def _close_expired(self) -> None:
        now = trio.current_time()
        while self._idle:
            oldest = next(iter(self._idle))
            if oldest.expires_at > now:
                return
            self.discard(oldest)

    # --- new connections --------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        if len(self._open) + self._connecting < self._max_connections:
            return True
        if self._idle:  # of another origin, or it would have been taken
            self.discard(next(iter(self._idle)))
            return True
        return False

    async def _connect(self, origin: Origin, seconds: float | None) -> ByteStream:
        scheme, host, port = origin
        with deadline(seconds, httpx2.ConnectTimeout, f"no connection to {host}:{port}"):
            try:
                context = await self._tls_context() if scheme == "https" else None
                return await self._network.connect(host, port, tls=context, server_hostname=host if context else None)
            except ssl.SSLError as error:
                raise httpx2.ConnectError(f"TLS with {host}:{port} failed: {error}") from error
            except OSError as error:
                raise httpx2.ConnectError(f"cannot reach {host}:{port}: {error.strerror or error}") from error


def _still_silent(stream: ByteStream) -> bool:
    """A server that says something without being asked is closing, or out of step."""
    try:
        return stream.try_receive(1) is None
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return False
