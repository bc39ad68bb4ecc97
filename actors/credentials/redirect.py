"""The loopback listener a browser is sent back to: one path, one answer, nobody else served.

As little HTTP as that takes: a request line, headers that are read and forgotten, one response per connection.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import trio

from actors.credentials.oauth import NotOursError, OAuthError
from actors.ports import Ports
from actors.ports.network import ByteStream, Listener

HEAD_BYTES_MAX = 16 * 1024
REQUEST_SECONDS = 10.0
"""For a browser to send its request; it opens connections in advance and leaves them."""

LOOPBACK = "127.0.0.1"

T = TypeVar("T")


class RedirectListener:
    """Open it, put its port into the redirect, then `serve`."""

    def __init__(self, listener: Listener, path: str) -> None:
        self._listener = listener
        self._path = path
        self.port = int(listener.address.rpartition(":")[2])

    @classmethod
    @asynccontextmanager
    async def opened(cls, ports: Ports, wanted: tuple[int, ...], path: str) -> AsyncIterator[RedirectListener]:
        """On the first of these ports that is free. Raises OAuthError when none is."""
        for port in wanted:
            try:
                listener = await ports.network.listen(LOOPBACK, port)
            except OSError:
                continue
            try:
                yield cls(listener, path)
            finally:
                await listener.aclose()
            return
        raise OAuthError(
            f"the ports the browser may be sent back to ({', '.join(map(str, wanted))}) are in use; "
            "close what uses them, or log in with --device-auth"
        )

    async def serve(self, answered: Callable[[str], Awaitable[T]]) -> T:
        """Wait for the browser. ``answered`` makes of the redirect's query what the login is for; what it raises is
        shown in the browser, and ends the login unless it came from somebody else."""
        done: list[T] = []
        failed: list[OAuthError] = []
        async with trio.open_nursery() as nursery:

            async def one(stream: ByteStream) -> None:
                try:
                    query = None
                    with trio.move_on_after(REQUEST_SECONDS):
                        query = await self._query(stream)
                    if query is None:
                        return
                    try:
                        done.append(await answered(query))
                        await _answer(stream, 200, "Logged in", "You can close this page and go back to callboard.")
                    except NotOursError as error:
                        await _answer(stream, 400, "Not logged in", str(error))
                        return
                    except OAuthError as error:
                        await _answer(stream, 400, "Not logged in", str(error))
                        failed.append(error)
                    nursery.cancel_scope.cancel()
                finally:
                    with trio.CancelScope(shield=True):
                        await stream.aclose()

            async def take_all() -> None:
                while True:
                    nursery.start_soon(one, await self._listener.accept())

            nursery.start_soon(take_all)
        if failed:
            raise failed[0]
        return done[0]

    async def _query(self, stream: ByteStream) -> str | None:
        """The query of a request for our path; None if it was for something else, which is told so."""
        head = bytearray()
        while b"\r\n\r\n" not in head:
            data = await stream.receive_some(4096)
            if not data or len(head) > HEAD_BYTES_MAX:
                return None
            head += data
        line = bytes(head).split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        target = urlsplit(line[1]) if len(line) == 3 else None
        if target is None or line[0] != "GET" or target.path != self._path:
            await _answer(stream, 404, "Nothing here", "This address only takes the end of a login.")
            return None
        return target.query


async def _answer(stream: ByteStream, status: int, title: str, text: str) -> None:
    page = (
        f"<!doctype html><meta charset=utf-8><title>callboard: {html.escape(title)}</title>"
        f"<body style='font:16px sans-serif;margin:4em'><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>"
    ).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {len(page)}\r\n"
        "cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'; "
        "style-src 'unsafe-inline'\r\nconnection: close\r\n\r\n"
    ).encode()
    try:
        await stream.send_all(head + page)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the browser has gone; what it brought counts all the same
