"""Who may come in: the head of the HTTP request that each WebSocket begins with, read and judged. Pure but for `read`.

We read the head ourselves and hand it on to the WebSocket library untouched: so the time and the size of a handshake
are bounded, health checks need no second port, and a refusal is an HTTP answer with a reason.

    Origin not on the list ──▶ 403        before all else: a browser page must not even learn that we are here
    GET /healthz, /readyz ──▶ 200         no token needed
    not an upgrade ──▶ 426
    no or wrong token ──▶ 401             compared in constant time
    else ──▶ in, on any path
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

import msgspec
import trio

from actors.ports.network import ByteStream

MAX_HEAD_BYTES = 16 * 1024
"""Of request line and headers: node allows 16 KiB in all, nginx four buffers of 8."""

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


class BadHeadError(Exception):
    """What came is not an HTTP request we could answer otherwise; the text says why."""


class Head(msgspec.Struct, frozen=True):
    """The request line and the headers, names in lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The values of a header, in order."""
        return [value for key, value in self.headers if key == name]


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer instead of a WebSocket. ``status`` 200 is no refusal but all that was wanted."""

    status: HTTPStatus
    body: str = ""
    header: str = ""

    def encode(self) -> bytes:
        """The whole answer."""
        body = self.body.encode()
        return (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"{self.header}Connection: close\r\n\r\n"
        ).encode() + body


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to let in."""

    token: str | None
    """What ``Authorization: Bearer`` must say; None: nothing."""
    allowed_origins: tuple[str, ...] = ()


async def read(stream: ByteStream) -> bytes:
    """Everything up to the end of the head, and possibly some bytes beyond. Raises BadHeadError."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD_BYTES:
            raise BadHeadError(f"the request's head is longer than {MAX_HEAD_BYTES} bytes")
        try:
            more = await stream.receive_some(MAX_HEAD_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BadHeadError("the connection broke before the request was complete") from error
        if not more:
            raise BadHeadError("the connection ended before the request was complete")
        data += more
    return bytes(data)


def parse(data: bytes) -> Head:
    """The head at the beginning of ``data``. Raises BadHeadError."""
    text = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    request_line, *lines = text.split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadHeadError("this is not an HTTP/1.1 request")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadHeadError("a header line has no name, or is folded")
        headers.append((name.lower(), value.strip()))
    return Head(words[0], words[1].partition("?")[0], tuple(headers))


def judge(head: Head, door: Door) -> Refusal | None:
    """None: let it in."""
    if any(origin not in door.allowed_origins for origin in head.all("origin")):
        return Refusal(HTTPStatus.FORBIDDEN)
    if head.path in HEALTH_PATHS and head.method in ("GET", "HEAD"):
        return Refusal(HTTPStatus.OK)
    if not any(value.lower() == "websocket" for value in head.all("upgrade")):
        return Refusal(
            HTTPStatus.UPGRADE_REQUIRED,
            "callboard speaks WebSocket here. Try: callboard, or codex --remote ws://HOST:PORT\n",
            "Upgrade: websocket\r\n",
        )
    if not _is_proper_upgrade(head):
        return Refusal(
            HTTPStatus.BAD_REQUEST,
            "not a WebSocket upgrade of version 13 (RFC 6455 section 4.2.1)\n",
            "Sec-WebSocket-Version: 13\r\n",
        )
    return None if door.token is None else _judge_token(head.all("authorization"), door.token)


def _is_proper_upgrade(head: Head) -> bool:
    connection = [word.strip().lower() for value in head.all("connection") for word in value.split(",")]
    return (
        head.method == "GET"
        and "upgrade" in connection
        and len(head.all("sec-websocket-key")) == 1
        and head.all("sec-websocket-version") == ["13"]
        and len(head.all("host")) == 1
    )


def _judge_token(values: list[str], token: str) -> Refusal | None:
    if not values:
        return _unauthorized("missing websocket bearer token")
    scheme, space, given = values[0].partition(" ")
    if len(values) > 1 or not space or scheme.lower() != "bearer":
        return _unauthorized("invalid authorization header")
    if not hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
        return _unauthorized("invalid websocket bearer token")
    return None


def _unauthorized(why: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, why, "WWW-Authenticate: Bearer\r\n")
