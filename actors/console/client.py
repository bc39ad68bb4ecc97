"""A JSON-RPC client over a WebSocket, for the console's own verbs.

One reader task sorts what arrives: responses to whoever waits, everything else into one ordered stream of
notifications and server requests.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio
import trio_websocket

from actors.console import home as homes
from messages.version import VERSION

CONNECT_SECONDS = 10.0
"""A daemon on this machine answers in milliseconds; beyond this nobody is listening properly."""

INBOX = 10_000
"""Frames read but not yet looked at. A terminal is slow; the daemon merges what it has not sent yet anyway."""

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A resumed thread comes in one frame."""


class WireError(Exception):
    """The daemon answered a request with an error; with code 0 it is we who refuse."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{method}: {message} ({code})" if code else f"{method}: {message}")
        self.method = method
        self.code = code
        self.reason = message
        self.data = data


class NotReachableError(Exception):
    """No daemon answered at the address; the text says what to do."""


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors themselves, out of however many nurseries they came through."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A notification, or with ``id`` a request of the daemon that wants an answer."""

    method: str
    params: dict[str, Any] = {}
    id: str | int | None = None
    epoch: str | None = None
    seq: int | None = None
    """Its place among the thread's events, where it has one."""


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    epoch: str | None = None
    seq: int | None = None


class _Frame(msgspec.Struct, frozen=True, kw_only=True):
    method: str | None = None
    params: Any = None
    id: str | int | None = None
    result: Any = None
    error: dict[str, Any] | None = None
    callboard: _Place = _Place()


_frames: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_Frame)


