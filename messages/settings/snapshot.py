"""What the settings actor says: the settings in force, and where each value came from."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.base import Delivery, Message
from messages.settings.root import Settings


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Which layer set a value."""

    layer: Literal["built-in", "user", "environment", "command line"]
    where: str


class SettingsSnapshot(Message, frozen=True, kw_only=True):
    """The settings in force, and where each set value came from (dotted key -> origin)."""

    settings: Settings
    home: str
    origins: dict[str, Origin]
    warnings: tuple[str, ...] = ()


class GetSettings(Message, frozen=True, kw_only=True):
    """The reply is a `SettingsSnapshot`."""

    delivery = Delivery.RETRY_SAFE
