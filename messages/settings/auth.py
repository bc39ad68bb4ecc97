"""`[oauth.NAME]`: where a login is asked for. A provider names the one it needs (`oauth = "NAME"`)."""

from __future__ import annotations

from typing import Literal

import msgspec


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authorization server, and who we are to it. What is left out is as the built-in of that name has it."""

    client_id: str | None = None
    """Of an OAuth client that is yours. None is built in: callboard does not pass itself off as another program."""
    authorize_url: str | None = None
    token_url: str | None = None
    revoke_url: str | None = None
    device_code_url: str | None = None
    """Where a device code is asked for; without it there is no `--device-auth`."""
    device_token_url: str | None = None
    device_page_url: str | None = None
    """What people open to type the code in."""
    device_redirect_uri: str | None = None
    scopes: tuple[str, ...] | None = None
    redirect_host: str | None = None
    """As the client is registered: `localhost` or `127.0.0.1`. We listen on loopback only."""
    redirect_ports: tuple[int, ...] | None = None
    """Tried in order; 0 is any free one."""
    redirect_path: str | None = None
    manual_redirect_uri: str | None = None
    """A page of theirs that shows the code, to be pasted."""
    token_body: Literal["form", "json"] | None = None
    refresh_body: Literal["form", "json"] | None = None
    extra_params: dict[str, str] | None = None
    """Added to the authorize URL."""


class AuthCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that prints a bearer token."""

    command: str
    args: tuple[str, ...] = ()
    timeout_ms: int = 5_000
    refresh_interval_ms: int = 300_000
    """How long what it printed is used."""
