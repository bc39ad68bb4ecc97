"""A confined call ends as any other: signals reach the tool and not its wrapper, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest
import trio

from actors.ports.processes import Confinement, ExitStatus, LauncherLostError, SpawnRequest
from actors.ports.production.processes import ContainedProcess, LauncherProcesses
from actors.tool_worker.confinement.mechanism import Mechanism
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.launcher.confiner import Confiner
from tests.actors.tool_worker.launcher.stage import (
    DAEMONS,
    DEADLINE_SECONDS,
    MARK,
    PATH,
    crowded,
    marked,
    read_words,
    vanished,
)

SECONDS = 3 * DEADLINE_SECONDS


async def spawn(processes: LauncherProcesses, script: str, folder: Path, mark: str) -> ContainedProcess:
    confinement = Confinement(mode="workspace-write", workspace=(str(folder),))
    environment = {"PATH": PATH, MARK: mark}
    argv = ("sh", "-c", script)
    return await processes.spawn(
        SpawnRequest(argv=argv, cwd=str(folder), environment=environment, confinement=confinement)
    )


async def skip_unless(processes: LauncherProcesses, mechanism: Mechanism) -> None:
    report = await processes.confinement()
    if report.mechanism != mechanism:
        pytest.skip(f"{mechanism} does not work here: {report.refused}")


both = pytest.mark.parametrize("mechanism", ["bubblewrap", "landlock"])


@both
async def test_a_signal_reaches_the_tool_and_a_deaf_one_is_ended_with_all_it_started(
    mechanism: Mechanism, tmp_path: Path
) -> None:
    mark = uuid.uuid4().hex
    handle = start_launcher()
    try:
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle, confiner=Confiner(force=mechanism))
                await nursery.start(processes.run)
                await skip_unless(processes, mechanism)
                polite = await spawn(
                    processes, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", tmp_path, mark
                )
                await read_words(polite, "ready")
                polite.signal(signal.SIGTERM)
                assert await polite.wait() == ExitStatus(code=3)
                await polite.aclose()
                deaf = await spawn(processes, f"trap '' TERM\n{DAEMONS}\nsleep 1001; sleep 1002", tmp_path, mark)
                await read_words(deaf, "one", "two")
                await crowded(mark)
                assert (await deaf.stop(0.05)).code == 137
                assert marked(mark) == {}
                await deaf.aclose()
                nursery.cancel_scope.cancel()
    finally:
        handle.release()
    assert os.listdir(tmp_path) == []


@both
async def test_a_killed_launcher_takes_confined_calls_along(mechanism: Mechanism, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    handle = start_launcher()
    processes = LauncherProcesses(handle, confiner=Confiner(force=mechanism))
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
                with pytest.raises(LauncherLostError):
                    await processes.run(task_status=task_status)

            await nursery.start(serve)
            try:
                await skip_unless(processes, mechanism)
                call = await spawn(processes, f"{DAEMONS}\nsleep 1001", tmp_path, mark)
                await read_words(call, "one", "two")
            finally:
                os.kill(handle.pid, signal.SIGKILL)
            with pytest.raises(LauncherLostError):
                await call.wait()
            await call.aclose()
        await vanished(mark)
    assert os.listdir(tmp_path) == []
