"""The handshake."""

from __future__ import annotations

from typing import Any

from messages.client.item import Wire


class ClientInfo(Wire, frozen=True, kw_only=True):
    name: str
    version: str
    title: str | None = None


class ClientCapabilities(Wire, frozen=True, kw_only=True):
    experimental_api: bool | None = None
    """Accepted and not needed: nothing here is hidden behind it."""
    opt_out_notification_methods: tuple[str, ...] | None = None
    """Notifications of exactly these methods are not sent on this connection."""


class InitializeParams(Wire, frozen=True, kw_only=True):
    client_info: ClientInfo
    capabilities: ClientCapabilities | None = None


class InitializeResponse(Wire, frozen=True, kw_only=True):
    user_agent: str
    """``NAME/VERSION …``: clients read the protocol's version from it and switch features on by it."""
    codex_home: str
    platform_family: str
    platform_os: str
    callboard: dict[str, Any]
    """Our own version, for our own clients."""
