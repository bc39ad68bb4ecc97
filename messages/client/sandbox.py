"""The sandbox as clients ask for it and are told of it."""

from __future__ import annotations

from typing import Literal

from messages.client.approval import Rights
from messages.client.item import Wire

SandboxModeParam = Literal["read-only", "workspace-write", "danger-full-access"]


class ActiveProfile(Wire, frozen=True, kw_only=True):
    """The permission profile of the user's own that a thread runs under."""

    id: str
    extends: str | None = None


class Enforcement(Wire, frozen=True, kw_only=True):
    """Our addition: what enforces the policy on this machine, and what that leaves open; left out where a policy is
    told without being looked at, in notifications. ``granted``: what people gave beyond it, for the session."""

    mechanism: Literal["bubblewrap", "landlock", "none"] | None = None
    gaps: tuple[str, ...] | None = None
    granted: Rights | None = None


class SandboxPolicy(Wire, frozen=True, kw_only=True):
    """A policy; which fields it has depends on its type. `externalSandbox`: the client says it confines us itself."""

    type: Literal["dangerFullAccess", "readOnly", "workspaceWrite", "externalSandbox"]
    network_access: bool | Literal["restricted", "enabled"] | None = None
    writable_roots: tuple[str, ...] | None = None
    exclude_tmpdir_env_var: bool | None = None
    exclude_slash_tmp: bool | None = None
    callboard: Enforcement | None = None
