"""Clients that subscribe to a thread and never read again: plain sockets, because a library would read for them."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import msgspec

from tests.system.peer import Frame, Place

RECEIVE_BUFFER = 4096
"""As small as the kernel makes it, so that it is full at once."""

SECONDS = 5.0


@contextmanager
def stalled(place: Place, thread_id: str, count: int) -> Iterator[None]:
    """So many clients that have seen the answer to thread/resume and nothing since."""
    with ExitStack() as stack:
        for _ in range(count):
            _stall(stack.enter_context(socket.socket()), place, thread_id)
        yield


def _stall(client: socket.socket, place: Place, thread_id: str) -> None:
    url = urlsplit(place.address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    client.settimeout(SECONDS)
    client.connect((url.hostname, url.port))
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {place.token}\r\n\r\n".encode()
    )
    _read_until(client, b"\r\n\r\n")
    info = {"clientInfo": {"name": "stalled", "version": "1"}}
    client.sendall(_frame({"id": 1, "method": "initialize", "params": info}))
    client.sendall(
        _frame({"id": 2, "method": "thread/resume", "params": {"threadId": thread_id, "excludeTurns": True}})
    )
    _read_until(client, b'"id":2,')


def _read_until(client: socket.socket, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        more = client.recv(RECEIVE_BUFFER)
        assert more, f"the daemon hung up after {seen[-200:]!r}"
        seen += more


def _frame(message: Frame) -> bytes:
    """A masked text frame, as a client's have to be; the mask of zeros leaves the text as it is."""
    text = msgspec.json.encode(message)
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + text
