"""A client's end of a WebSocket (RFC 6455), as much as a tester needs, and reproducible.

Libraries draw the handshake's key and each frame's mask from the operating system; here they come from the simulated
entropy, so that every byte on the simulated network is a function of the seed. That it shares no code with the gateway
is a second reason.
"""

from __future__ import annotations

import base64

import trio

from actors.ports.entropy import Entropy
from actors.ports.network import ByteStream

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

MAX_HEAD_BYTES = 16 * 1024
"""Of the answer to the handshake."""


class GoneError(Exception):
    """The connection is over; the text says how."""


class WebSocket:
    """One connection, open. One task receives; anybody may send."""

    def __init__(self, stream: ByteStream, entropy: Entropy, rest: bytes) -> None:
        self._stream = stream
        self._entropy = entropy
        self._buffer = bytearray(rest)
        self._lock = trio.Lock()

    async def send(self, text: bytes) -> None:
        """A text message. Raises GoneError."""
        await self._send(TEXT, text)

    async def receive(self, *, pause_seconds: float = 0.0, max_bytes: int | None = None) -> bytes:
        """The next text message. Raises GoneError.

        ``pause_seconds`` before each read of at most ``max_bytes`` makes a slow client.
        """
        while True:
            frame = self._take()
            if frame is None:
                await self._read(pause_seconds, max_bytes)
                continue
            opcode, payload = frame
            if opcode == TEXT:
                return payload
            if opcode == PING:
                await self._send(PONG, payload)
            elif opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self._stream.close_now()
                raise GoneError(f"closed with {code} {payload[2:].decode()}")

    def drop(self) -> None:
        """Leave without a goodbye."""
        self._stream.close_now()

    async def _send(self, opcode: int, payload: bytes) -> None:
        mask = self._entropy.token(4)
        head = bytearray([0x80 | opcode])
        if len(payload) < 126:
            head.append(0x80 | len(payload))
        elif len(payload) < 65536:
            head += b"\xfe" + len(payload).to_bytes(2, "big")
        else:
            head += b"\xff" + len(payload).to_bytes(8, "big")
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        async with self._lock:
            try:
                await self._stream.send_all(bytes(head) + mask + masked)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise GoneError(str(error)) from None

    async def _read(self, pause_seconds: float, max_bytes: int | None) -> None:
        if pause_seconds:
            await trio.sleep(pause_seconds)
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise GoneError(str(error)) from None
        if not data:
            raise GoneError("the daemon hung up without a goodbye")
        self._buffer += data

    def _take(self) -> tuple[int, bytes] | None:
        """The first whole frame. A server neither masks nor, here, cuts messages into several."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        start, size = 2, buffer[1]
        assert not size & 0x80, "a server does not mask"
        assert buffer[0] & 0x80, "this server sends messages whole"
        if size == 126:
            start, size = 4, int.from_bytes(buffer[2:4], "big")
        elif size == 127:
            start, size = 10, int.from_bytes(buffer[2:10], "big")
        if len(buffer) < start + size:
            return None
        frame = buffer[0] & 0x0F, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return frame


async def open_websocket(stream: ByteStream, entropy: Entropy, host: str, token: str) -> WebSocket:
    """The handshake. Raises GoneError, also when the server refuses."""
    key = base64.b64encode(entropy.token(16)).decode()
    request = (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    answer = b""
    try:
        await stream.send_all(request.encode())
        while b"\r\n\r\n" not in answer:
            data = await stream.receive_some()
            if not data or len(answer) > MAX_HEAD_BYTES:
                raise GoneError("no answer to the handshake")
            answer += data
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise GoneError(str(error)) from None
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise GoneError(f"refused: {head.splitlines()[0].decode()}")
    return WebSocket(stream, entropy, rest)
