"""Who may come in: the head of the HTTP request that each WebSocket begins with, read and judged. Pure but for `read`.

We read the head ourselves and hand it on to the WebSocket library untouched: so the time and the size of a handshake
are bounded, health checks need no second port, and a refusal is an HTTP answer with a reason.

    Host that is not ours ──▶ 403         a page whose name was pointed at us (DNS rebinding) names itself there
    Origin not on the list ──▶ 403        a browser page must not even learn that we are here
    GET /healthz, /readyz ──▶ 200         no token needed
    not an upgrade ──▶ 426
    no or wrong token ──▶ 401             compared in constant time
    else ──▶ in, on any path: there is nothing behind the door but one room, so paths lead nowhere
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from http import HTTPStatus

import msgspec
import trio

from actors.gateway.tokens import BadToken, looks_signed, verify
from actors.ports.network import ByteStream
from messages.access import OWNER, Identity

MAX_HEAD_BYTES = 16 * 1024
"""Of request line and headers: node allows 16 KiB in all, nginx four buffers of 8."""

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""A name or an address, and maybe a port."""


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
    why: str = ""
    """For the log, where that is not what is said."""

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
    """The capability token, one of what ``Authorization: Bearer`` may say; None: nothing is asked."""
    key: bytes | None = None
    """Whose signature other tokens have; None: none were made."""
    allowed_origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None
    """What ``Host`` may say without its port, in lower case; None: anything."""
    addresses: bool = False
    """``Host`` may be any IP address as well: a name that was pointed at us is no address."""


def door_hosts(host: str, *, loopback: bool, more: Iterable[str]) -> tuple[frozenset[str], bool]:
    """`Door.hosts` and `Door.addresses` of a listener bound to ``host``; ``more`` are names it is also known by."""
    names = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in more)}
    if not loopback:
        names.add(host.lower())
    return frozenset(names), not loopback


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


def judge(head: Head, door: Door, now: float) -> Refusal | Identity:
    """Who it is, if it may come in. ``now`` is Unix time. Whether a signed token was revoked is not known here."""
    if not _is_ours(head.all("host"), door):
        return Refusal(HTTPStatus.FORBIDDEN, "this Host is not known here; see listen.allowed_hosts in docs/door.md\n")
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
    return OWNER if door.token is None else _judge_token(head.all("authorization"), door, door.token, now)


def _is_ours(values: list[str], door: Door) -> bool:
    if door.hosts is None or not values:  # a browser always sends one; an upgrade without is refused further down
        return True
    return all(_host_is_ours(value.strip().lower(), door, door.hosts) for value in values)


def _host_is_ours(value: str, door: Door, hosts: frozenset[str]) -> bool:
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    host: str = found[1]
    if host in hosts:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return door.addresses or address.is_loopback


def _is_proper_upgrade(head: Head) -> bool:
    connection = [word.strip().lower() for value in head.all("connection") for word in value.split(",")]
    return (
        head.method == "GET"
        and "upgrade" in connection
        and len(head.all("sec-websocket-key")) == 1
        and head.all("sec-websocket-version") == ["13"]
        and len(head.all("host")) == 1
    )


def _judge_token(values: list[str], door: Door, token: str, now: float) -> Refusal | Identity:
    if not values:
        return unauthorized("missing websocket bearer token")
    scheme, space, given = values[0].partition(" ")
    if len(values) > 1 or not space or scheme.lower() != "bearer":
        return unauthorized("invalid authorization header")
    given = given.strip()
    if hmac.compare_digest(given.encode("latin-1"), token.encode()):
        return OWNER
    if door.key is None or not looks_signed(given):
        return unauthorized("invalid websocket bearer token")
    found = verify(given, door.key, now)
    return unauthorized("invalid websocket bearer token", why=found.why) if isinstance(found, BadToken) else found


def unauthorized(said: str, *, why: str = "") -> Refusal:
    """``why`` is for our log only: whoever guesses learns nothing from it."""
    return Refusal(HTTPStatus.UNAUTHORIZED, said, "WWW-Authenticate: Bearer\r\n", why)