class Client:
    """A connected, initialized client."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._next_id = 1
        self._waiting: dict[int, trio.MemorySendChannel[_Frame]] = {}
        self._inbox_send, self._inbox = trio.open_memory_channel[Incoming](INBOX)
        self.server: dict[str, Any] = {}

    async def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result. Raises WireError, or NotReachableError when the connection is gone."""
        request_id = self._next_id
        self._next_id += 1
        send, receive = trio.open_memory_channel[_Frame](1)
        self._waiting[request_id] = send
        try:
            await self._send({"id": request_id, "method": method, "params": {} if params is None else params})
            frame = await receive.receive()
        except trio.EndOfChannel:
            raise NotReachableError(f"The daemon closed the connection before it answered {method}.") from None
        finally:
            self._waiting.pop(request_id, None)
        if frame.error is not None:
            raise WireError(method, frame.error.get("code", 0), frame.error.get("message", ""), frame.error.get("data"))
        return frame.result

    async def notify(self, method: str) -> None:
        await self._send({"method": method})

    async def answer(self, request_id: str | int, result: Any) -> None:
        """Answer a request of the daemon."""
        await self._send({"id": request_id, "result": result})

    async def refuse(self, request_id: str | int, error: dict[str, Any]) -> None:
        """Answer a request of the daemon with an error."""
        await self._send({"id": request_id, "error": error})

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Notifications and server requests in order, until the connection ends."""
        async for message in self._inbox:
            yield message

    async def aclose(self) -> None:
        """Say goodbye and end."""
        await self._socket.aclose()

    def waiting(self) -> list[Incoming]:
        """What has come and was not looked at yet, without waiting for more."""
        found: list[Incoming] = []
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                found.append(self._inbox.receive_nowait())
        return found

    async def _send(self, frame: dict[str, Any]) -> None:
        try:
            await self._socket.send_message(msgspec.json.encode(frame).decode())
        except trio_websocket.ConnectionClosed as error:
            raise NotReachableError(f"The daemon closed the connection: {error.reason}") from error

    async def _read(self) -> None:
        try:
            while True:
                frame = _frames.decode(await self._socket.get_message())
                if frame.method is not None:
                    place = frame.callboard
                    message = Incoming(
                        method=frame.method, params=frame.params or {}, id=frame.id, epoch=place.epoch, seq=place.seq
                    )
                    await self._inbox_send.send(message)
                elif isinstance(frame.id, int) and frame.id in self._waiting:
                    self._waiting[frame.id].send_nowait(frame)
        except trio_websocket.ConnectionClosed:
            return
        finally:
            self._inbox_send.close()
            for waiting in self._waiting.values():
                waiting.close()


async def open_socket(
    nursery: trio.Nursery, url: str, token: str | None, *, queue: int = 1
) -> trio_websocket.WebSocketConnection:
    """A WebSocket to ``ws://``, ``wss://`` or ``unix://``; ``queue`` messages are read ahead. Raises NotReachableError.

    Its tasks run in ``nursery``.
    """
    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    options: dict[str, Any] = {
        "extra_headers": headers,
        "max_message_size": MAX_FRAME_BYTES,
        "message_queue_size": queue,
    }
    try:
        with trio.fail_after(CONNECT_SECONDS):
            if url.startswith("unix:"):
                stream = await trio.open_unix_socket(url.removeprefix("unix://"))
                return await trio_websocket.wrap_client_stream(nursery, stream, "localhost", "/", **options)
            if url.startswith("wss:"):
                parts = urlsplit(url)
                secured = await _open_tls(parts.hostname or "", parts.port or 443, trusting(url))
                return await trio_websocket.wrap_client_stream(nursery, secured, parts.netloc, "/", **options)
            return await trio_websocket.connect_websocket_url(nursery, url, **options)
    except ssl.SSLCertVerificationError as error:
        raise NotReachableError(
            f"Whoever answers at {url} shows a certificate that is not trusted here ({error.verify_message}). "
            "listen.tls_certificate has to name that host, and this machine has to trust its issuer"
        ) from error
    except (OSError, trio.TooSlowError, trio_websocket.HandshakeError) as error:
        raise NotReachableError(
            f"No daemon answers at {url} ({_why(error)}). Start one with: callboard serve"
        ) from error


async def _open_tls(host: str, port: int, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """Shake hands before the WebSocket library gets the stream: it would tell no failure, and wait. Raises OSError."""
    stream = await trio.open_ssl_over_tcp_stream(host, port, ssl_context=context)
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if not isinstance(error, trio.BrokenResourceError):
            raise
        cause = error.__cause__
        raise (cause if isinstance(cause, OSError) else OSError("no TLS is spoken there")) from error
    return stream


def trusting(url: str) -> ssl.SSLContext:
    """What the machine trusts, and the certificate of the daemon of this home if that is who we mean."""
    context = ssl.create_default_context()
    own = homes.certificate(homes.home(), url)
    if own is not None:
        context.load_verify_locations(cafile=own)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be its own issuer (X509_VERIFY_PARAM(3))
    return context


def _why(error: Exception) -> str:
    if isinstance(error, trio_websocket.ConnectionRejected):
        return f"{error.status_code} {(error.body or b'').decode(errors='replace').strip()}".strip()
    return str(error) or type(error).__name__


@asynccontextmanager
async def connect(url: str, *, token: str | None = None, name: str = "callboard-console") -> AsyncIterator[Client]:
    """Connect and initialize. Raises NotReachableError."""
    async with trio.open_nursery() as nursery:
        socket = await open_socket(nursery, url, token)
        async with introduced(nursery, socket, name) as client:
            yield client
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def introduced(
    nursery: trio.Nursery, socket: trio_websocket.WebSocketConnection, name: str = "callboard-console"
) -> AsyncIterator[Client]:
    """A client on a socket that is open already; leaving says goodbye. Raises NotReachableError."""
    client = Client(socket)
    nursery.start_soon(client._read)
    try:
        client.server = await client.request(
            "initialize",
            {
                "clientInfo": {"name": name, "title": None, "version": VERSION},
                "capabilities": {"experimentalApi": True},
            },
        )
        await client.notify("initialized")
        yield client
    finally:
        with trio.move_on_after(1, shield=True):
            await client.aclose()
