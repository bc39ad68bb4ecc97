"""Letting clients in: from the first byte of a connection to the decision who it is.

    TLS, if that is what we speak ──▶ the head of the request ──▶ `http_head.judge` ──▶ the owner's list of tokens

What nobody has been let in for is bounded, in time by the handshake's, in number by `HANDSHAKES`: one more than that
ends the oldest, which has had longest to say who it is, so a flood of connections that say nothing keeps nobody out who
does.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

import trio

from actors.gateway import http_head, registry
from actors.gateway.audit import Audit
from actors.gateway.failures import Failures
from actors.gateway.http_head import BadHeadError, Refusal, unauthorized
from actors.gateway.terms import Terms
from actors.gateway.tokens import SKEW_SECONDS
from actors.ports import Ports
from actors.ports.network import ByteStream
from messages.access import Identity

logger = logging.getLogger(__name__)

HANDSHAKES = 256
"""Under way at once: each holds a socket and at most a head's 16 KiB. A client needs a millisecond for its own."""


class Admitted(NamedTuple):
    """Somebody who may come in."""

    stream: ByteStream
    head: bytes
    """What was read of the request: its head, and possibly some bytes beyond."""
    identity: Identity


class Entrance:
    """Shared by all who come."""

    def __init__(
        self, ports: Ports, home: str, terms: Terms, audit: Audit, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._ports = ports
        self._home = home
        self._terms = terms
        self._audit = audit
        self._tls = tls
        self._failures = Failures()
        self._under_way: dict[str, trio.CancelScope] = {}

    async def admit(self, id_: str, stream: ByteStream, *, room: Callable[[], bool]) -> Admitted | None:
        """Who it is; None: it was refused, or never said, and ``stream`` is closed. ``room``: one more may come now."""
        if len(self._under_way) >= HANDSHAKES:
            oldest = next(iter(self._under_way))
            self._under_way.pop(oldest).cancel()
        with trio.move_on_after(self._terms.options.handshake_seconds) as scope:
            self._under_way[id_] = scope
            try:
                if self._tls is not None:
                    stream = await self._ports.network.secure(stream, self._tls)
                return await self._judge(id_, stream, room)
            except (ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                logger.info("%s: no handshake: %s", id_, error)
            finally:
                self._under_way.pop(id_, None)
        stream.close_now()
        return None

    async def _judge(self, id_: str, stream: ByteStream, room: Callable[[], bool]) -> Admitted | None:
        data = b""
        try:
            data = await http_head.read(stream)
            verdict = http_head.judge(http_head.parse(data), self._terms.door, self._ports.clock.now())
        except BadHeadError as error:
            verdict = Refusal(HTTPStatus.BAD_REQUEST, f"{error}\n")
        if isinstance(verdict, Identity) and not await self.valid(verdict):
            verdict = unauthorized("invalid websocket bearer token", why=f"token {verdict.token_id} was revoked")
        if isinstance(verdict, Identity) and not room():
            verdict = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections\n", "Retry-After: 5\r\n")
        if isinstance(verdict, Identity):
            return Admitted(stream, data, verdict)
        await self._refuse(id_, stream, verdict)
        return None

    async def _refuse(self, id_: str, stream: ByteStream, refusal: Refusal) -> None:
        if refusal.status is HTTPStatus.UNAUTHORIZED:
            await trio.sleep(self._failures.note(self._ports.clock.monotonic()))
        if refusal.status is not HTTPStatus.OK:
            reason = refusal.why or refusal.body.strip() or refusal.status.phrase
            logger.info("%s refused: %d %s", id_, refusal.status, reason)
            self._audit.note("refused", id_, reason=f"{refusal.status.value} {reason}")
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(refusal.encode())
        await stream.aclose()

    async def valid(self, identity: Identity) -> bool:
        """Whether it still counts: its token has not expired, and the owner has not revoked it."""
        if identity.token_id is None:
            return True
        if identity.expires_at is not None and self._ports.clock.now() >= identity.expires_at + SKEW_SECONDS:
            return False
        return await self._ports.threads.run(registry.valid, self._ports.files, self._home, identity.token_id)
