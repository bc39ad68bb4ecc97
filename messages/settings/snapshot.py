"""What the settings actor is asked and what it says: the settings in force, and where each value came from."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from messages.base import Delivery, Message
from messages.settings.root import Settings

LayerName = Literal["built-in", "system", "user", "profile", "project", "environment", "command line", "client"]
"""Low to high. ``client``: what one request asks for the thread it starts."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a value, a name or a file, for people; ``str()`` is the whole sentence with its place."""

    text: str
    where: str
    """A path, a variable, a flag."""
    key: str = ""
    line: int | None = None
    """Counted from 1, of a file."""
    column: int | None = None

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}:{self.column}"
        return f"{place}: {self.text}"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Which layer set a value."""

    layer: LayerName
    where: str


class LayerView(msgspec.Struct, frozen=True, kw_only=True):
    """One layer as it was read. ``values`` are plain tables, unknown keys included."""

    layer: LayerName
    where: str
    version: str
    """Changes when the layer does; of a file, what a write may insist on."""
    values: dict[str, Any]
    disabled: str | None = None
    """Why nothing of it is in force."""


class SettingsSnapshot(Message, frozen=True, kw_only=True):
    """The settings in force, and where each set value came from (dotted key -> origin)."""

    settings: Settings
    home: str
    origins: dict[str, Origin]
    warnings: tuple[Problem, ...] = ()
    """What is in force all the same, or left out: unknown names, an untrusted project's file."""
    broken: tuple[Problem, ...] = ()
    """Why the files, as they are now, are not in force: what was in force before still is."""
    layers: tuple[LayerView, ...] = ()
    """Low to high, without the built-in defaults."""
    others: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the files hold that no setting of ours is: clients keep things of their own there."""
    version: str = ""
    """Differs between any two snapshots that differ."""


class GetSettings(Message, frozen=True, kw_only=True):
    """The reply is a `SettingsSnapshot`: of the daemon, or, with a folder, of a thread that works there. Or a
    `SettingsRefused`, when what the client asks for is no good."""

    delivery: ClassVar[Delivery] = Delivery.RETRY_SAFE

    cwd: str | None = None
    """Absolute; the files of its project count, if it is trusted."""
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    """What a client asks for, above all other layers: tables, or keys with dots."""
    fresh: bool = False
    """Read the files again first: whoever asks knows that one has just changed."""


class AwaitSettings(Message, frozen=True, kw_only=True):
    """The reply is the daemon's `SettingsSnapshot`, as soon as it is another than the one of this version."""

    delivery: ClassVar[Delivery] = Delivery.RETRY_SAFE

    version: str


class SettingsEdit(msgspec.Struct, frozen=True, kw_only=True):
    """``key_path`` is dotted, its parts may be quoted; None removes the key. ``merge`` puts the keys of a table beside
    those that are there, instead of replacing it."""

    key_path: str
    value: Any
    merge: bool = False


class WriteSettings(Message, frozen=True, kw_only=True):
    """All edits, or none. The reply is a `SettingsWritten` or a `SettingsRefused`."""

    edits: tuple[SettingsEdit, ...]
    file: str | None = None
    """Which one; None: the user's."""
    expected_version: str | None = None
    """Write only if the file's version is still this one; ``""``: only if there is none yet."""


class SettingsWritten(Message, frozen=True, kw_only=True):
    """The file is on disk, and in force where nothing stronger says otherwise."""

    file: str
    version: str
    snapshot: SettingsSnapshot
    overridden: tuple[str, ...] = ()
    """The keys written that something stronger than this file sets as well."""


class SettingsRefused(Message, frozen=True, kw_only=True):
    """Nothing was written, or nothing can be said. ``conflict``: the file is another than the writer had read."""

    reason: Literal["invalid", "conflict", "storage"]
    message: str


SettingsRequest = GetSettings | AwaitSettings | WriteSettings
SettingsReply = SettingsSnapshot | SettingsWritten | SettingsRefused
