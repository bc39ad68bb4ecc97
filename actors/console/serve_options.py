"""How a daemon is to run that starts in this process: as ``callboard serve`` says, or ``app-server`` in its place."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a daemon is to run; what is left out is for the settings to say."""

    listen: str | None = None
    base_url: str | None = None
    wire: str = "responses"
    model: str | None = None
    profile: str | None = None
    """``NAME.config.toml`` of the home."""
    strict: bool = False
    """Settings that nobody knows are errors."""
    no_auth: bool = False
    insecure: bool = False
    overrides: tuple[str, ...] = ()
    token_file: str | None = None
    until_idle: float | None = None
    """End by itself when nobody has needed the daemon for so many seconds."""
    stand_in: bool = False
    """Started as the app-server of another product: its words go where that one's go."""


Serve = Callable[[ServeOptions], int]
"""Runs a daemon to its end; the exit code. Handed in, since nothing here may import what supervises."""
