"""httpx2's transport over our network port, and the client that uses it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx2
import trio

from actors.model_stream.http.body import ResponseBody
from actors.model_stream.http.deadline import deadline
from actors.model_stream.http.pool import (
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_IDLE_CONNECTIONS,
    Connection,
    ConnectionPool,
    Origin,
)
from actors.model_stream.http.wire import ResponseReader, encode_chunk, encode_request
from actors.ports import Network, Ports, Threads

logging.getLogger("httpx2").setLevel(logging.WARNING)
# Whatever is being logged: its line for each request has the whole URL, with the password and the keys in its query.

BODY_EXTENSION = "callboard_body"
"""Key of the `ResponseBody` in ``response.extensions``."""

CONNECT_SECONDS = 10.0
"""To a server that may be on another continent and busy; two SYN retransmissions (1 s and 2 s) fit, with TLS."""

WRITE_SECONDS = 60.0
"""For one write of a request: a long history with images over a slow uplink."""

POOL_SECONDS = 30.0
"""For a free connection, beyond which the daemon is overloaded and should say so."""

TIMEOUTS: Mapping[str, float | None] = MappingProxyType(
    {"connect": CONNECT_SECONDS, "read": None, "write": WRITE_SECONDS, "pool": POOL_SECONDS}
)
"""Of a request to a model, as httpx2 hands them to a transport. None for reading: a model may think for minutes, and
the request's owner keeps an idle timeout."""

MAX_TRIES = 3
"""For a request that is safe to repeat, when idle connections turn out to be dead: a server that restarted has closed
all of them, but those that say so are dropped before they are used."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110 §9.2.2. A POST to a model is repeated by the retry policy, which knows what it costs, or not at all."""


def open_client(ports: Ports, **options: Any) -> httpx2.AsyncClient:
    """A client for a model provider. ``options`` go to `httpx2.AsyncClient` and may override all that is set here.

    It trusts no environment variable (``trust_env=True`` turns that on: requests that then go through a proxy are
    httpcore's, without our body extension), asks for uncompressed bodies and has the timeouts above.
    """
    settings: dict[str, Any] = {
        "transport": HttpTransport(ports.network, ports.threads),
        "trust_env": False,
        "timeout": httpx2.Timeout(**TIMEOUTS),
        "headers": {"accept-encoding": "identity"},
        **options,
    }
    return httpx2.AsyncClient(**settings)


class HttpTransport(httpx2.AsyncBaseTransport):
    """HTTP/1.1 with connections kept alive. One TLS context for all, made when the first https connection needs it."""

    def __init__(
        self,
        network: Network,
        threads: Threads,
        *,
        tls_context: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_idle: int = MAX_IDLE_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._network = network
        self._threads = threads
        self._tls_context = tls_context
        self._making_context = trio.Lock()
        self.pool = ConnectionPool(
            network,
            self._shared_tls_context,
            max_connections=max_connections,
            max_idle=max_idle,
            idle_seconds=idle_seconds,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and return when the response's head is there.

        Raises httpx2's ConnectError, WriteError, ReadError, RemoteProtocolError, LocalProtocolError,
        UnsupportedProtocol and timeouts.
        """
        url = request.url
        if url.scheme not in DEFAULT_PORTS:
            raise httpx2.UnsupportedProtocol(
                f"cannot speak {url.scheme!r}: the URL must begin with http:// or https://"
            )
        origin: Origin = (url.scheme, url.host, url.port or DEFAULT_PORTS[url.scheme])
        head = encode_request(request.method.encode("ascii"), url.raw_path, request.headers.raw)
        try:
            body: bytes | None = request.content
        except httpx2.RequestNotRead:
            body = None
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})

        for tries_left in reversed(range(MAX_TRIES)):
            connection = await self.pool.acquire(
                origin, connect_seconds=timeouts.get("connect"), pool_seconds=timeouts.get("pool")
            )
            reader = ResponseReader(to_head_request=request.method == "HEAD")
            try:
                early = await self._exchange(connection, head, body, request, reader)
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                self.pool.discard(connection)
                went_stale = connection.requests > 0 and not reader.began
                if tries_left and went_stale and body is not None and request.method in _REPEATABLE:
                    continue
                raise
            except BaseException:
                self.pool.discard(connection)
                raise
            answer = ResponseBody(request, self.pool, self._network.rounds, connection, reader, early)
            return httpx2.Response(
                reader.status,
                headers=reader.headers,
                stream=answer,
                extensions={
                    "http_version": b"HTTP/1.1",
                    "reason_phrase": reader.reason,
                    BODY_EXTENSION: answer,
                },
            )
        raise AssertionError("the last try returns or raises")

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        self.pool.close_all()

    async def _exchange(
        self, connection: Connection, head: bytes, body: bytes | None, request: httpx2.Request, reader: ResponseReader
    ) -> bytes:
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        unsent: httpx2.WriteError | None = None
        try:
            await self._send(connection, head, body, request, timeouts.get("write"))
        except httpx2.WriteError as error:
            unsent = error
            reader.do_not_reuse()
        try:
            return await self._read_head(connection, reader, timeouts.get("read"))
        except (httpx2.ReadError, httpx2.RemoteProtocolError):
            # A server that refuses a large request may answer and close while we still send. It did not answer.
            if unsent is not None:
                raise unsent from None
            raise

    async def _send(
        self, connection: Connection, head: bytes, body: bytes | None, request: httpx2.Request, seconds: float | None
    ) -> None:
        stream = connection.stream
        try:
            if body is not None:
                # In one piece: the copy is cheaper than a second packet. Most fit the socket's buffer.
                message = head + body
                sent = stream.try_send(message)
                if sent < len(message):
                    with deadline(seconds, httpx2.WriteTimeout, "the server did not take the request"):
                        await stream.send_all(memoryview(message)[sent:])
                return
            assert isinstance(request.stream, httpx2.AsyncByteStream), "an async client makes async streams"
            chunked = request.headers.get("transfer-encoding", "").lower() == "chunked"
            with deadline(seconds, httpx2.WriteTimeout, "the server did not take the request"):
                await stream.send_all(head)
            async for piece in request.stream:
                if piece:
                    with deadline(seconds, httpx2.WriteTimeout, "the server did not take the request"):
                        await stream.send_all(encode_chunk(piece) if chunked else piece)
            if chunked:
                await stream.send_all(encode_chunk(b""))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpx2.WriteError(f"the connection to the server broke while sending: {error}") from error

    async def _read_head(self, connection: Connection, reader: ResponseReader, seconds: float | None) -> bytes:
        """Read until the final response's head is there; what came of the body with it."""
        with deadline(seconds, httpx2.ReadTimeout, "the server did not answer"):
            try:
                while True:
                    data = await connection.stream.receive_some()
                    if data:
                        body = reader.feed(data)
                    else:
                        reader.end()
                        body = b""
                    if reader.status:
                        return body
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise httpx2.ReadError(f"the connection broke before the server answered: {error}") from error

    async def _shared_tls_context(self) -> ssl.SSLContext:
        if self._tls_context is None:
            async with self._making_context:
                if self._tls_context is None:
                    # 15 ms of reading certificates, so in a thread.
                    self._tls_context = await self._threads.run(_make_tls_context)
        return self._tls_context


def _make_tls_context() -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
