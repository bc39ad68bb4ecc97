"""Rights beyond the sandbox that a thread runs under: what a model asks for, and what people grant.

They only ever add: what the sandbox mode leaves open stays open. Granted for a turn they end with it; granted for the
session they are part of the thread's settings, where they are shown, logged and restored, until somebody sets another
sandbox.
"""

from __future__ import annotations

from typing import Literal

import msgspec

GrantScope = Literal["turn", "session"]


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """For commands and patches. Paths are absolute and without symbolic links: files, or folders with all in them."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    """May be read as well."""
    network: bool = False

    def __bool__(self) -> bool:
        """Whether it is any at all."""
        return bool(self.read or self.write or self.network)


NOTHING = Permissions()


class PermissionGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What people granted, and for how long."""

    permissions: Permissions
    scope: GrantScope
    strict: bool = False
    """Whoever granted it wants what is done with it looked at: for the rest of the turn people are asked about every
    command and every change (`untrusted`)."""


class PermissionProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile of the user's own that a thread runs under, as it was when it was chosen: what it says beyond the
    thread's sandbox mode. Paths are absolute."""

    id: str
    extends: str
    write: tuple[str, ...] = ()
    """May be changed, the folders with all in them but for the protected names at their top."""
    read: tuple[str, ...] = ()
    """Stay as they are, also inside what may be changed."""
    none: tuple[str, ...] = ()
    """May not be read, nor changed, with all that is in them."""
