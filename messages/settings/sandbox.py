"""[sandbox_workspace_write]: what the mode `workspace-write` leaves open, beside the workspace itself."""

from __future__ import annotations

from typing import Literal

import msgspec

SandboxMode = Literal["read-only", "workspace-write", "danger-full-access"]
"""What a command may change: nothing; the workspace and temporary folders; all that its user may."""


class WorkspaceWriteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Taken for `workspace-write` only, but for `network_access`, which a client may also ask for when reading only."""

    writable_roots: tuple[str, ...] = ()
    """Absolute folders that may be written, beside the thread's own."""
    network_access: bool = False
    """Whether commands may reach the network, and sockets of this machine."""
    exclude_tmpdir_env_var: bool = False
    """$TMPDIR may not be written."""
    exclude_slash_tmp: bool = False
    """The folder /tmp may not be written."""
    unix_sockets: bool = False
    """Unix sockets work although there is no network: some programs talk to themselves that way, but whatever listens
    on this machine (a container engine, a terminal multiplexer) can then be asked to act outside the sandbox."""
