"""WebSocket frames (RFC 6455), from either side, as a conversation with a model's server needs them. Sans-IO.

No extension is ever offered, so frames are plain and their reserved bits must be zero (§5.2). A client masks what it
sends and a server does not (§5.1); whoever finds it otherwise fails the connection.

Rejected: wsproto (pure Python with an event object and a state machine per frame: 25 µs where this takes 2), which the
gateway uses for its clients, whose libraries are many; here one peer is ours and the other a provider.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Of one message: what the rehearsed model takes of a request; a server's largest events have some hundred KB."""

MAX_CONTROL_BYTES: Final = 125
"""RFC 6455 §5.5."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80


class FrameError(Exception):
    """The peer does not speak the protocol; the text says how."""


def accept_of(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a key (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def frame(payload: bytes, opcode: int = TEXT, *, mask: bytes = b"") -> bytes:
    """One whole frame; with a ``mask`` of 4 unpredictable bytes as a client sends it."""
    size, masked = len(payload), _MASKED if mask else 0
    if size < 126:
        head = struct.pack("!BB", _FIN | opcode, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", _FIN | opcode, masked | 126, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, masked | 127, size)
    return b"".join((head, mask, _xored(payload, mask) if mask else payload))


class FrameReader:
    """Bytes to messages, cut anywhere. ``masked``: the frames come from a client."""

    def __init__(self, *, masked: bool) -> None:
        self._mask_bit = _MASKED if masked else 0
        self._held = bytearray()
        self._parts: list[bytes] = []
        self._opcode = CONTINUATION
        self._size = 0

    @property
    def holds_some(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._held or self._parts)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The (opcode, payload) of each message that is whole now. Raises FrameError."""
        held = self._held
        held += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while (taken := self._one(held, at, found)) > at:
            at = taken
        del held[:at]
        return found

    def _one(self, held: bytearray, at: int, found: list[tuple[int, bytes]]) -> int:
        """Take the frame that begins at ``at``; where it ends, or ``at`` if it is not whole."""
        if len(held) - at < 2:
            return at
        first, second = held[at], held[at + 1]
        opcode, size, body = first & 0x0F, second & 0x7F, at + 2
        if first & _RESERVED or second & _MASKED != self._mask_bit:
            raise FrameError("a frame has reserved bits set or is masked by the wrong side")
        if size >= 126:
            body += 2 if size == 126 else 8
            if len(held) < body:
                return at
            size = int.from_bytes(held[at + 2 : body])
        if self._size + size > MAX_MESSAGE_BYTES:
            raise FrameError(f"a message has more than {MAX_MESSAGE_BYTES} bytes")
        mask = b""
        if self._mask_bit:
            mask = bytes(held[body : body + 4])
            body += 4
        if len(held) < body + size:
            return at
        payload = bytes(held[body : body + size])
        self._take(opcode, bool(first & _FIN), _xored(payload, mask) if mask else payload, found)
        return body + size

    def _take(self, opcode: int, fin: bool, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        if opcode >= CLOSE:
            if opcode > PONG or not fin or len(payload) > MAX_CONTROL_BYTES:
                raise FrameError("a control frame is unknown, in pieces or too long")
            found.append((opcode, payload))
            return
        if opcode > BINARY or (opcode == CONTINUATION) != bool(self._opcode):
            raise FrameError("a frame is unknown, goes on with nothing, or begins within a message")
        if opcode:
            self._opcode = opcode
        self._parts.append(payload)
        self._size += len(payload)
        if fin:
            found.append((self._opcode, b"".join(self._parts)))
            self._parts.clear()
            self._opcode, self._size = CONTINUATION, 0


def _xored(payload: bytes, mask: bytes) -> bytes:
    """Masked or unmasked (§5.3); as one large number, which is a hundred times faster than byte by byte."""
    size = len(payload)
    if not size:
        return b""
    pad = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(size)
