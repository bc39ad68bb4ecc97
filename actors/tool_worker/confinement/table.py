"""What a command may do in each mode under each mechanism: the promise, row by row. Pure.

docs/containment.md shows it (a test compares), and probes try every row for real (tests/actors/tool_worker/
confinement/probes.py). Columns: a mode under bubblewrap; under Landlock with a mount namespace of the call's own; under
Landlock alone, as in a stock container; and no sandbox at all, for a command of the daemon's own user.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Verdict = Literal["allowed", "denied"]
Column = Literal["bubblewrap", "landlock", "landlock alone"]
Mode = Literal["read-only", "workspace-write"]

MODES: Final[tuple[Mode, ...]] = ("read-only", "workspace-write")
COLUMNS: Final[tuple[Column, ...]] = ("bubblewrap", "landlock", "landlock alone")

YES: Final[Verdict] = "allowed"
NO: Final[Verdict] = "denied"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One action. ``but`` holds what differs from the mode's verdict."""

    action: str
    read_only: Verdict = NO
    workspace_write: Verdict = NO
    free: Verdict = YES
    """Without a sandbox."""
    but: dict[tuple[Mode, Column], Verdict] = {}

    def verdict(self, mode: Mode, column: Column) -> Verdict:
        return self.but.get((mode, column), self.read_only if mode == "read-only" else self.workspace_write)


def _alone(verdict: Verdict, *modes: Mode) -> dict[tuple[Mode, Column], Verdict]:
    return {(mode, "landlock alone"): verdict for mode in modes}


_OWN_SERVER: Final[dict[tuple[Mode, Column], Verdict]] = {(mode, "bubblewrap"): YES for mode in MODES}

TABLE: Final[dict[str, Row]] = {
    "read_outside": Row(action="read a file outside the workspace", read_only=YES, workspace_write=YES),
    "write_workspace": Row(action="write a file in the workspace", workspace_write=YES),
    "write_tmp": Row(action="write a file in /tmp", workspace_write=YES),
    "write_outside": Row(action="write a file outside", free=YES),
    "write_home": Row(
        action="write a file in the daemon's home, inside the workspace", but=_alone(YES, "workspace-write")
    ),
    "write_git": Row(action="change `.git/config`", but=_alone(YES, "workspace-write")),
    "rename_git": Row(action="rename `.git` and make another", but=_alone(YES, "workspace-write")),
    "make_protected": Row(action="make `.codex` where there is none", but=_alone(YES, "workspace-write")),
    "write_gitdir": Row(
        action="write where a `.git` file points to, inside a writable folder", but=_alone(YES, "workspace-write")
    ),
    "replace_link": Row(action="replace a `.agents` that is a symbolic link", but=_alone(YES, "workspace-write")),
    "symlink": Row(action="write outside through a symbolic link"),
    "hardlink": Row(action="write a file outside through a hard link to it"),
    "proc_root": Row(action="write outside through `/proc/self/root`"),
    "proc_daemon_root": Row(action="write outside through the daemon's `/proc/PID/root`"),
    "proc_fd": Row(action="write through a descriptor of the daemon's, `/proc/PID/fd`"),
    "proc_mem": Row(action="read the daemon's memory, `/proc/PID/mem`"),
    "vm_read": Row(action="read the daemon's memory, `process_vm_readv`"),
    "ptrace": Row(action="trace the daemon"),
    "daemon_environ": Row(action="read the daemon's environment"),
    "kill": Row(action="signal the daemon"),
    "tcp4": Row(action="connect by TCP, IPv4"),
    "tcp6": Row(action="connect by TCP, IPv6"),
    "udp4": Row(action="send a datagram, IPv4"),
    "udp6": Row(action="send a datagram, IPv6"),
    "unix": Row(action="connect to a Unix socket of another program"),
    "abstract": Row(action="connect to an abstract Unix socket of another program"),
    "own_server": Row(action="serve on localhost, and connect to it", but=_OWN_SERVER),
    "socketpair": Row(action="a pair of connected sockets", read_only=YES, workspace_write=YES),
    "namespace": Row(action="make a user namespace"),
    "mount": Row(action="mount something"),
    "type": Row(action="type into its own terminal (TIOCSTI)"),
    "keyring": Row(action="use the kernel's keyrings"),
    "large_file": Row(action="write a file of more than 16 GiB"),
    "fork_bomb": Row(action="start processes without end", but=_alone(YES, "read-only", "workspace-write")),
    "descriptors": Row(action="find an inherited descriptor", free=NO),
    "secrets": Row(action="find a provider's key in its environment", free=NO),
}

NOTES: Final = (
    "Without a sandbox a command may do what its user may; the last column was tried as root.",
    "`start processes without end` is denied under Landlock alone as well, but not to root.",
    "`allowed` under Landlock alone is a gap of that mechanism, which `callboard doctor` names.",
)


def as_markdown() -> str:
    """The table of docs/containment.md."""
    names = [f"{mode}: {column}" for mode in MODES for column in COLUMNS]
    lines = [f"| a command tries to | {' | '.join(names)} | no sandbox |", "|---" * (len(names) + 2) + "|"]
    for row in TABLE.values():
        cells = [row.verdict(mode, column) for mode in MODES for column in COLUMNS]
        lines.append(f"| {row.action} | {' | '.join((*cells, row.free))} |")
    return "\n".join((*lines, "", *(f"* {note}" for note in NOTES)))
