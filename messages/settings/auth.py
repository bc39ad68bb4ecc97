"""`[oauth.NAME]`: where a login is asked for. A provider names the one it needs (`oauth = "NAME"`)."""

from __future__ import annotations

from typing import Literal

import msgspec


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authorization server, and who we are to it. What is left out is as the built-in of that name has it."""

    client_id: str | None = None
    """Of an OAuth client that is yours. None is built in: callboard does not pass itself off as another program."""
    authorize_url: str | None = None
    """The page on which people say yes."""
    token_url: str | None = None
    """Where codes and refresh tokens become access tokens."""
    revoke_url: str | None = None
    """Where a logout tells that a token is not needed any more."""
    device_code_url: str | None = None
    """Where a device code is asked for; without it there is no `--device-auth`."""
    device_token_url: str | None = None
    """Where it is asked whether the device code was typed in."""
    device_page_url: str | None = None
    """What people open to type the code in."""
    device_redirect_uri: str | None = None
    """The redirect of a device login, where the server wants one."""
    scopes: tuple[str, ...] | None = None
    """What is asked for."""
    redirect_host: str | None = None
    """As the client is registered: `localhost` or `127.0.0.1`. We listen on loopback only."""
    redirect_ports: tuple[int, ...] | None = None
    """Tried in order; 0 is any free one."""
    redirect_path: str | None = None
    """The path of the loopback redirect, as the client is registered."""
    manual_redirect_uri: str | None = None
    """A page of theirs that shows the code, to be pasted."""
    token_body: Literal["form", "json"] | None = None
    """How a code is sent to the token URL."""
    refresh_body: Literal["form", "json"] | None = None
    """How a refresh token is sent there."""
    extra_params: dict[str, str] | None = None
    """Added to the authorize URL."""


class AuthCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that prints a bearer token."""

    command: str
    """The program, by name or path."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    timeout_ms: int = 5_000
    """How long it may take."""
    refresh_interval_ms: int = 300_000
    """How long what it printed is used."""
