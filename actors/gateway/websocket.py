"""One client's WebSocket: trio-websocket reads, we write.

The library is given a stream of ours that has no socket's `send_all`: what it wants to send (the handshake, pongs,
closes) goes into the `Outlet` with our own data frames, so there is one writer, one order, one write per round, nothing
torn by a cancelled send, and nothing after a Close. Its reader drains the socket always; a message is handed to the
connection at once, so pings are answered while a client's requests are worked on.

Data frames are built here: a server's are not masked, so a frame is a short header and the text as it is
(RFC 6455 §5.2). No extension is negotiated.

What the library does not do well and is done here instead: `aclose` waits for a silent peer for ever (bounded); after a
message that is too long it stops reading, and closing a socket with unread input resets the connection before the
peer has seen why (read on for a moment); frames that came with the request, which RFC 6455 §4.1 forbids and clients in
a hurry send, it would lose (kept until the handshake is over). Facts: reference/style DEPS §2.
"""

from __future__ import annotations

import contextlib

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors.gateway.outlet import Outlet
from actors.gateway.transport import PeerGoneError
from actors.ports.network import ByteStream, Rounds

CLOSE_SECONDS = 1.0
"""For the goodbye: a client on this machine answers in a millisecond, and one that does not read is not waited for."""

LINGER_BYTES = 64 * 1024 * 1024
"""How much of a message that is too long is read on and thrown away, so that the client learns why it was refused."""

CONTROL_BACKLOG_BYTES = 64 * 1024
"""Pongs wait to be sent up to here; then the peer that pings without reading is not read either."""

RECEIVE_BYTES = 64 * 1024

PING = b"\x89\x00"
"""An unsolicited, empty ping. Its pong needs no answer."""

_CLOSE_OPCODE = 0x8
_GOING_TOO_BIG = 1009


def append_text_frame(parts: list[bytes], text: bytes) -> None:
    """A whole unmasked text frame."""
    size = len(text)
    if size < 126:
        parts.append(b"\x81%c" % size)
    elif size < 65536:
        parts.append(b"\x81\x7e" + size.to_bytes(2, "big"))
    else:
        parts.append(b"\x81\x7f" + size.to_bytes(8, "big"))
    parts.append(text)


class _LibraryStream(trio.abc.Stream):
    """What trio-websocket takes for the socket."""

    def __init__(self, stream: ByteStream, outlet: Outlet, head: bytes) -> None:
        self._stream = stream
        self._outlet = outlet
        request, end, self._early = head.partition(b"\r\n\r\n")
        self._request = request + end
        self._opened = trio.Event()

    def open(self) -> None:
        """The handshake is over: what is sent from now on, and what was sent with the request, are frames."""
        self._opened.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._outlet.broken:
            raise trio.BrokenResourceError("the client is gone")
        self._outlet.send_raw(bytes(data))
        if self._opened.is_set() and data[0] & 0x0F == _CLOSE_OPCODE:
            self._outlet.finish()
        # The bytes are in the queue, whole: cancelling this wait tears nothing.
        await self._outlet.wait_below(CONTROL_BACKLOG_BYTES)

    async def wait_send_all_might_not_block(self) -> None:
        await self._outlet.wait_below(CONTROL_BACKLOG_BYTES)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._request:
            await trio.lowlevel.checkpoint()
            request, self._request = self._request, b""
            return request
        # The library loses what it reads before its own answer has left.
        await self._opened.wait()
        if self._early:
            early, self._early = self._early, b""
            return early
        return await self._stream.receive_some(RECEIVE_BYTES if max_bytes is None else max_bytes)

    async def aclose(self) -> None:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._outlet.wait_below(0)
        self._outlet.cut()
        await trio.lowlevel.checkpoint()


class WebSocketTransport:
    """See `actors.gateway.transport.Transport`."""

    def __init__(self, socket: WebSocketConnection, stream: ByteStream, outlet: Outlet, peer: str) -> None:
        self._socket = socket
        self._stream = stream
        self.outlet = outlet
        self.peer = peer

    async def receive(self) -> str | bytes:
        try:
            message: str | bytes = await self._socket.get_message()
        except ConnectionClosed as closed:
            reason = closed.reason
            if reason is None:
                raise PeerGoneError("the connection broke") from None
            raise PeerGoneError(f"closed with {reason.code} {reason.reason or reason.name}") from None
        return message

    def ping(self) -> None:
        self.outlet.send_raw(PING)

    async def close(self, code: int, reason: str) -> None:
        closed = self._socket.closed
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            if closed is None:
                await self._socket.aclose(code, reason)
            elif closed.code == _GOING_TOO_BIG and not self.outlet.broken:
                await self._linger()
        self.outlet.cut()

    async def _linger(self) -> None:
        await self.outlet.wait_below(0)
        read = 0
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while read < LINGER_BYTES and (data := await self._stream.receive_some(RECEIVE_BYTES)):
                read += len(data)


async def accept(
    nursery: trio.Nursery, stream: ByteStream, rounds: Rounds, head: bytes, *, max_message_bytes: int, peer: str
) -> WebSocketTransport:
    """Finish the handshake whose request ``head`` holds. The reader and the writer run in ``nursery``.

    The deadline is the caller's: a request that the library does not like is answered by it, and nothing follows.
    """
    outlet = Outlet(stream, rounds, append_text_frame)
    library_stream = _LibraryStream(stream, outlet, head)
    await nursery.start(outlet.run)
    request = await wrap_server_stream(
        nursery, library_stream, max_message_size=max_message_bytes, receive_buffer_size=RECEIVE_BYTES
    )
    socket = await request.accept()
    library_stream.open()
    return WebSocketTransport(socket, stream, outlet, peer)
