"""In a stock container there are no namespaces to be had: what holds then, what does not, and that both are said."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.confinement.mechanism import UNPROTECTED
from actors.tool_worker.launcher import start_launcher
from tests.actors.tool_worker.confinement import stock
from tests.actors.tool_worker.launcher.stage import read_all

ROOT = Path(__file__).parents[4]
LANDLOCK = 444
SECONDS = 30.0


@contextlib.asynccontextmanager
async def in_a_container(*missing: int) -> AsyncIterator[LauncherProcesses]:
    """A port whose launcher lives where no namespace can be made, nor any of these calls."""
    path = os.pathsep.join((str(ROOT), *(path for path in sys.path if path)))
    prefix = ("env", f"PYTHONPATH={path}", sys.executable, stock.__file__, *map(str, missing), "--")
    handle = start_launcher(prefix=prefix)
    try:
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle)
                await nursery.start(processes.run)
                yield processes
                nursery.cancel_scope.cancel()
    finally:
        handle.release()


def request(script: str, folder: Path, confinement: Confinement | None) -> SpawnRequest:
    return SpawnRequest(
        argv=("sh", "-c", script), cwd=str(folder), environment={"PATH": os.defpath}, confinement=confinement
    )


async def said_by(processes: LauncherProcesses, wanted: SpawnRequest) -> str:
    process = await processes.spawn(wanted)
    try:
        return await read_all(process)
    finally:
        await process.aclose()


async def test_a_stock_container_has_landlock_alone_and_its_gaps_are_told(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    async with in_a_container() as processes:
        report = await processes.confinement()
        assert processes.report is not None
        assert processes.report.mechanism == "subreaper"
        assert [text.split(":")[0] for text in processes.report.refused] == ["pidns", "userns"]
        if report.mechanism == "none":
            pytest.skip(f"this kernel has no Landlock: {report.refused}")
        assert (report.mechanism, report.own_mounts) == ("landlock", False)
        assert report.refused[0].startswith("bubblewrap: ")
        assert report.gaps[0] == UNPROTECTED
        confinement = Confinement(mode="workspace-write", workspace=(str(workspace),))
        script = f"echo in > in && echo out > {outside} || echo denied"
        assert (await said_by(processes, request(script, workspace, confinement))).endswith("denied\n")
        assert (workspace / "in").read_text() == "in\n"
        assert not outside.exists()


async def test_where_nothing_can_confine_a_command_it_is_not_started_and_says_what_to_do(tmp_path: Path) -> None:
    async with in_a_container(LANDLOCK) as processes:
        report = await processes.confinement()
        assert report.mechanism == "none"
        assert report.refused[-1] == "landlock: this kernel has none, or has it switched off"
        with pytest.raises(SpawnError, match=r"no sandbox can be enforced on this machine .*danger-full-access"):
            await processes.spawn(request("true", tmp_path, Confinement(mode="read-only")))
        assert await said_by(processes, request("echo free", tmp_path, None)) == "free\n"
