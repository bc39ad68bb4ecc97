"""Rights that people grant, reckoned with: joined, held to what was asked, told to a model. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.tool_worker.confinement.ground import is_below
from messages.permissions import PermissionGrant, Permissions
from messages.session import ThreadSettings


def joined(one: Permissions, other: Permissions) -> Permissions:
    """Both."""
    return Permissions(
        read=tuple(dict.fromkeys((*one.read, *other.read))),
        write=tuple(dict.fromkeys((*one.write, *other.write))),
        network=one.network or other.network,
    )


def with_grant(settings: ThreadSettings, grant: PermissionGrant) -> ThreadSettings:
    """A turn's settings with these rights as well."""
    given = msgspec.structs.replace(settings, granted=joined(settings.granted, grant.permissions))
    return msgspec.structs.replace(given, approval_policy="untrusted") if grant.strict else given


def limited(granted: Permissions, asked: Permissions) -> Permissions:
    """What was granted, as far as it was asked for: an answer cannot give more than the question was about."""
    return Permissions(
        read=_within(granted.read, (*asked.read, *asked.write)),
        write=_within(granted.write, asked.write),
        network=granted.network and asked.network,
    )


def _within(paths: Iterable[str], folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in dict.fromkeys(paths) if any(is_below(path, folder) for folder in folders))


def told(grant: PermissionGrant) -> str:
    """What a model is told of a grant: in the form of its own arguments, with the scope."""
    given = grant.permissions
    permissions: dict[str, Any] = {}
    files = {name: paths for name, paths in (("read", given.read), ("write", given.write)) if paths}
    if files:
        permissions["file_system"] = files
    if given.network:
        permissions["network"] = {"enabled": True}
    return msgspec.json.encode({"permissions": permissions, "scope": grant.scope}).decode()


def described(permissions: Permissions) -> str:
    """In words, for people and models."""
    parts = [
        *(f"write {path}" for path in permissions.write),
        *(f"read {path}" for path in permissions.read),
        *(("use the network",) if permissions.network else ()),
    ]
    return ", ".join(parts)
