"""Launchers for tests: each use has a deadline, and what a test leaves running is named.

Everything a test starts carries a unique mark in its environment, so that it is found in /proc wherever it went: into
another session, to another parent, into a namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from actors.ports.processes import ExitStatus, LauncherLostError, Processes, SpawnRequest
from actors.ports.production.processes import ContainedProcess, LauncherProcesses
from actors.tool_worker.launcher import Mechanism, containment_report, start_launcher
from actors.tool_worker.launcher.start import LauncherHandle

MARK = "CALLBOARD_TEST_MARK"
DEADLINE_SECONDS = 10.0
MECHANISMS: tuple[Mechanism, ...] = ("pidns", "userns", "subreaper")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

DAEMONS = """
    (setsid sh -c '(echo one; exec sleep 1001) &' &)   # double-forked, in a session of its own
    setsid setsid sleep 1002 &                         # in another session
    sh -c 'trap "" TERM HUP INT; echo two; while :; do sleep 1003; done' &   # deaf
"""
"""What wants to outlive its parent. Says one and two, in any order."""


def allowed(mechanism: Mechanism) -> bool:
    try:
        containment_report(force=mechanism)
    except LauncherLostError:
        return False
    return True


every_mechanism = pytest.mark.parametrize(
    "mechanism",
    [pytest.param(m, marks=pytest.mark.skipif(not allowed(m), reason=f"{m}: refused here")) for m in MECHANISMS],
)


def marked(mark: str) -> dict[int, str]:
    """Every living process that carries the mark: pid → command line."""
    found = {}
    needle = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


async def crowded(mark: str) -> None:
    """Return when all of DAEMONS and their parent are seen: just before an exec a process shows no environment."""
    while len(marked(mark)) < 4:
        await trio.lowlevel.checkpoint()


async def vanished(mark: str) -> None:
    """Return when no marked process is left; fails by naming those that are."""
    with trio.move_on_after(DEADLINE_SECONDS / 2):
        while left := marked(mark):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    await ended(pid)
        return
    pytest.fail(f"still running: {marked(mark)}")


async def ended(pid: int) -> None:
    """Return when this process has ended. Raises ProcessLookupError when there is none."""
    pidfd = os.pidfd_open(pid)
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)


class Stage:
    """A served launcher, and a mark for all that is started from it."""

    def __init__(self, processes: LauncherProcesses, handle: LauncherHandle, nursery: trio.Nursery, mark: str) -> None:
        self.processes = processes
        self.port: Processes = processes  # what actors are given; that it fits is checked by the type checker
        self.handle = handle
        self.nursery = nursery
        self.mark = mark

    def request(self, *argv: str, **options: object) -> SpawnRequest:
        environment = {"PATH": PATH, MARK: self.mark}
        return SpawnRequest(**{"argv": argv, "cwd": "/", "environment": environment, **options})  # type: ignore[arg-type]  # the tests pass what they mean

    async def spawn(self, *argv: str, **options: object) -> ContainedProcess:
        return await self.processes.spawn(self.request(*argv, **options))

    async def shell(self, script: str, **options: object) -> ContainedProcess:
        return await self.spawn("sh", "-c", script, **options)

    async def run(self, script: str, **options: object) -> tuple[ExitStatus, str]:
        """Run a shell script to its end: the status, and all it wrote."""
        process = await self.shell(script, **options)
        try:
            return await process.wait(), await read_all(process)
        finally:
            await process.aclose()

    def left(self) -> dict[int, str]:
        return marked(self.mark)


def proc(path: str) -> bytes:
    """A file of /proc, whole: it does not block."""
    return (Path("/proc") / path).read_bytes()


async def read_all(process: ContainedProcess) -> str:
    """Until the end of its output. (For little of it: nobody reads while it runs.)"""
    output = bytearray()
    while data := await process.read_output():
        output += data
    return output.decode()


async def read_words(process: ContainedProcess, *words: str) -> None:
    """Until it has said these, in any order, one a line."""
    heard = bytearray()
    while not set(words) <= set(heard.decode().split()):
        data = await process.read_output()
        assert data, f"it ended after {heard.decode()!r}"
        heard += data


@contextlib.asynccontextmanager
async def launched(
    mechanism: Mechanism | None = None, *, prefix: tuple[str, ...] = (), seconds: float = DEADLINE_SECONDS
) -> AsyncIterator[Stage]:
    """A launcher for the length of a block, which has a deadline; afterwards nothing that was started may be left."""
    mark = uuid.uuid4().hex
    handle = start_launcher(force=mechanism, prefix=prefix)
    with trio.fail_after(seconds):
        try:
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle)
                await nursery.start(processes.run)
                yield Stage(processes, handle, nursery, mark)
                nursery.cancel_scope.cancel()
        finally:
            handle.release()
        assert processes.live == 0
        assert marked(mark) == {}
