"""What there is to choose from or to know of: permission profiles, features, providers, limits, MCP servers."""

from __future__ import annotations

from typing import Any, Literal

from messages.client.item import Wire


class PageParams(Wire, frozen=True, kw_only=True):
    """Lists that are short enough for one page."""

    cursor: str | None = None
    limit: int | None = None


class PermissionProfile(Wire, frozen=True, kw_only=True):
    """``allowed``: whether a thread can be run under it here."""

    id: str
    description: str
    allowed: bool


class PermissionProfilesResponse(Wire, frozen=True, kw_only=True):
    data: tuple[PermissionProfile, ...]
    next_cursor: str | None = None


class EmptyPage(Wire, frozen=True, kw_only=True):
    """A list of what there is none of."""

    data: tuple[Any, ...]
    next_cursor: str | None = None


class NoKeyNeeded(Wire, frozen=True, kw_only=True, tag_field="mode", tag="none"):
    pass


class KeyInEnvironment(Wire, frozen=True, kw_only=True, tag_field="mode", tag="environmentVariable"):
    """``env_key``: the name of the variable. Its value is nobody's business."""

    env_key: str


class KeyElsewhere(Wire, frozen=True, kw_only=True, tag_field="mode", tag="externallyConfigured"):
    """In headers of its settings."""


class OpenAiSettings(Wire, frozen=True, kw_only=True, tag_field="type", tag="openai"):
    pass


class GatewaySettings(Wire, frozen=True, kw_only=True, tag_field="type", tag="customGateway"):
    auth: NoKeyNeeded | KeyInEnvironment | KeyElsewhere


class ProviderEntry(Wire, frozen=True, kw_only=True):
    id: str
    name: str
    can_edit: bool
    settings: OpenAiSettings | GatewaySettings
    base_url: str | None = None


class ProvidersResponse(Wire, frozen=True, kw_only=True):
    data: tuple[ProviderEntry, ...]
    default_provider_id: str
    can_change_default: bool


class ProviderCapabilities(Wire, frozen=True, kw_only=True):
    image_generation: bool
    web_search: bool


class GovCloudResponse(Wire, frozen=True, kw_only=True):
    is_gov_cloud: bool
    should_warn: bool


class AuthStatusParams(Wire, frozen=True, kw_only=True):
    """Of older clients."""

    include_token: bool | None = None
    refresh_token: bool | None = None


class AuthStatus(Wire, frozen=True, kw_only=True):
    """How somebody is logged in; nobody has to be."""

    auth_method: Literal["apikey", "chatgpt", "chatgptAuthTokens"] | None
    auth_token: str | None
    requires_openai_auth: bool
