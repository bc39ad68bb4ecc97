"""Nothing outlives its owner: SIGKILL of the daemon, of the launcher, of an init, each with daemons of the tool."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.ports.processes import ExitStatus, LauncherLostError, SpawnError, SpawnRequest
from actors.ports.production.processes import ContainedProcess, LauncherProcesses, open_ends
from actors.tool_worker.launcher import Mechanism, start_launcher
from actors.tool_worker.launcher.link import Born, Container, Link

from .stage import (
    DAEMONS,
    DEADLINE_SECONDS,
    MARK,
    PATH,
    Stage,
    crowded,
    every_mechanism,
    launched,
    read_words,
    vanished,
)

ROOT = Path(__file__).resolve().parents[4]

DAEMON = f"""
import os, sys, trio
from actors.ports.processes import LauncherLostError, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.launcher import start_launcher

async def main(handle):
    async with trio.open_nursery() as nursery:
        processes = LauncherProcesses(handle)
        await nursery.start(processes.run)
        environment = {{"PATH": {PATH!r}, "{MARK}": sys.argv[2]}}
        argv = ("sh", "-c", sys.argv[3])
        process = await processes.spawn(SpawnRequest(argv=argv, cwd="/", environment=environment))
        print("launcher", handle.pid, "init", process.pid, flush=True)
        while data := await process.read_output():
            print(data.decode(), end="", flush=True)
        await process.wait()

trio.run(main, start_launcher(force=None if sys.argv[1] == "auto" else sys.argv[1]))
"""
"""A daemon of its own: arguments are a mechanism, the mark, and a script to be run and shown."""


def daemon(
    mechanism: str, mark: str, script: str, *, prefix: tuple[str, ...] = (sys.executable,)
) -> subprocess.Popen[str]:
    command = (*prefix, "-c", DAEMON, mechanism, mark, script)
    return subprocess.Popen(command, cwd=ROOT, env=LIBRARIES, stdout=subprocess.PIPE, text=True)


LIBRARIES = {"PATH": PATH, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
"""So that another interpreter of the same version finds what this one finds."""


def read_until(process: subprocess.Popen[str], *words: str) -> list[str]:
    """What it said until it had said all of these. Blocks."""
    assert process.stdout is not None
    heard: list[str] = []
    while not set(words) <= set(heard):
        line = process.stdout.readline()
        assert line, f"the daemon ended after {heard}"
        heard += line.split()
    return heard


@every_mechanism
async def test_a_killed_daemon_leaves_nothing(mechanism: Mechanism) -> None:
    mark = uuid.uuid4().hex
    with daemon(mechanism, mark, f"{DAEMONS}\nsleep 1001") as process, trio.fail_after(DEADLINE_SECONDS):
        try:
            await trio.to_thread.run_sync(partial(read_until, process, "one", "two"))
            await crowded(mark)
        finally:
            process.kill()
        await vanished(mark)


async def test_a_daemon_killed_while_its_launcher_is_stopped_leaves_nothing() -> None:
    mark = uuid.uuid4().hex
    with daemon("auto", mark, f"{DAEMONS}\nsleep 1001") as process, trio.fail_after(DEADLINE_SECONDS):
        try:
            heard = await trio.to_thread.run_sync(partial(read_until, process, "one", "two"))
            os.kill(int(heard[1]), signal.SIGSTOP)
        finally:
            process.kill()
        await vanished(mark)


@every_mechanism
async def test_a_killed_init_leaves_nothing_when_wait_returns(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.shell(f"{DAEMONS}\nsleep 1001")
        other = await stage.shell("read go; exit 6", stdin="pipe")
        await read_words(process, "one", "two")
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == ExitStatus(code=137, signal=9)
        await process.aclose()
        assert list(stage.left().values()) == ["sh -c read go; exit 6"]
        await other.write_stdin(b"\n")
        assert await other.wait() == ExitStatus(code=6)
        await other.aclose()


@every_mechanism
async def test_a_killed_launcher_takes_its_calls_along_and_can_be_replaced(mechanism: Mechanism) -> None:
    mark = uuid.uuid4().hex
    handle = start_launcher(force=mechanism)
    processes = LauncherProcesses(handle)
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
                with pytest.raises(LauncherLostError):
                    await processes.run(task_status=task_status)

            await nursery.start(serve)
            stage = Stage(processes, handle, nursery, mark)
            process = await stage.shell(f"{DAEMONS}\nsleep 1001")
            finished = await stage.shell("exit 2")
            assert await finished.wait() == ExitStatus(code=2)
            await read_words(process, "one", "two")
            os.kill(handle.pid, signal.SIGKILL)
            with pytest.raises(LauncherLostError, match="the launcher died, and took 'sh' along"):
                await process.wait()
            with pytest.raises(LauncherLostError):
                await process.stop()
            assert await finished.wait() == ExitStatus(code=2)
            await process.aclose()
            await finished.aclose()
        await vanished(mark)
        async with trio.open_nursery() as nursery:
            await nursery.start(processes.run)
            stage = Stage(processes, handle, nursery, mark)
            assert await stage.run("echo again") == (ExitStatus(code=0), "again\n")
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("vacant", [False, True], ids=["a new container", "a vacant one"])
async def test_a_start_under_way_when_the_launcher_dies_is_unknown_and_one_without_a_launcher_waits(
    vacant: bool,
) -> None:
    handle = start_launcher()
    processes = LauncherProcesses(handle)
    outcomes: list[object] = []
    pids: list[int] = []
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:
            stage = Stage(processes, handle, nursery, uuid.uuid4().hex)

            async def start(script: str = "exit 8") -> None:
                try:
                    process = await stage.shell(script)
                    pids.append(process.pid)
                    outcomes.append(await process.wait())
                    await process.aclose()
                except SpawnError as error:
                    outcomes.append(type(error))

            async def serve(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
                with pytest.raises(LauncherLostError):
                    await processes.run(task_status=task_status)

            nursery.start_soon(start, "exit 8" if vacant else "sleep 1001 > /dev/null 2>&1 & exit 8")
            await trio.testing.wait_all_tasks_blocked()
            assert outcomes == []
            await nursery.start(serve)
            while not outcomes:
                await trio.testing.wait_all_tasks_blocked(0.001)
            assert processes.vacant == vacant
            os.kill(pids[0] if vacant else handle.pid, signal.SIGSTOP)  # who is to start it does not come to it
            nursery.start_soon(start)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(handle.pid, signal.SIGKILL)
        assert outcomes == [ExitStatus(code=8), LauncherLostError]


async def test_who_waits_for_a_call_that_has_not_started_yet_waits_for_its_start_first() -> None:
    request = SpawnRequest(argv=("true",), cwd="/", environment={})
    ended: list[Container | None] = []
    async with launched() as stage:
        ends = open_ends(request, b"")
        for fd in set(ends.theirs):
            os.close(fd)
        line, init = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        born = Born(pid=os.getpid(), pidfd=os.pidfd_open(os.getpid()), mechanism="pidns")
        process = ContainedProcess(request, ends, lambda _, vacant: ended.append(vacant))
        process.adopt(Link(stage.handle), container := Container(number=1, born=born, line=line, steps=()))
        with init:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(process.started)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(process.wait)  # as when the launcher dies now
                await trio.testing.wait_all_tasks_blocked()
                init.send(b"started 7")
                await trio.testing.wait_all_tasks_blocked()
                init.send(b"exited 3 0 vacant")
            assert (await process.wait(), ended) == (ExitStatus(code=3), [container])
        await process.aclose()
        container.close()


async def test_a_daemon_that_is_pid_1_reaps_what_a_lost_launcher_leaves_it() -> None:
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if (await trio.run_process((*unshare, "true"), capture_stderr=True, check=False)).returncode:
        pytest.skip("unshare --pid is refused here")
    script = """
