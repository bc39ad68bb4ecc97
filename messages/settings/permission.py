"""`[permissions.NAME]`: sandboxes of one's own, beside the three that everybody has."""

from __future__ import annotations

from typing import Literal

import msgspec

PathAccess = Literal["read", "write", "none"]
"""write: may be changed. read: stays as it is, also inside what may be changed. none: may not even be read."""


class NetworkPermission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[permissions.NAME.network]"""

    enabled: bool | None = None
    """Whether commands may reach the network, and sockets of this machine. Unset: as what it extends."""
    domains: dict[str, Literal["allow", "deny"]] = {}
    """Nothing filters hosts here: a profile that names any is refused, not enforced in part."""


class PermissionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What commands may change and reach under it; docs/containment.md shows one."""

    description: str | None = None
    """For people who choose one."""
    extends: str | None = None
    """Another profile whose entries hold where this one has none: `:read-only`, `:workspace`, `:danger-full-access`, or
    one of yours. Unset: `:read-only`."""
    workspace_roots: tuple[str, ...] = ()
    """Absolute folders that count as the workspace, beside the thread's own."""
    filesystem: dict[str, PathAccess] = {}
    """Absolute path -> `write`, `read` (it stays as it is) or `none` (it cannot be read either). `:workspace_roots`
    stands for the workspace, `:tmpdir` for $TMPDIR, `:slash_tmp` for /tmp, `:root` for everything."""
    network: NetworkPermission = NetworkPermission()
