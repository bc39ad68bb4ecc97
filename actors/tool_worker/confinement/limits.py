"""How much of the machine one confined call may take. Pure.

Not what keeps a machine usable under a program that wants to break it (a container engine's limits do that), but what
keeps an accident small: a fork bomb, a runaway file. Disk space has no limit by folder in Linux; that gap is stated.
"""

from __future__ import annotations

from actors.ports.processes import Confinement

PROCESSES_MAX = 8_192
"""Processes and threads of one call: a parallel build on a large machine has a tenth of it."""

FILE_BYTES_MAX = 16 << 30
"""Of one file: more than any build writes, less than a disk."""

MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - the folder is mounted anew, for the call alone
MEMORY_FOLDER_BYTES_MAX = 1 << 30
"""Of a call's own /dev/shm."""

RLIMIT_FSIZE, RLIMIT_CORE = 1, 4
"""Numbers of Linux, the same on both machines. No core: it would be written by the kernel, outside of any sandbox."""

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID = 0, 1, 3, 4
KEPT_CAPABILITIES = (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID)
"""What root keeps: with files it may do what root does, within what the sandbox leaves writable."""
KEPT_NAMES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID")


def limit_steps() -> tuple[str, ...]:
    """For an init that is confined itself: what it may use, and what it may do."""
    kept = sum(1 << number for number in KEPT_CAPABILITIES)
    return (*resource_steps(), f"capabilities {kept}")


def resource_steps() -> tuple[str, ...]:
    """For every init."""
    return (f"processes {PROCESSES_MAX}", f"limit {RLIMIT_FSIZE} {FILE_BYTES_MAX}", f"limit {RLIMIT_CORE} 0")


def memory_step() -> str:
    """A folder of memory of the call's own."""
    return f"memory {MEMORY_FOLDER} {MEMORY_FOLDER_BYTES_MAX}"


def describe(confinement: Confinement) -> str:
    """One sentence on what is left open, for people and models."""
    if confinement.writable:
        shown = ", ".join(confinement.writable)
        files = f"files can be changed only in {shown}, but not {PROTECTED_THERE} there"
    else:
        files = "no file can be changed"
    if confinement.hidden:
        files += f"; {', '.join(confinement.hidden)} cannot be read"
    return f"{files}; {'the network is open' if confinement.network else 'there is no network'}"


PROTECTED_THERE = ".git and the folders of agents"
