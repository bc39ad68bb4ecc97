"""The steps that confine a call by Landlock, seccomp and, where it has a mount namespace, mounts. Pure.

Landlock grants rights to whole hierarchies and cannot except a part of one, so what is protected inside a writable
folder is mounted on itself, read-only, before the domain is entered (which forbids any later mount). Without a mount
namespace of its own a call has no such protection, and the report says so.
"""

from __future__ import annotations

from actors.ports.processes import Confinement
from actors.tool_worker.confinement.ground import Ground
from actors.tool_worker.confinement.limits import MEMORY_FOLDER, limit_steps, memory_step
from actors.tool_worker.confinement.seccomp import Sockets, filter_code

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

RIGHTS_FROM = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files a version knows; the later ones no more."""
LATEST = 5
TRUNCATE_FROM, NETWORK_FROM, SCOPES_FROM = 3, 4, 6
NETWORK = 0b11
"""Binding and connecting of TCP."""
SIGNALS, ABSTRACT_SOCKETS = 0b10, 0b01

READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | IOCTL_DEV
DEVICES = (
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
    *("/dev/tty", "/dev/ptmx", "/dev/pts"),
)
"""What any program expects to be able to write to, and what a terminal is made of."""


def landlock_steps(
    confinement: Confinement, ground: Ground, *, version: int, own_mounts: bool, machine: str
) -> tuple[str, ...]:
    """Steps for an init. ``version`` of Landlock at least 1. Raises LookupError for a machine without a table."""
    handled = (1 << RIGHTS_FROM[min(version, LATEST)]) - 1
    change = handled & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)
    writable = (*ground.writable, MEMORY_FOLDER) if own_mounts else ground.writable
    offline = not confinement.network
    sockets: Sockets = "all" if confinement.network else "unix" if confinement.unix_sockets else "none"
    network = NETWORK if offline and version >= NETWORK_FROM else 0
    scope = (SIGNALS | (ABSTRACT_SOCKETS if offline else 0)) if version >= SCOPES_FROM else 0
    code = filter_code(machine, sockets, keep_sizes=version < TRUNCATE_FROM)
    pins = (f"pin {path}" for path in (*ground.pinned, *ground.absent))
    veils = (f"hide {path}" for path in ground.hidden)
    mounts = (*pins, *veils, memory_step()) if own_mounts else ()
    return (
        *mounts,
        *limit_steps(),
        "undumpable",
        f"allow {READ & handled} /",
        *(f"allow {DEVICE & handled} {path}" for path in DEVICES),
        *(f"allow {change} {path}" for path in writable),
        f"landlock {handled} {network} {scope}",
        f"filter {code.hex()}",
    )
