"""The command line that confines a call by bubblewrap. Pure.

The call gets namespaces for files, processes, System V IPC and, offline, the network: what is not writable is mounted
read-only, /proc shows the call's own processes, /dev and /dev/shm are new, and the daemon does not exist in there. The
filter is the same as Landlock's, but that sockets of the internet may be opened: they lead nowhere, except to the call
itself (tests that serve on localhost work).
"""

from __future__ import annotations

from actors.ports.processes import Confinement
from actors.tool_worker.confinement.ground import Ground
from actors.tool_worker.confinement.limits import (
    KEPT_NAMES,
    MEMORY_FOLDER,
    MEMORY_FOLDER_BYTES_MAX,
    resource_steps,
)
from actors.tool_worker.confinement.seccomp import Sockets, filter_code

FILTER_FD = 9
"""Where the init puts the filter (`launcher/outside/confine.py`)."""


def bubblewrap_steps(confinement: Confinement, *, machine: str) -> tuple[str, ...]:
    """Steps for the init, which bubblewrap inherits. Raises LookupError for a machine without a table."""
    sockets: Sockets = "all" if confinement.network else "inet and unix" if confinement.unix_sockets else "inet"
    return (
        *resource_steps(),
        f"hand_over {filter_code(machine, sockets).hex()}",
    )


def bubblewrap_command(
    program: str, confinement: Confinement, ground: Ground, *, cwd: str, root: bool
) -> tuple[str, ...]:
    """What to put before the call's own argv. ``root``: whether we are.

    A protected symbolic link is not held fast: bubblewrap follows it, and does not start where one is mounted on.
    """
    whole = "/" in ground.writable
    return (
        *(program, "--die-with-parent", "--unshare-pid", "--unshare-ipc"),
        *(() if confinement.network else ("--unshare-net",)),
        *("--bind" if whole else "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *("--size", str(MEMORY_FOLDER_BYTES_MAX), "--tmpfs", MEMORY_FOLDER),
        *(word for path in ground.writable if path != "/" for word in ("--bind-try", path, path)),
        *(word for path in ground.pinned if path not in ground.links for word in ("--ro-bind-try", path, path)),
        *(word for path in ground.absent for word in ("--ro-bind-try", path, path)),
        *(word for path in ground.hidden for word in _veil(path, file=path in ground.hidden_files)),
        *("--cap-drop", "ALL"),
        *((word for name in KEPT_NAMES for word in ("--cap-add", name)) if root else ()),
        *("--seccomp", str(FILTER_FD), "--chdir", cwd, "--"),
    )


def _veil(path: str, *, file: bool) -> tuple[str, ...]:
    """Something empty in the place of what is not to be read."""
    return ("--ro-bind", "/dev/null", path) if file else ("--tmpfs", path, "--remount-ro", path)
