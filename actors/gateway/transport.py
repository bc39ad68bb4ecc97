"""What a connection needs of whatever carries its messages: WebSocket now, others later. Text messages, each whole."""

from __future__ import annotations

from typing import Protocol

from actors.gateway.outlet import Outlet


class PeerGoneError(Exception):
    """The other side is gone, or was sent away; nothing more will come. The text says which, for the log."""


class Transport(Protocol):
    """One client's way in and out."""

    @property
    def peer(self) -> str:
        """Who it is, for logs."""
        ...

    @property
    def outlet(self) -> Outlet:
        """The way out."""
        ...

    async def receive(self) -> str | bytes:
        """The next message. Raises PeerGoneError."""
        ...

    def ping(self) -> None:
        """Say that we are here, so that the way between stays open and a dead peer is found out."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Send what is still to be sent, say goodbye with a reason and end. Bounded in time."""
        ...
