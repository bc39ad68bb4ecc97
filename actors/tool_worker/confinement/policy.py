"""A thread's settings as a confinement of its commands; and which mode holds when nobody has set one. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from actors.ports.processes import Confinement
from messages.session import ThreadSettings
from messages.settings import SandboxMode
from messages.settings.project import ProjectSettings, TrustLevel

SLASH_TMP = "/tmp"  # noqa: S108 - the folder itself, which commands are allowed to use


def confinement_of(settings: ThreadSettings, environment: Mapping[str, str], *, home: str = "") -> Confinement | None:
    """What a thread's commands may change and reach; None: all that their user may.

    ``environment`` is that of the command (for TMPDIR); ``home`` is the daemon's own folder, which no command changes.
    """
    network = settings.network_access or settings.granted.network
    profile = settings.profile
    added = added_roots(settings)
    untouched = (*((home,) if home else ()), *(() if profile is None else profile.read))
    match settings.sandbox_mode:
        case "danger-full-access":
            return None
        case "read-only":
            return Confinement(
                mode="read-only",
                workspace=added,
                scratch=() if profile is None else scratch_folders(settings, environment),
                untouched=untouched,
                hidden=hidden_paths(settings),
                network=network,
                unix_sockets=settings.unix_sockets,
            )
        case "workspace-write":
            return Confinement(
                mode="workspace-write",
                workspace=tuple(dict.fromkeys((*workspace_roots(settings), *added))),
                scratch=scratch_folders(settings, environment),
                untouched=untouched,
                hidden=hidden_paths(settings),
                network=network,
                unix_sockets=settings.unix_sockets,
            )


def workspace_roots(settings: ThreadSettings) -> tuple[str, ...]:
    """The thread's folder and what was added to it: where the protected names are protected."""
    return tuple(dict.fromkeys((settings.cwd, *settings.writable_roots)))


def added_roots(settings: ThreadSettings) -> tuple[str, ...]:
    """What may be changed beyond the mode: by a permission profile, and because people have granted it."""
    profile = settings.profile
    return tuple(dict.fromkeys((*(() if profile is None else profile.write), *settings.granted.write)))


def hidden_paths(settings: ThreadSettings) -> tuple[str, ...]:
    """What a permission profile keeps from being read."""
    return () if settings.profile is None else settings.profile.none


def scratch_folders(settings: ThreadSettings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Temporary folders, as far as they are not excluded."""
    folders = [] if settings.exclude_slash_tmp else [SLASH_TMP]
    tmpdir = environment.get("TMPDIR", "")
    if not settings.exclude_tmpdir_env_var and posixpath.isabs(tmpdir):
        folders.append(posixpath.normpath(tmpdir))
    return tuple(dict.fromkeys(folders))


def patch_roots(settings: ThreadSettings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Where a patch may write without being asked about: as for commands; without a sandbox, in the workspace."""
    match settings.sandbox_mode:
        case "danger-full-access":
            return workspace_roots(settings)
        case "read-only":
            return (
                *added_roots(settings),
                *(() if settings.profile is None else scratch_folders(settings, environment)),
            )
        case "workspace-write":
            return (*workspace_roots(settings), *scratch_folders(settings, environment), *added_roots(settings))


def default_mode(level: TrustLevel | None, *, enforceable: bool) -> SandboxMode:
    """The mode of a thread for which neither a client nor a setting has said one.

    A folder that was declared trusted may be written in, one declared untrusted only read. One of which nobody has said
    anything has no sandbox, and neither has any where nothing can enforce it: the approval policy then asks about each
    command that is not known to be safe.
    """
    if level is None or not enforceable:
        return "danger-full-access"
    return "workspace-write" if level == "trusted" else "read-only"


def trust_of(cwd: str, projects: Mapping[str, ProjectSettings]) -> TrustLevel | None:
    """What was said of the nearest folder, the thread's own or one above it."""
    said = {posixpath.normpath(path): entry.trust_level for path, entry in projects.items()}
    folder = posixpath.normpath(cwd)
    while True:
        level = said.get(folder)
        if level is not None or folder == "/":
            return level
        folder = posixpath.dirname(folder)
