"""A proxy between WebSocket clients and the daemon: the bytes pass as they are, and what they say is read along.

It outlives the daemon, so that a client can be watched while its daemon dies and comes back: while there is none, a
client that tries is hung up on, as it would be by a host without a listener.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.conformance.recording import Recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_BYTES = 65536

HEAD_BYTES = 65536
"""Of an upgrade: what is longer is none."""


class Tap:
    """One listener. ``upstream`` says where the daemon is now, or None while there is none."""

    def __init__(self, upstream: Callable[[], str | None], recording: Recording) -> None:
        self.url = ""
        """What clients connect to."""
        self.refused: list[str] = []
        """Upgrades that the daemon answered with something else than 101: its status lines."""
        self._upstream = upstream
        self._recording = recording
        self._count = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}"
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, client: trio.SocketStream) -> None:
        where = self._upstream()
        if where is None:
            await trio.aclose_forcefully(client)
            return
        address = urlsplit(where)
        try:
            server = await trio.open_tcp_stream(address.hostname or "127.0.0.1", address.port or 80)
        except OSError:
            await trio.aclose_forcefully(client)
            return
        self._count += 1
        name = f"c{self._count}"
        self._recording.happened(name, "open")
        asked = _Reader(lambda text: self._recording.client_said(name, text), masked=True)
        told = _Reader(lambda text: self._recording.server_said(name, text), masked=False)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass, client, server, asked, nursery.cancel_scope)
                nursery.start_soon(_pass, server, client, told, nursery.cancel_scope)
        finally:
            if told.status and " 101 " not in told.status:
                self.refused.append(told.status)
            self._recording.happened(name, "close")
            await trio.aclose_forcefully(client)
            await trio.aclose_forcefully(server)


async def _pass(source: trio.SocketStream, target: trio.SocketStream, reader: _Reader, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some(CHUNK_BYTES):
            reader.feed(data)
            await target.send_all(data)
    except trio.BrokenResourceError:
        pass  # either side hung up: so does the other, now
    scope.cancel()


class _Reader:
    """Reads one direction of one connection: the HTTP head, then frames."""

    def __init__(self, heard: Callable[[str], None], *, masked: bool) -> None:
        self.status = ""
        self._heard = heard
        self._head = b""
        self._frames: FrameProtocol | None = None
        self._masked = masked
        self._text: list[str] = []

    def feed(self, data: bytes) -> None:
        if self._frames is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                if len(head) > HEAD_BYTES:
                    raise AssertionError("an HTTP head without an end")
                return
            self.status = head.partition(b"\r\n")[0].decode("latin-1")
            extended = b"sec-websocket-extensions:" in head.lower() and not self._masked
            assert not extended, "the daemon agreed to an extension that this tap cannot read"
            self._frames = FrameProtocol(client=not self._masked, extensions=[])
        self._frames.receive_bytes(data)
        for frame in self._frames.received_frames():
            if frame.opcode is Opcode.TEXT:
                self._text.append(str(frame.payload))
                if frame.message_finished:
                    text, self._text = "".join(self._text), []
                    self._heard(text)


@asynccontextmanager
async def tapped(upstream: Callable[[], str | None], recording: Recording) -> AsyncIterator[Tap]:
    """A tap for the length of a block."""
    tap = Tap(upstream, recording)
    async with trio.open_nursery() as nursery:
        await nursery.start(tap.run)
        yield tap
        nursery.cancel_scope.cancel()
