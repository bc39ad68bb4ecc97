"""Rights beyond the sandbox in the wire's words and back: what a model asks for, and what people grant. Pure."""

from __future__ import annotations

from messages.client.approval import FileSystemEntry, FileSystemRights, NetworkRights, PathOf, Rights
from messages.permissions import Permissions


def rights_body(permissions: Permissions) -> Rights:
    """As clients are asked for them, and told of them."""
    files = None
    if permissions.read or permissions.write:
        entries = (
            *(FileSystemEntry(path=PathOf(type="path", path=path), access="read") for path in permissions.read),
            *(FileSystemEntry(path=PathOf(type="path", path=path), access="write") for path in permissions.write),
        )
        files = FileSystemRights(read=permissions.read or None, write=permissions.write or None, entries=entries)
    return Rights(file_system=files, network=NetworkRights(enabled=True) if permissions.network else None)


def permissions_of(rights: Rights) -> Permissions:
    """What a client grants. Places that it names by another word than a path are not among what we ask for."""
    files = rights.file_system or FileSystemRights()
    entries = tuple(entry for entry in files.entries or () if entry.path.type == "path")
    return Permissions(
        read=(*(files.read or ()), *(entry.path.path for entry in entries if entry.access == "read")),
        write=(*(files.write or ()), *(entry.path.path for entry in entries if entry.access == "write")),
        network=rights.network is not None and rights.network.enabled is True,
    )
