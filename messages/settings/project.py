"""`[projects."/path"]`: what is said of a folder."""

from __future__ import annotations

from typing import Literal

import msgspec

TrustLevel = Literal["trusted", "untrusted"]


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder, and those below it in the same project that have no entry of their own."""

    trust_level: TrustLevel | None = None
    """`trusted`: its `.callboard/config.toml` counts for threads that work in it. Only you can say so: a project cannot
    trust itself."""
