"""Settings as clients read and write them: plain tables with dotted keys, as in the file."""

from __future__ import annotations

from typing import Any, Literal

from messages.client.item import Wire


class ConfigReadParams(Wire, frozen=True, kw_only=True):
    cwd: str | None = None
    include_layers: bool | None = None


class UserLayer(Wire, frozen=True, kw_only=True, tag="user"):
    """The file in the home, or one of its profiles."""

    file: str
    profile: str | None = None


class SystemLayer(Wire, frozen=True, kw_only=True, tag="system"):
    """The machine's file."""

    file: str


class PackagedLayer(Wire, frozen=True, kw_only=True, tag="packagedDefaults"):
    file: str


class ProjectLayer(Wire, frozen=True, kw_only=True, tag="project"):
    """The folder in a project that holds its file."""

    dot_codex_folder: str


class FlagsLayer(Wire, frozen=True, kw_only=True, tag="sessionFlags"):
    """The environment and the command line."""


LayerSource = UserLayer | SystemLayer | PackagedLayer | ProjectLayer | FlagsLayer


class LayerMetadata(Wire, frozen=True, kw_only=True):
    name: LayerSource
    version: str


class ConfigLayer(Wire, frozen=True, kw_only=True):
    name: LayerSource
    version: str
    config: dict[str, Any]
    disabled_reason: str | None = None


class ConfigReadResponse(Wire, frozen=True, kw_only=True):
    config: dict[str, Any]
    origins: dict[str, LayerMetadata]
    layers: tuple[ConfigLayer, ...] | None = None


class ConfigEdit(Wire, frozen=True, kw_only=True):
    """``key_path`` is dotted, its parts may be quoted; a null value removes the key."""

    key_path: str
    value: Any
    merge_strategy: Literal["replace", "upsert"] = "replace"


class ConfigBatchWriteParams(Wire, frozen=True, kw_only=True):
    edits: tuple[ConfigEdit, ...]
    file_path: str | None = None
    expected_version: str | None = None


class ConfigValueWriteParams(ConfigEdit, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    file_path: str | None = None
    expected_version: str | None = None


class OverriddenMetadata(Wire, frozen=True, kw_only=True):
    """The value was written, and something stronger than the file still says otherwise."""

    message: str
    overriding_layer: LayerMetadata
    effective_value: Any


class ConfigWriteResponse(Wire, frozen=True, kw_only=True):
    file_path: str
    status: Literal["ok", "okOverridden"]
    version: str
    overridden_metadata: OverriddenMetadata | None = None


class RequirementsReadResponse(Wire, frozen=True, kw_only=True):
    """Nobody manages this daemon from outside, so there are no requirements."""
