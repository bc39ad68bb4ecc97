"""Skills, hooks, modes and plugins: clients ask at start-up, and the true answer is that there are none yet."""

from __future__ import annotations

from typing import Any

from messages.client.item import Wire


class CwdsParams(Wire, frozen=True, kw_only=True):
    cwds: tuple[str, ...] | None = None


class SkillsEntry(Wire, frozen=True, kw_only=True):
    cwd: str
    skills: tuple[Any, ...]
    errors: tuple[Any, ...]


class HooksEntry(Wire, frozen=True, kw_only=True):
    cwd: str
    hooks: tuple[Any, ...]
    warnings: tuple[str, ...]
    errors: tuple[Any, ...]


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
