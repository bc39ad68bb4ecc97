"""The settings as clients read and write them: what the settings actor gave at start, and what clients wrote since.

A write goes to the user's file, where the next start finds it, and is in force at once for what the gateway itself
decides by it: what clients are told, and what a new thread begins with. Values that the environment or the command line
set stay in force and the answer says so.
"""

from __future__ import annotations

import posixpath
from typing import Any

import msgspec
import trio

from actors.gateway.config_edits import (
    EditError,
    checked_settings,
    edited_text,
    edited_values,
    split_key_path,
    version_of,
)
from actors.gateway.house import House
from actors.gateway.rpc import RpcError
from messages.client.config import (
    ConfigEdit,
    ConfigLayer,
    ConfigReadResponse,
    ConfigWriteResponse,
    FlagsLayer,
    LayerMetadata,
    LayerSource,
    OverriddenMetadata,
    SystemLayer,
    UserLayer,
)
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.settings import Origin, Settings, SettingsSnapshot

CONFIG_FILE = "config.toml"

STRONGER_THAN_FILE = frozenset({"environment", "command line"})

NOT_FOR_CLIENTS = frozenset({"model_providers", "listen"})
"""Headers in the first may hold secrets; the second is no client's business."""


class Configuration:
    """Shared by all connections. One write at a time."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._writing = trio.Lock()
        self._snapshot: SettingsSnapshot | None = None
        self._others: dict[str, Any] = {}
        """What clients wrote and callboard has no use for; read back, it is what they expect to find."""

    @property
    def path(self) -> str:
        return posixpath.join(self._house.home, CONFIG_FILE)

    async def snapshot(self) -> SettingsSnapshot:
        """The settings in force."""
        if self._snapshot is None:
            self._snapshot = await self._house.settings()
        return self._snapshot

    async def settings(self) -> Settings:
        """Its settings."""
        return (await self.snapshot()).settings

    async def read(self, *, include_layers: bool) -> ConfigReadResponse:
        """What a client may know."""
        snapshot = await self.snapshot()
        version = version_of(await self._read_file())
        layers = None
        config = self._shown(snapshot.settings)
        if include_layers:
            layers = (ConfigLayer(name=UserLayer(file=self.path), version=version, config=config),)
        return ConfigReadResponse(
            config=config,
            origins={
                key: LayerMetadata(name=self._source(origin), version=version)
                for key, origin in snapshot.origins.items()
                if key.partition(".")[0] not in NOT_FOR_CLIENTS
            },
            layers=layers,
        )

    async def write(
        self, edits: tuple[ConfigEdit, ...], *, file: str | None, version: str | None
    ) -> ConfigWriteResponse:
        """Make the edits in the file. Raises RpcError, OSError."""
        if file is not None and file != self.path:
            raise RpcError(INVALID_PARAMS, f"only {self.path} can be written, not {file}")
        async with self._writing:
            snapshot = await self.snapshot()
            before = await self._read_file()
            if version is not None and version != version_of(before):
                raise RpcError(INVALID_REQUEST, "the configuration file has changed since it was read; read it again")
            try:
                after = edited_text(before, edits)
                stronger = [edit for edit in edits if self._is_overridden(edit, snapshot)]
                weaker = [edit for edit in edits if edit not in stronger]
                values = edited_values({**self._others, **msgspec.to_builtins(snapshot.settings)}, weaker)
                settings = checked_settings(values)
                checked_settings(edited_values({}, stronger))
            except EditError as error:
                raise RpcError(INVALID_PARAMS, str(error)) from error
            data = after.encode()
            await self._house.ports.threads.run(lambda: self._house.ports.files.write_atomic(self.path, data))
            self._snapshot = msgspec.structs.replace(snapshot, settings=settings)
            self._others = {key: value for key, value in values.items() if key not in Settings.__struct_fields__}
        return ConfigWriteResponse(
            file_path=self.path,
            status="okOverridden" if stronger else "ok",
            version=version_of(after),
            overridden_metadata=self._overridden(stronger[0], snapshot) if stronger else None,
        )

    async def _read_file(self) -> str:
        files = self._house.ports.files

        def read() -> bytes:
            return files.read(self.path) if files.stat(self.path) is not None else b""

        return (await self._house.ports.threads.run(read)).decode("utf-8", "replace")

    def _shown(self, settings: Settings) -> dict[str, Any]:
        values: dict[str, Any] = msgspec.to_builtins(settings)
        for key in NOT_FOR_CLIENTS:
            values.pop(key, None)
        # Empty means "choose for me" in our settings; clients know that as null.
        return {**self._others, **{key: None if value == "" else value for key, value in values.items()}}

    def _is_overridden(self, edit: ConfigEdit, snapshot: SettingsSnapshot) -> bool:
        origin = snapshot.origins.get(".".join(split_key_path(edit.key_path)))
        return origin is not None and origin.layer in STRONGER_THAN_FILE

    def _overridden(self, edit: ConfigEdit, snapshot: SettingsSnapshot) -> OverriddenMetadata:
        key = ".".join(split_key_path(edit.key_path))
        origin = snapshot.origins[key]
        value: Any = msgspec.to_builtins(snapshot.settings)
        for part in split_key_path(edit.key_path):
            value = value.get(part) if isinstance(value, dict) else None
        return OverriddenMetadata(
            message=f"written, but {key} stays as {origin.where} sets it",
            overriding_layer=LayerMetadata(name=self._source(origin), version=""),
            effective_value=value,
        )

    def _source(self, origin: Origin) -> LayerSource:
        match origin.layer:
            case "user":
                return UserLayer(file=self.path)
            case "built-in":
                return SystemLayer(file=self.path)
            case "environment" | "command line":
                return FlagsLayer()
