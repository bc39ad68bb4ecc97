"""Which confinement holds on this machine, and what it leaves open: said, never guessed. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Mechanism = Literal["bubblewrap", "landlock", "none"]
"""Best first."""

MEANING: dict[Mechanism, str] = {
    "bubblewrap": "commands run in namespaces made by bubblewrap, under a seccomp filter",
    "landlock": "commands run in a Landlock domain, under a seccomp filter",
    "none": "nothing can confine a command here",
}

GAPS: dict[Mechanism, tuple[str, ...]] = {
    "bubblewrap": (
        "everything the daemon's user may read can be read",
        "the disk can be filled where it may be written; one file has a limit, their number has none",
        "32-bit programs are killed",
    ),
    "landlock": (
        "everything the daemon's user may read can be read",
        "the disk can be filled where it may be written; one file has a limit, their number has none",
        "attributes of files anywhere (mode, owner, times) can be changed as far as their owner is the user",
        "terminals of the same user can be written to",
        "programs that serve on localhost for their own tests fail without network access",
        "32-bit programs are killed",
    ),
    "none": ("a command may do whatever its user may",),
}

UNPROTECTED = "inside a writable folder .git, .callboard, .codex and .agents can be changed by commands"
"""Of Landlock without a mount namespace."""
SEEN_PROCESSES = "a command sees the processes of the host"
SIGNALLED = "processes of the same user, the daemon among them, can be signalled (Landlock before Linux 6.12)"
RENAMES = "a file cannot be moved from one folder to another (Landlock before Linux 5.19)"
FORK_BOMB = "the number of processes has no limit for root: give the container one (pids.max)"

RENAMES_FROM, SIGNALS_FROM = 2, 6


class ConfinementReport(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every confined call."""

    mechanism: Mechanism
    program: str | None = None
    """Of bubblewrap."""
    landlock: int = 0
    """The version of Landlock; 0 without."""
    own_mounts: bool = False
    """Whether calls have a mount namespace: then protected names are protected, under Landlock too."""
    bounded: bool = True
    """Whether the number of a call's processes has a limit."""
    refused: tuple[str, ...] = ()
    """Better mechanisms that did not work, each with the reason."""

    @property
    def meaning(self) -> str:
        """One sentence."""
        return MEANING[self.mechanism]

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not hold, one sentence each; what matters most comes first."""
        gaps: list[str] = []
        if self.mechanism == "landlock":
            if not self.own_mounts:
                gaps += [UNPROTECTED, SEEN_PROCESSES]
            if self.landlock < SIGNALS_FROM and not self.own_mounts:
                gaps.append(SIGNALLED)
            if self.landlock < RENAMES_FROM:
                gaps.append(RENAMES)
        if self.mechanism != "none" and not self.bounded:
            gaps.append(FORK_BOMB)
        return (*gaps, *GAPS[self.mechanism])
