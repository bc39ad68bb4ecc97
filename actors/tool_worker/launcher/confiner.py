"""Turns a confinement into what an init is given: which mechanism holds is found out once, by trying each.

A trial is a call like any other that confines `true`; what a kernel, a container or a policy refuses shows in it. So a
mechanism that is named here has worked here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable

import msgspec

from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.tool_worker.confinement.bubblewrap import bubblewrap_command, bubblewrap_steps
from actors.tool_worker.confinement.ground import Ground
from actors.tool_worker.confinement.landlock import landlock_steps
from actors.tool_worker.confinement.mechanism import ConfinementReport, Mechanism
from actors.tool_worker.confinement.seccomp import ARCHITECTURES
from actors.tool_worker.launcher.containment import ContainmentReport
from actors.tool_worker.launcher.ground import Placeholders, survey
from actors.tool_worker.launcher.outside.confine import PIDS_OF_A_NAMESPACE_FROM, kernel_version

BUBBLEWRAP = "bwrap"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where bubblewrap is looked for: a workspace in the daemon's PATH must not bring its own."""

TRIAL = SpawnRequest(argv=("true",), cwd="/", environment={"PATH": SYSTEM_PATH}, stderr="separate")

UNCONFINED = (
    "no sandbox can be enforced on this machine ({reasons}); to run commands without one, set sandbox_mode to "
    "danger-full-access"
)


UNHIDDEN = (
    "the thread's permission profile keeps {paths} from being read, and Landlock without a mount namespace cannot do "
    "that; install bubblewrap, or choose another profile"
)


class Confined(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a request a confined one: steps for its init, words before its argv, placeholders to release."""

    steps: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()


FREE = Confined()
"""Of a request without a confinement."""

Trial = Callable[[SpawnRequest, Confined], Awaitable[str | None]]
"""Run a confined `true`: what is wrong, or None."""


class Confiner:
    """Of one port. ``force`` takes one mechanism instead of the best that works."""

    def __init__(self, *, force: Mechanism | None = None, abi: int | None = None) -> None:
        self.placeholders = Placeholders()
        self._force = force
        self._abi = abi
        """The version of Landlock to use at most; None: what the kernel has."""

    async def explore(self, containment: ContainmentReport, trial: Trial) -> ConfinementReport:
        """Try the mechanisms, best first."""
        own_mounts = containment.mechanism != "subreaper"
        report = ConfinementReport(
            mechanism="none",
            program=shutil.which(BUBBLEWRAP, path=SYSTEM_PATH),
            landlock=containment.landlock if self._abi is None else min(self._abi, containment.landlock),
            own_mounts=own_mounts,
            bounded=os.geteuid() != 0 or (own_mounts and kernel_version() >= PIDS_OF_A_NAMESPACE_FROM),
        )
        refused: list[str] = []
        mechanisms: tuple[Mechanism, ...] = (self._force,) if self._force is not None else ("bubblewrap", "landlock")
        for mechanism in mechanisms:
            candidate = msgspec.structs.replace(report, mechanism=mechanism, refused=tuple(refused))
            reason = self._lacking(candidate) or await trial(TRIAL, self.equip(candidate, TRIAL, _READING, Ground()))
            if reason is None:
                return candidate
            refused.append(f"{mechanism}: {reason}")
        return msgspec.structs.replace(report, refused=tuple(refused))

    @staticmethod
    def _lacking(report: ConfinementReport) -> str | None:
        """What is not even there."""
        if (machine := os.uname().machine) not in ARCHITECTURES:
            return f"there is no table of system calls for {machine}"
        if report.mechanism == "bubblewrap" and report.program is None:
            return f"{BUBBLEWRAP} is not installed"
        if report.mechanism == "landlock" and not report.landlock:
            return "this kernel has none, or has it switched off"
        if report.mechanism == "none":
            return "not wanted"
        return None

    def prepare(self, report: ConfinementReport, request: SpawnRequest, confinement: Confinement) -> Confined:
        """Blocking. Raises SpawnError when nothing can enforce it."""
        if report.mechanism == "none":
            reasons = "; ".join(report.refused)
            raise SpawnError(UNCONFINED.format(reasons=reasons))
        ground = survey(confinement)
        if ground.links and report.mechanism == "bubblewrap" and report.landlock and report.own_mounts:
            report = msgspec.structs.replace(report, mechanism="landlock")  # bubblewrap cannot hold a link fast
        if ground.hidden and report.mechanism == "landlock" and not report.own_mounts:
            raise SpawnError(UNHIDDEN.format(paths=", ".join(ground.hidden)))
        if report.mechanism == "landlock" and not report.own_mounts:
            return self.equip(report, request, confinement, ground)
        made = self.placeholders.make(ground)
        try:
            ground = msgspec.structs.replace(ground, absent=made)
            return msgspec.structs.replace(self.equip(report, request, confinement, ground), placeholders=made)
        except BaseException:
            self.placeholders.release(made)
            raise

    @staticmethod
    def equip(report: ConfinementReport, request: SpawnRequest, confinement: Confinement, ground: Ground) -> Confined:
        """The mechanism's own form of it."""
        machine = os.uname().machine
        if report.mechanism == "landlock":
            steps = landlock_steps(
                confinement, ground, version=report.landlock, own_mounts=report.own_mounts, machine=machine
            )
            return Confined(steps=steps)
        assert report.program is not None
        return Confined(
            steps=bubblewrap_steps(confinement, machine=machine),
            command=bubblewrap_command(report.program, confinement, ground, cwd=request.cwd, root=os.geteuid() == 0),
        )


_READING = Confinement(mode="read-only")
