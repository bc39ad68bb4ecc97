"""Which containment holds on this machine, and what it leaves open: said, never guessed. Pure.

Containment ends a call's processes; it does not confine them. What a tool may read or write is the sandbox's business.
"""

from __future__ import annotations

import os
from typing import Literal

import msgspec

Mechanism = Literal["pidns", "userns", "subreaper"]
"""A PID namespace made with privilege; one inside a user namespace; or no namespace, and a process that sweeps."""

MEANING: dict[str, str] = {
    "pidns": "each call has a PID namespace to itself; the kernel ends all of it with its init",
    "userns": "each call has a PID namespace to itself in a user namespace; the kernel ends all of it with its init",
    "subreaper": "each call has a subreaper that adopts and kills what the tool leaves behind",
}

GAPS: dict[str, tuple[str, ...]] = {
    "pidns": ("a root tool can leave its container on purpose (nsenter, a service manager, a container engine)",),
    "userns": (
        "setuid programs (sudo, su, ping on some systems) fail inside; a call that asks for them gets a subreaper",
        "a tool can leave its container through a service it may talk to (a service manager, a container engine)",
    ),
    "subreaper": (
        "when the launcher and the call's wrapper are killed at the same moment, what the tool started stays",
        "what runs as another user (sudo) cannot be killed; it is counted in the exit status as left behind",
        "a tool sees and may signal every process of its user, the daemon included",
        "a program that forks faster than it is swept can delay the end of its call",
    ),
}
"""Per mechanism, in the order of how much they matter."""

FOREIGN_PROC = "/proc inside a call shows the host's processes: pids from ps or pgrep are not those that kill takes"


class ContainmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `doctor` prints."""

    mechanism: Mechanism
    own_proc: bool
    """Whether /proc inside a call shows that call's processes (always true without a namespace: it is the host's)."""
    landlock: int = 0
    """The version of Landlock that the kernel has; 0 without."""
    refused: tuple[str, ...] = ()
    """Better mechanisms that the system did not allow, each with the reason."""

    @property
    def meaning(self) -> str:
        """One sentence on what holds."""
        return MEANING[self.mechanism]

    @property
    def gaps(self) -> tuple[str, ...]:
        """What does not hold, one sentence each."""
        return GAPS[self.mechanism] if self.own_proc else (FOREIGN_PROC, *GAPS[self.mechanism])


def read_hello(words: tuple[str, ...]) -> ContainmentReport:
    """``(mechanism, own_proc, landlock, refused mechanism, errno, …)`` as the launcher says it. Raises ValueError."""
    mechanism, own_proc, landlock, *refusals = words
    if mechanism not in MEANING:
        raise ValueError(mechanism)
    return msgspec.convert(
        {
            "mechanism": mechanism,
            "own_proc": own_proc == "1",
            "landlock": int(landlock),
            "refused": explain_refusals(tuple(refusals)),
        },
        ContainmentReport,
    )


def explain_refusals(words: tuple[str, ...]) -> tuple[str, ...]:
    """Pairs of mechanism and errno, in words."""
    return tuple(
        f"{mechanism}: {os.strerror(int(number))}" for mechanism, number in zip(words[::2], words[1::2], strict=True)
    )
