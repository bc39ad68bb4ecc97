"""A command end to end: from asking for `true` until its container is known to be empty, beside a bare `sh -c true`.

Wall clock: most of it is other processes' work (a fork, an exec, namespaces), and what a turn waits for is what counts.
Each case makes one call after the other, but for the last, which has sixteen on their way at once; its figure too is
per call.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import partial
from time import perf_counter

import trio

from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.confinement.mechanism import Mechanism
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.launcher.confiner import Confiner
from bench.harness import Case, Suite

PATH = "/usr/local/bin:/usr/bin:/bin"
AT_ONCE = 16


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        Suite(
            name="spawn",
            claim="a contained command costs a few milliseconds more than a bare one, confined a few more",
            unit="command",
            clock="wall",
            cases=(
                Case(name="bare sh -c true", run=_bare),
                Case(name="contained", run=partial(_contained, None, 1)),
                Case(name="contained, Landlock", run=partial(_contained, "landlock", 1)),
                *((Case(name="contained, bubblewrap", run=partial(_contained, "bubblewrap", 1)),) if _bwrap() else ()),
                Case(name="contained, 16 at once", run=partial(_contained, None, AT_ONCE)),
            ),
        ),
    )


def _bwrap() -> bool:
    try:
        subprocess.run(["bwrap", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _bare(units: int) -> float:
    began = perf_counter()
    for _ in range(units):
        subprocess.run(["/bin/sh", "-c", "true"], env={"PATH": PATH}, capture_output=True, check=True)
    return perf_counter() - began


def _contained(mechanism: Mechanism | None, at_once: int, units: int) -> float:
    handle = start_launcher()
    try:
        return trio.run(
            _measure, LauncherProcesses(handle, confiner=Confiner(force=mechanism)), mechanism, at_once, units
        )
    finally:
        handle.release()


async def _measure(processes: LauncherProcesses, mechanism: Mechanism | None, at_once: int, units: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        confinement = None if mechanism is None else Confinement(mode="workspace-write", workspace=(folder,))
        request = SpawnRequest(
            argv=("/bin/sh", "-c", "true"), cwd=folder, environment={"PATH": PATH}, confinement=confinement
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(processes.run)
            if mechanism is not None and (await processes.confinement()).mechanism != mechanism:
                raise SpawnError(f"{mechanism} does not work here: {(await processes.confinement()).refused}")
            await _call(processes, request)
            left = units

            async def lane() -> None:
                nonlocal left
                while left > 0:
                    left -= 1
                    await _call(processes, request)

            began = perf_counter()
            async with trio.open_nursery() as lanes:
                for _ in range(at_once):
                    lanes.start_soon(lane)
            seconds = perf_counter() - began
            nursery.cancel_scope.cancel()
    return seconds


async def _call(processes: LauncherProcesses, request: SpawnRequest) -> None:
    process = await processes.spawn(request)
    await process.wait()
    await process.aclose()
