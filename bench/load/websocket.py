"""The client's side of a WebSocket (RFC 6455), as little of it as a load generator on loopback needs.

Masks are all zero: the standard wants them unpredictable to protect proxies, of which loopback has none, and XOR with
zero costs us nothing. No extension is offered, so frames are plain.
"""

from __future__ import annotations

import base64
import os
import socket
import struct

MAX_HANDSHAKE_BYTES = 64 * 1024
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
RECEIVE_BYTES = 256 * 1024


class WebSocketError(Exception):
    """The server did not speak as it should, or has gone."""


def connect(host: str, port: int, *, seconds: float = 10.0) -> tuple[socket.socket, bytes]:
    """Connect and shake hands; the socket, non-blocking from now on, and what came after the handshake.

    Raises OSError, or WebSocketError when the server refuses.
    """
    sock = socket.create_connection((host, port), timeout=seconds)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = _shake_hands(sock, f"{host}:{port}")
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock, rest


def _shake_hands(sock: socket.socket, address: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = sock.recv(4096)
        if not data or len(answer) > MAX_HANDSHAKE_BYTES:
            raise WebSocketError(f"no WebSocket at {address}: {answer[:200]!r}")
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise WebSocketError(f"{address} refused: {answer[:500].decode('latin-1')}")
    return rest


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole masked frame."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB4x", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH4x", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ4x", 0x80 | opcode, 0x80 | 127, size)
    return head + payload


class FrameReader:
    """Bytes to messages. `feed` gives (opcode, payload) of whole messages; fragments are joined."""

    def __init__(self) -> None:
        self._held = b""
        self._parts: list[bytes] = []
        self._opcode = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Raises WebSocketError for a masked frame."""
        if self._held:
            data = self._held + data
        found: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            body = at + 2
            if size >= 126:
                if size == 126:
                    body += 2
                    if body > end:
                        break
                    size = int.from_bytes(data[at + 2 : body])
                elif size == 127:
                    body += 8
                    if body > end:
                        break
                    size = int.from_bytes(data[at + 2 : body])
                else:
                    raise WebSocketError("the server masks its frames")
            if body + size > end:
                break
            payload = data[body : body + size]
            at = body + size
            opcode = first & 0x0F
            if first & 0x80 and opcode:
                found.append((opcode, payload))
                continue
            if opcode:
                self._opcode = opcode
            self._parts.append(payload)
            if first & 0x80:
                found.append((self._opcode, b"".join(self._parts)))
                self._parts.clear()
        self._held = data[at:] if at < end else b""
        return found
