"""The sandbox that a client asks for, in our words, and the one that holds when nobody asks.

`views.sandbox_body` is the way back.
"""

from __future__ import annotations

from typing import Any, Final

from actors.gateway.rpc import RpcError
from actors.ports.processes import Processes, SpawnError
from actors.tool_worker.confinement.policy import default_mode, trust_of
from messages.client.envelope import INVALID_PARAMS
from messages.client.sandbox import SandboxPolicy
from messages.settings import SandboxMode, Settings

PROFILES: Final[dict[str, SandboxMode]] = {
    ":read-only": "read-only",
    ":workspace": "workspace-write",
    ":danger-full-access": "danger-full-access",
}
"""The permission profiles that everybody has."""


def profile_mode(profile: str | None) -> SandboxMode | None:
    """The mode of a permission profile; None for none. Raises RpcError for one that nobody has defined."""
    if profile is None:
        return None
    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise RpcError(INVALID_PARAMS, f"there is no permission profile {profile!r}; known are {known}")
    return PROFILES[profile]


def policy_patch(policy: SandboxPolicy | None, profile: str | None = None) -> dict[str, Any]:
    """What a policy says, as fields of a `SettingsPatch` or of `ThreadSettings`: a policy replaces all that another
    has said. Raises RpcError."""
    mode = profile_mode(profile)
    if mode is not None:
        return {"sandbox_mode": mode}
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


async def mode_in_force(processes: Processes, settings: Settings, cwd: str) -> SandboxMode:
    """The mode of a folder for which a client asks none: the setting's, or by what was said of the folder's trust."""
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
