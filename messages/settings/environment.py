"""`[shell_environment_policy]`: which of the daemon's variables commands see."""

from __future__ import annotations

from typing import Literal

import msgspec


class EnvironmentPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which variables a command sees. Applied in the order of the fields; see `actors.tool_worker.environment`."""

    inherit: Literal["all", "core", "none"] = "all"
    """`core`: HOME, LOGNAME, PATH, SHELL, USER, USERNAME, TMPDIR, TEMP, TMP."""
    ignore_default_excludes: bool = True
    """false also leaves out names like `*KEY*`, `*SECRET*` and `*TOKEN*`."""
    exclude: tuple[str, ...] = ()
    """Globs of names to leave out, in any case."""
    set: dict[str, str] = {}
    """Values to give."""
    include_only: tuple[str, ...] = ()
    """Globs: when there are any, nothing else passes, of `set` neither."""
