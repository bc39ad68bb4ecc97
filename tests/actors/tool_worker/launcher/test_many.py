"""Many calls at once and one after another; a launcher that hangs; a full descriptor table."""

from __future__ import annotations

import os
import resource
import signal
import uuid

import pytest
import trio
import trio.testing

from actors.ports.processes import ExitStatus, LauncherLostError, SpawnError
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.launcher import Mechanism, start_launcher
from actors.tool_worker.launcher.vacant import VACANT_DESCRIPTORS

from .stage import DEADLINE_SECONDS, Stage, every_mechanism, launched, proc

CALLS = 100


def descriptors(pid: int | str) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def owned(stage: Stage) -> int:
    """Our own descriptors, but for those of containers that are kept for the next calls."""
    return descriptors("self") - VACANT_DESCRIPTORS * stage.processes.vacant


@every_mechanism
async def test_a_hundred_calls_leave_no_descriptor_no_zombie_and_no_process(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        ends: list[tuple[ExitStatus, str]] = []

        async def call(number: int) -> None:
            ends.append(await stage.run(f"echo {number}; exit {number}"))

        await stage.run("true")
        before = owned(stage), descriptors(stage.handle.pid)
        async with trio.open_nursery() as nursery:
            for number in range(CALLS):
                nursery.start_soon(call, number)
        assert sorted(ends, key=lambda end: end[0].code) == [(ExitStatus(code=n), f"{n}\n") for n in range(CALLS)]
        assert owned(stage) == before[0]
        while len(proc(f"{stage.handle.pid}/task/{stage.handle.pid}/children").split()) > 2 + stage.processes.vacant:
            await stage.run("true")  # while it serves this, it buries; one that leaks never gets there in time
        assert descriptors(stage.handle.pid) <= before[1] + 1  # the spare may not have been there before


async def test_a_hanging_launcher_stops_nobody_else() -> None:
    async with launched() as stage:
        running = await stage.spawn("sleep", "1001")
        os.kill(stage.handle.pid, signal.SIGSTOP)
        ends: list[tuple[ExitStatus, str]] = []

        async def call() -> None:
            ends.append(await stage.run("exit 3"))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            assert await running.stop() == ExitStatus(code=143, signal=15)
            await running.aclose()
            assert ends == []
            os.kill(stage.handle.pid, signal.SIGCONT)
        assert ends == [(ExitStatus(code=3), "")] * 5


async def test_a_launcher_that_does_not_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.tool_worker.launcher.link.ANSWER_SECONDS", 0.05)
    handle = start_launcher()
    processes = LauncherProcesses(handle)
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:
            stage = Stage(processes, handle, nursery, uuid.uuid4().hex)

            async def serve(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
                with pytest.raises(LauncherLostError, match="the launcher has died"):
                    await processes.run(task_status=task_status)

            await nursery.start(serve)
            os.kill(handle.pid, signal.SIGSTOP)
            with pytest.raises(LauncherLostError, match="while it was starting 'true': whether it ran"):
                await stage.spawn("true")
        assert handle.is_gone()


async def test_a_call_that_does_not_begin_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.ports.production.processes.EXEC_SECONDS", 0.05)
    async with launched() as stage:
        (spare,) = proc(f"{stage.handle.pid}/task/{stage.handle.pid}/children").split()
        os.kill(int(spare), signal.SIGSTOP)
        with pytest.raises(SpawnError, match=r"'sleep' did not begin within 0\.05 s, and was ended"):
            await stage.spawn("sleep", "1001")
        assert (stage.left(), stage.processes.live) == ({}, 0)


async def test_without_descriptors_a_start_is_refused_and_leaves_none_open() -> None:
    async with launched() as stage:
        await stage.run("true")
        before = owned(stage)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        refused = []
        for room in range(12):  # each point of the way at which the table may be full
            free = sorted({*range(256)} - {int(name) for name in os.listdir("/proc/self/fd")})
            resource.setrlimit(resource.RLIMIT_NOFILE, (free[room], hard))
            try:
                await stage.run("true")
            except SpawnError as error:
                refused.append(str(error).split(":")[0])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert set(refused) == {"cannot make a container for 'sh'"}
        assert owned(stage) == before
        assert await stage.run("echo fine") == (ExitStatus(code=0), "fine\n")
