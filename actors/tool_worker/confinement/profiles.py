"""Permission profiles: `[permissions.NAME]` as what a thread runs under, and what is wrong with one. Pure.

A profile is the entries of what it extends with its own over them; without a word on a path the built-in profile at the
end of the chain decides, and that is `:read-only` where none is named. What no mechanism of ours enforces is refused
when the settings are read, with its line: a rule that is passed over would be believed.

Source of the words: reference/core CORE §2.2. Ours: relative paths are refused (a profile belongs to no folder).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from messages.permissions import PermissionProfile
from messages.settings.permission import PathAccess, PermissionSettings
from messages.settings.sandbox import SandboxMode

ROOT, WORKSPACE, TMPDIR, SLASH_TMP = ":root", ":workspace_roots", ":tmpdir", ":slash_tmp"
PLACES: Final = (ROOT, WORKSPACE, TMPDIR, SLASH_TMP)

BUILT_IN: Final[dict[str, SandboxMode]] = {
    ":read-only": "read-only",
    ":workspace": "workspace-write",
    ":danger-full-access": "danger-full-access",
}
"""The profiles that everybody has."""

_BASES: Final[dict[str, tuple[dict[str, PathAccess], bool]]] = {
    ":read-only": ({ROOT: "read"}, False),
    ":workspace": ({ROOT: "read", WORKSPACE: "write", TMPDIR: "write", SLASH_TMP: "write"}, False),
    ":danger-full-access": ({ROOT: "write", WORKSPACE: "write", TMPDIR: "write", SLASH_TMP: "write"}, True),
}
"""Each as entries, and whether the network is open."""

Profiles = Mapping[str, PermissionSettings]


class Fault(NamedTuple):
    """One thing that is wrong, and at which key below `permissions`."""

    path: tuple[str, ...]
    text: str


class _Whole(NamedTuple):
    """A profile with all that it extends."""

    entries: dict[str, PathAccess]
    roots: tuple[str, ...]
    network: bool


def faults(profiles: Profiles) -> tuple[Fault, ...]:
    """Everything that is wrong with them."""
    found: list[Fault] = []
    for name, profile in profiles.items():
        if not name or name.startswith(":"):
            found.append(Fault((name,), "names with a colon at their head are callboard's own; choose another"))
        if profile.extends is not None:
            found += _extending(profiles, name, profile.extends)
        found += (
            Fault((name, "workspace_roots"), f"{root!r} is not an absolute path")
            for root in profile.workspace_roots
            if not posixpath.isabs(root)
        )
        for path, access in profile.filesystem.items():
            at = (name, "filesystem", path)
            if path.startswith(":") and path not in PLACES:
                found.append(Fault(at, f"{path} stands for nothing; there are {', '.join(PLACES)}"))
            elif not path.startswith(":") and not posixpath.isabs(path):
                found.append(Fault(at, f"{path!r} is not an absolute path"))
            elif access == "none" and (path.startswith(":") or posixpath.normpath(path) == "/"):
                found.append(Fault(at, "`none` is for files and folders by their absolute path"))
        if profile.network.domains:
            found.append(Fault((name, "network", "domains"), "nothing filters hosts; use network.enabled"))
    return tuple(found)


def _extending(profiles: Profiles, name: str, extends: str) -> list[Fault]:
    at = (name, "extends")
    seen = [name]
    while extends not in BUILT_IN:
        if extends not in profiles:
            known = ", ".join((*BUILT_IN, *profiles))
            return [Fault(at, f"there is no permission profile {extends!r}; known are {known}")]
        if extends in seen:
            return [Fault(at, f"it extends itself: {' -> '.join((*seen, extends))}")]
        seen.append(extends)
        following = profiles[extends].extends
        if following is None:
            break
        extends = following
    return []


def fields_of(profiles: Profiles, name: str) -> dict[str, Any]:
    """What a profile comes to, as fields of `ThreadSettings`. ``profiles`` have no faults. Raises KeyError."""
    if name in BUILT_IN:
        return {"sandbox_mode": BUILT_IN[name]}
    profile = profiles[name]
    whole = _whole(profiles, name)
    entries = {_place(path): access for path, access in whole.entries.items()}
    workspace = entries.get(WORKSPACE, entries[ROOT]) == "write"
    write = (
        *(("/",) if entries[ROOT] == "write" else ()),
        *(root for root in map(posixpath.normpath, whole.roots) if workspace),
        *(path for path, access in entries.items() if access == "write" and not path.startswith(":")),
    )
    read = tuple(path for path, access in entries.items() if access == "read" and not path.startswith(":"))
    none = tuple(path for path, access in entries.items() if access == "none")
    free = entries[ROOT] == "write" and workspace and not read and not none and whole.network
    mode: SandboxMode = "danger-full-access" if free else "workspace-write" if workspace else "read-only"
    return {
        "sandbox_mode": mode,
        "writable_roots": (),
        "network_access": whole.network,
        "exclude_tmpdir_env_var": entries.get(TMPDIR, entries[ROOT]) != "write",
        "exclude_slash_tmp": entries.get(SLASH_TMP, entries[ROOT]) != "write",
        "profile": PermissionProfile(
            id=name,
            extends=profile.extends or ":read-only",
            write=tuple(dict.fromkeys(write)),
            read=read,
            none=none,
        ),
    }


def _place(path: str) -> str:
    """A path as it is compared: the root is the place of that name."""
    if path.startswith(":"):
        return path
    normal = posixpath.normpath(path)
    return ROOT if normal in ("/", "//") else normal


def _whole(profiles: Profiles, name: str) -> _Whole:
    if name in _BASES:
        entries, network = _BASES[name]
        return _Whole(dict(entries), (), network)
    profile = profiles[name]
    below = _whole(profiles, profile.extends or ":read-only")
    enabled = profile.network.enabled
    return _Whole(
        {**below.entries, **profile.filesystem},
        tuple(dict.fromkeys((*below.roots, *profile.workspace_roots))),
        below.network if enabled is None else enabled,
    )


def described(name: str, profile: PermissionSettings) -> str:
    """One sentence, where its author wrote none."""
    return profile.description or f"{name} of the settings, on top of {profile.extends or ':read-only'}."


def cleared(changes: dict[str, Any]) -> dict[str, Any]:
    """What setting another sandbox than a profile takes with it: nothing of the profile stays open."""
    closed = {
        "network_access": False,
        "writable_roots": (),
        "exclude_tmpdir_env_var": False,
        "exclude_slash_tmp": False,
    }
    return {**closed, **changes, "profile": None}
