"""Ten thousand calls through one launcher, and what is left of them: nothing.

    python -m tests.system.spawns --spawns 10000

Eight at a time, in turns free, under Landlock and under bubblewrap where that works; some leave children behind, some
are stopped, some could not start. Afterwards the daemon and the launcher hold as many descriptors as before, have no
child that should be gone, and are no larger than `GROWTH_KB`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence

import trio

from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.confinement.mechanism import Mechanism
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.launcher.confiner import Confiner
from actors.tool_worker.launcher.vacant import VACANT_DESCRIPTORS
from tests.system.daemon import resident_kb
from tests.system.interrupts import descriptors, states

LANES = 8
WARM_UP = 64
"""Calls before the first look: what is opened and grown once is there then."""

GROWTH_KB = 4_096
"""Of either process: allocators keep what they once had."""

SCRIPTS = ("true", "sleep 300 & true", "(setsid sleep 300 &)", "exec sleep 300", "exit 7", "exec /nowhere/program")
"""The fourth is stopped."""

PATH = "/usr/local/bin:/usr/bin:/bin"


class Leak(Exception):  # noqa: N818  # the finding, not a failure of ours
    """What is left."""


async def run(spawns: int) -> str:
    """Raises Leak. The figures, for people."""
    handle = start_launcher()
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with trio.open_nursery() as nursery:
                ports: list[tuple[LauncherProcesses, Confinement | None]] = []
                free = LauncherProcesses(handle)
                await nursery.start(free.run)
                ports.append((free, None))
                writing = Confinement(mode="workspace-write", workspace=(folder,))
                handles = []
                for mechanism in ("landlock", "bubblewrap"):
                    another = start_launcher()
                    handles.append(another)
                    port = LauncherProcesses(another, confiner=Confiner(force=_named(mechanism)))
                    await nursery.start(port.run)
                    if (await port.confinement()).mechanism == mechanism:
                        ports.append((port, writing))
                pids = [os.getpid(), handle.pid, *(each.pid for each in handles)]
                await _calls(ports, WARM_UP, folder)
                owned = [port for port, _ in ports]
                before = await _look(pids, owned)
                began = time.monotonic()
                await _calls(ports, spawns, folder)
                seconds = time.monotonic() - began
                after = await _look(pids, owned)
                nursery.cancel_scope.cancel()
            left = os.listdir(folder)
    finally:
        handle.release()
        for another in handles:
            another.release()
    problems = [f"left in the workspace: {left}"] if left else []
    for pid, (fds, children, kb), (fds_now, children_now, kb_now) in zip(pids, before, after, strict=True):
        if fds_now > fds:
            problems.append(f"{pid} holds {fds_now} descriptors, {fds} before")
        if children_now > children:
            problems.append(f"{pid} has {children_now} children, {children} before")
        if kb_now > kb + GROWTH_KB:
            problems.append(f"{pid} is {kb_now} KB large, {kb} before")
    if problems:
        raise Leak("; ".join(problems))
    grown = ", ".join(f"{now[2] - then[2]:+} KB" for then, now in zip(before, after, strict=True))
    return (
        f"{spawns} calls in {len(ports)} ways, {LANES} at a time: {seconds / spawns * 1000:.1f} ms each; no descriptor, "
        f"child or file left; daemon and launchers {grown}"
    )


def _named(mechanism: str) -> Mechanism:
    return "landlock" if mechanism == "landlock" else "bubblewrap"


async def _calls(ports: list[tuple[LauncherProcesses, Confinement | None]], count: int, folder: str) -> None:
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            port, confinement = ports[number % len(ports)]
            script = SCRIPTS[number // len(ports) % len(SCRIPTS)]
            request = SpawnRequest(
                argv=("/nowhere/program",) if number % 50 == 49 else ("/bin/sh", "-c", script),
                cwd=folder,
                environment={"PATH": PATH},
                confinement=confinement,
            )
            try:
                process = await port.spawn(request)
            except SpawnError:
                continue
            if script == "exec sleep 300":
                await process.stop()
            else:
                await process.wait()
            await process.aclose()

    async with trio.open_nursery() as nursery:
        for _ in range(LANES):
            nursery.start_soon(lane)


async def _look(pids: list[int], ports: list[LauncherProcesses]) -> list[tuple[int, int, int]]:
    """Descriptors, children and size of each, once the launchers have reaped and made their spare.

    Containers that are kept vacant do not count: neither the two descriptors that we have of each, nor the child that
    its launcher has.
    """
    await trio.sleep(0.5)
    parents = [parent for _, parent in states().values()]
    vacant = {port.launcher_pid: port.vacant for port in ports}
    vacant_descriptors = {os.getpid(): VACANT_DESCRIPTORS * sum(vacant.values())}
    return [
        (
            len(descriptors(pid)) - vacant_descriptors.get(pid, 0),
            parents.count(pid) - vacant.get(pid, 0),
            resident_kb(pid),
        )
        for pid in pids
    ]


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 when nothing is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.spawns", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--spawns", type=int, default=1000, help="how many (default 1000)")
    options = parser.parse_args(arguments)
    try:
        print(trio.run(run, options.spawns))
    except Leak as leak:
        print(f"LEFT: {leak}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
