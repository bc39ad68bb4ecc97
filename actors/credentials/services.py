"""The authorization servers we know how to log in to: data, which `[oauth.NAME]` of the settings may change.

No client id is built in. A client id says which program asks, and the ones that are publicly known belong to other
programs; whoever wants to log in registers a client of their own, or is given one. Sources: WIRE §8; RFC 6749, 7636,
8252, 8628, 7009.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from messages.settings.auth import OAuthSettings


class UnknownServiceError(Exception):
    """A provider names a login that does not exist, or lacks something needed; the text names the setting."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One authorization server, with every choice made."""

    name: str
    title: str
    client_id: str | None = None
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str | None = None
    device_code_url: str | None = None
    device_token_url: str | None = None
    device_page_url: str | None = None
    device_redirect_uri: str | None = None
    device_style: Literal["rfc8628", "two_step"] = "rfc8628"
    """two_step: the device's poll gives an authorization code and its verifier, which are then exchanged."""
    scopes: tuple[str, ...] = ()
    redirect_host: str = "127.0.0.1"
    redirect_ports: tuple[int, ...] = (0,)
    redirect_path: str = "/callback"
    manual_redirect_uri: str | None = None
    token_body: Literal["form", "json"] = "form"
    refresh_body: Literal["form", "json"] = "form"
    extra_params: Mapping[str, str] = {}
    state_in_exchange: bool = False
    """Its token endpoint wants the state beside the code."""


BUILT_IN: tuple[Service, ...] = (
    Service(
        name="chatgpt",
        title="ChatGPT",
        authorize_url="https://auth.openai.com/oauth/authorize",
        token_url="https://auth.openai.com/oauth/token",
        revoke_url="https://auth.openai.com/oauth/revoke",
        device_code_url="https://auth.openai.com/api/accounts/deviceauth/usercode",
        device_token_url="https://auth.openai.com/api/accounts/deviceauth/token",
        device_page_url="https://auth.openai.com/codex/device",
        device_redirect_uri="https://auth.openai.com/deviceauth/callback",
        device_style="two_step",
        scopes=("openid", "profile", "email", "offline_access"),
        redirect_host="localhost",
        redirect_ports=(1455, 1457),
        redirect_path="/auth/callback",
        refresh_body="json",
        extra_params={"id_token_add_organizations": "true"},
    ),
    Service(
        name="claude",
        title="Claude",
        authorize_url="https://claude.ai/oauth/authorize",
        token_url="https://platform.claude.com/v1/oauth/token",
        scopes=("user:profile", "user:inference"),
        redirect_host="localhost",
        redirect_ports=(0,),
        redirect_path="/callback",
        manual_redirect_uri="https://platform.claude.com/oauth/code/callback",
        token_body="json",
        refresh_body="json",
        state_in_exchange=True,
    ),
)


def service(name: str, settings: Mapping[str, OAuthSettings]) -> Service:
    """The service of that name with the settings over it. Raises UnknownServiceError."""
    built_in = next((each for each in BUILT_IN if each.name == name), None)
    asked = settings.get(name)
    if built_in is None and asked is None:
        known = ", ".join(sorted({*(each.name for each in BUILT_IN), *settings}))
        raise UnknownServiceError(f"there is no [oauth.{name}]; known are {known}")
    base = built_in or Service(name=name, title=name)
    if asked is None:
        return base
    chosen = {field: value for field in asked.__struct_fields__ if (value := getattr(asked, field)) is not None}
    found: Service = msgspec.structs.replace(base, **chosen)
    for field in ("authorize_url", "token_url"):
        if not getattr(found, field):
            raise UnknownServiceError(f"[oauth.{name}] lacks {field}")
    return found


def client_id(found: Service) -> str:
    """Who we are to it. Raises UnknownServiceError with what to set."""
    if not found.client_id:
        raise UnknownServiceError(
            f"to log in with {found.title}, callboard needs an OAuth client of its own: register one and set "
            f'oauth.{found.name}.client_id = "…" in config.toml. None is built in, because those that are publicly '
            "known belong to other programs"
        )
    return found.client_id