import os, signal, sys, trio
from actors.ports.processes import LauncherLostError, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.launcher import start_launcher

async def main(handle):
    processes = LauncherProcesses(handle)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(processes.run)
            process = await processes.spawn(SpawnRequest(argv=("sleep", "1001"), cwd="/", environment={}))
            os.kill(handle.pid, signal.SIGKILL)
            await trio.sleep_forever()
    except* LauncherLostError:
        pass
    print(os.getpid(), open("/proc/self/task/1/children").read().split())

trio.run(main, start_launcher(force=sys.argv[1]))
"""
    for mechanism in ("pidns", "subreaper"):
        command = (*unshare, sys.executable, "-c", script, mechanism)
        with trio.fail_after(DEADLINE_SECONDS):
            done = await trio.run_process(command, cwd=ROOT, capture_stdout=True)
        assert done.stdout == b"1 []\n"


async def test_without_root_calls_are_contained_in_a_user_namespace_or_by_a_subreaper() -> None:
    for interpreter in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", interpreter)
        check = "import os, sys, actors.ports.production.processes; sys.exit(not os.access(sys.executable, os.X_OK))"
        command = (*prefix, "-c", check)
        if not (await trio.run_process(command, cwd=ROOT, env=LIBRARIES, capture_stderr=True, check=False)).returncode:
            break
    else:
        pytest.skip("this test becomes nobody, which takes root and an interpreter that nobody may run")
    for mechanism in ("auto", "subreaper"):
        mark = uuid.uuid4().hex
        script = f"id -u; {DAEMONS} sleep 1001"
        with daemon(mechanism, mark, script, prefix=prefix) as process, trio.fail_after(DEADLINE_SECONDS):
            try:
                await trio.to_thread.run_sync(partial(read_until, process, "65534", "one", "two"))
            finally:
                process.kill()
            await vanished(mark)
