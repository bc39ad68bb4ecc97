"""The sandbox that a client asks for, in our words, and the one that holds when nobody asks.

`views.sandbox_body` is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.gateway.rpc import RpcError
from actors.ports.processes import Processes, SpawnError
from actors.tool_worker.confinement.policy import default_mode, trust_of
from actors.tool_worker.confinement.profiles import BUILT_IN, Profiles, fields_of
from messages.client.envelope import INVALID_PARAMS
from messages.client.sandbox import SandboxPolicy
from messages.settings import PermissionSettings, SandboxMode, Settings

NO_PROFILES: Final[Mapping[str, PermissionSettings]] = {}


def profile_patch(profile: str, profiles: Profiles) -> dict[str, Any]:
    """What a permission profile says, as fields of `ThreadSettings`; ``profiles`` are those of the settings. Raises
    RpcError for one that nobody has defined."""
    try:
        return fields_of(profiles, profile)
    except KeyError as error:
        known = ", ".join((*BUILT_IN, *profiles))
        message = f"there is no permission profile {profile!r}; known are {known}"
        raise RpcError(INVALID_PARAMS, message) from error


def policy_patch(
    policy: SandboxPolicy | None, profile: str | None = None, profiles: Profiles = NO_PROFILES
) -> dict[str, Any]:
    """What a policy says, as fields of a `SettingsPatch` or of `ThreadSettings`: a policy replaces all that another
    has said. ``profiles``: the user's own. Raises RpcError."""
    if profile is not None:
        return profile_patch(profile, profiles)
    if policy is None:
        return {}
    match policy.type:
        case "dangerFullAccess" | "externalSandbox":
            return {"sandbox_mode": "danger-full-access"}
        case "readOnly":
            return {"sandbox_mode": "read-only", "network_access": policy.network_access is True}
        case "workspaceWrite":
            roots = policy.writable_roots or ()
            for root in roots:
                if not root.startswith("/"):
                    raise RpcError(INVALID_PARAMS, f"sandboxPolicy.writableRoots: {root!r} is not an absolute path")
            return {
                "sandbox_mode": "workspace-write",
                "writable_roots": roots,
                "network_access": policy.network_access is True,
                "exclude_tmpdir_env_var": bool(policy.exclude_tmpdir_env_var),
                "exclude_slash_tmp": bool(policy.exclude_slash_tmp),
            }


def rules_of(settings: Settings) -> dict[str, Any]:
    """What [sandbox_workspace_write] says, as fields of `ThreadSettings`."""
    rules = settings.sandbox_workspace_write
    return {
        "writable_roots": rules.writable_roots,
        "network_access": rules.network_access,
        "exclude_tmpdir_env_var": rules.exclude_tmpdir_env_var,
        "exclude_slash_tmp": rules.exclude_slash_tmp,
        "unix_sockets": rules.unix_sockets,
    }


async def sandbox_in_force(processes: Processes, settings: Settings, cwd: str) -> dict[str, Any]:
    """The sandbox of a folder for which a client asks none, as fields of `ThreadSettings`."""
    if settings.default_permissions is not None:
        return fields_of(settings.permissions, settings.default_permissions)
    return {"sandbox_mode": await mode_in_force(processes, settings, cwd)}


async def mode_in_force(processes: Processes, settings: Settings, cwd: str) -> SandboxMode:
    """The mode of a folder for which neither a client nor a profile says one: the setting's, or by what was said of the
    folder's trust."""
    if settings.sandbox_mode is not None:
        return settings.sandbox_mode
    level = trust_of(cwd, settings.projects)
    if level is None:
        return default_mode(None, enforceable=False)
    try:
        report = await processes.confinement()
    except SpawnError:
        return default_mode(level, enforceable=True)  # commands then fail to start, and say why
    return default_mode(level, enforceable=report.mechanism != "none")
