"""The settings as clients read and write them. The settings actor decides; this puts it into the protocol's words.

A write goes to the file and is in force at once. What the environment or the command line set stays in force, and the
answer says so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from actors.gateway.house import House
from actors.gateway.rpc import RpcError
from actors.settings.checking import dotted
from actors.settings.secrets import without_secrets
from messages.client.config import (
    ConfigEdit,
    ConfigLayer,
    ConfigReadResponse,
    ConfigWriteResponse,
    FlagsLayer,
    LayerMetadata,
    LayerSource,
    OverriddenMetadata,
    PackagedLayer,
    ProjectLayer,
    SystemLayer,
    UserLayer,
)
from messages.client.envelope import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from messages.client.event import ConfigWarning, TextPosition, TextRange
from messages.settings import (
    AwaitSettings,
    GetSettings,
    LayerName,
    Problem,
    Settings,
    SettingsEdit,
    SettingsRefused,
    SettingsSnapshot,
    SettingsWritten,
    WriteSettings,
)

NOT_FOR_CLIENTS = frozenset({"model_providers", "listen"})
"""Headers in the first may hold secrets; the second is no client's business."""

_CODES = {"invalid": INVALID_PARAMS, "conflict": INVALID_REQUEST, "storage": INTERNAL_ERROR}


class Configuration:
    """Shared by all connections."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def snapshot(self) -> SettingsSnapshot:
        """What is in force for the daemon."""
        return await self._house.settings.ask(GetSettings(), SettingsSnapshot)

    async def after(self, version: str) -> SettingsSnapshot:
        """As `snapshot`, as soon as it is another than that version."""
        return await self._house.settings.ask(AwaitSettings(version=version), SettingsSnapshot)

    async def of_thread(self, cwd: str, overrides: Mapping[str, Any] | None = None) -> SettingsSnapshot:
        """What is in force for a thread that works in ``cwd``, for which a client asks for more. Raises RpcError."""
        request = GetSettings(cwd=cwd, overrides=dict(overrides or {}))
        reply = await self._house.settings.ask(request, (SettingsSnapshot, SettingsRefused))
        return _granted(reply)

    async def read(self, *, cwd: str | None, include_layers: bool) -> ConfigReadResponse:
        """What a client may know."""
        snapshot = await self.snapshot() if cwd is None else await self.of_thread(cwd)
        versions = {view.where: view.version for view in snapshot.layers}
        layers = None
        if include_layers:
            layers = tuple(
                ConfigLayer(
                    name=_source(view.layer, view.where),
                    version=view.version,
                    config=_shown(view.values),
                    disabled_reason=view.disabled,
                )
                for view in reversed(snapshot.layers)  # the strongest first
            )
        # Empty means "choose for me" in our settings; clients know that as null.
        values = {
            key: None if value == "" else value for key, value in _shown(msgspec.to_builtins(snapshot.settings)).items()
        }
        return ConfigReadResponse(
            config={**_shown(snapshot.others), **values},
            origins={
                key: LayerMetadata(
                    name=_source(origin.layer, origin.where), version=versions.get(origin.where, snapshot.version)
                )
                for key, origin in snapshot.origins.items()
                if key.partition(".")[0] not in NOT_FOR_CLIENTS
            },
            layers=layers,
        )

    async def write(
        self, edits: tuple[ConfigEdit, ...], *, file: str | None, version: str | None
    ) -> ConfigWriteResponse:
        """Make the edits in the file, all or none. Raises RpcError."""
        request = WriteSettings(
            edits=tuple(
                SettingsEdit(key_path=edit.key_path, value=edit.value, merge=edit.merge_strategy == "upsert")
                for edit in edits
            ),
            file=file,
            expected_version=version,
        )
        reply = await self._house.settings.ask(request, (SettingsWritten, SettingsRefused))
        written = _granted(reply)
        return ConfigWriteResponse(
            file_path=written.file,
            status="okOverridden" if written.overridden else "ok",
            version=written.version,
            overridden_metadata=_overridden(written.overridden[0], written.snapshot) if written.overridden else None,
        )


R = TypeVar("R")


def config_warning(problem: Problem) -> ConfigWarning:
    """What a client is told of it."""
    if problem.line is None or problem.column is None:
        return ConfigWarning(summary=str(problem))
    at = TextPosition(line=problem.line, column=problem.column)
    return ConfigWarning(summary=str(problem), path=problem.where, range=TextRange(start=at, end=at))


def _granted(reply: R | SettingsRefused) -> R:
    if isinstance(reply, SettingsRefused):
        raise RpcError(_CODES[reply.reason], reply.message)
    return reply


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return without_secrets({key: value for key, value in values.items() if key not in NOT_FOR_CLIENTS})


def _overridden(key: str, snapshot: SettingsSnapshot) -> OverriddenMetadata:
    origin = snapshot.origins[key]
    return OverriddenMetadata(
        message=f"written, but {key} stays as {origin.where} sets it",
        overriding_layer=LayerMetadata(name=_source(origin.layer, origin.where), version=snapshot.version),
        effective_value=_value_at(snapshot.settings, key),
    )


def _value_at(settings: Settings, key: str) -> Any:
    """The value under a dotted key, as origins name it; None for what clients are not to see."""
    found: dict[str, Any] = {}

    def collect(values: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for name, value in values.items():
            found[dotted((*path, name))] = value
            if isinstance(value, Mapping):
                collect(value, (*path, name))

    collect(_shown(msgspec.to_builtins(settings)), ())
    return found.get(key)


def _source(layer: LayerName, where: str) -> LayerSource:
    match layer:
        case "system":
            return SystemLayer(file=where)
        case "user":
            return UserLayer(file=where)
        case "profile":
            return UserLayer(file=where, profile=posixpath.basename(where).partition(".")[0])
        case "project":
            return ProjectLayer(dot_codex_folder=posixpath.dirname(where))
        case "built-in":
            return PackagedLayer(file=where)
        case "environment" | "command line" | "client":
            return FlagsLayer()
