"""Skills, hooks, modes and plugins: what clients ask at start-up."""

from __future__ import annotations

from typing import Any, Literal

from messages.client.item import Wire


class CwdsParams(Wire, frozen=True, kw_only=True):
    cwds: tuple[str, ...] | None = None


class SkillsEntry(Wire, frozen=True, kw_only=True):
    cwd: str
    skills: tuple[Any, ...]
    errors: tuple[Any, ...]


class HookBody(Wire, frozen=True, kw_only=True):
    """One program of the user's, as clients list it."""

    key: str
    event_name: str
    command: str
    matcher: str | None
    timeout_sec: int
    status_message: str | None
    display_order: int
    source_path: str
    current_hash: str
    trust_status: Literal["trusted", "untrusted"]
    handler_type: Literal["command"]
    source: Literal["user"]
    enabled: bool
    is_managed: bool


class HookFault(Wire, frozen=True, kw_only=True):
    path: str
    message: str


class HooksEntry(Wire, frozen=True, kw_only=True):
    cwd: str
    hooks: tuple[HookBody, ...]
    warnings: tuple[str, ...]
    errors: tuple[HookFault, ...]


class ModeEntry(Wire, frozen=True, kw_only=True):
    name: str
    mode: str


class ListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[Any, ...]


class PluginInstalledResponse(Wire, frozen=True, kw_only=True):
    marketplaces: tuple[Any, ...]
    marketplace_load_errors: tuple[Any, ...]


class NoParams(Wire, frozen=True, kw_only=True):
    """For methods that need nothing."""


class Nothing(Wire, frozen=True, kw_only=True):
    """An answer that says only that it is done."""
