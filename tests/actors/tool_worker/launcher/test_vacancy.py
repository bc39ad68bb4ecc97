"""A container that its call has left empty and unchanged is given the next one; any other is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from actors.ports.processes import Confinement, ExitStatus, SpawnError
from actors.tool_worker.launcher import Mechanism
from actors.tool_worker.launcher import vacant as vacancies
from actors.tool_worker.launcher.confiner import Confiner

from .stage import DEADLINE_SECONDS, Stage, ended, every_mechanism, launched, proc

LASTING: tuple[Mechanism, ...] = ("pidns", "userns")


async def container_of(stage: Stage, script: str, **options: object) -> int:
    """Run it to its end; the pid of the init that it had."""
    process = await stage.shell(script, **options)
    await process.wait()
    await process.aclose()
    return process.pid


@every_mechanism
async def test_calls_that_leave_nothing_share_a_container_but_not_their_ends(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        pids = set()
        for number in range(5):
            process = await stage.shell(f"echo {number}; exit {number}")
            assert await process.wait() == ExitStatus(code=number)
            assert await process.read_output() == f"{number}\n".encode()
            await process.aclose()
            pids.add(process.pid)
        assert len(pids) == (1 if mechanism in LASTING else 5)
        assert (stage.processes.live, stage.processes.vacant) == (0, int(mechanism in LASTING))


@every_mechanism
async def test_what_a_call_leaves_running_ends_with_its_container(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        first = await container_of(stage, "(setsid sleep 1001 &)")
        assert (stage.left(), stage.processes.vacant) == ({}, 0)
        assert await container_of(stage, "true") != first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
async def test_a_container_whose_mounts_were_changed_is_not_used_again() -> None:
    async with launched() as stage:
        before = await container_of(stage, "true")
        assert await container_of(stage, "mount -t tmpfs none /proc/sys && umount /proc/sys") == before
        assert stage.processes.vacant == 0
        assert (await stage.run("ls /proc/sys | grep -c kernel"))[1] == "1\n"


async def test_calls_at_once_have_a_container_each() -> None:
    async with launched() as stage:
        await stage.run("true")
        running = [await stage.spawn("sleep", "1001") for _ in range(3)]
        assert len({process.pid for process in running}) == 3
        for process in running:
            assert await process.stop() == ExitStatus(code=143, signal=15)
            await process.aclose()
        assert stage.processes.vacant == 3


async def test_a_killed_container_is_not_used_again() -> None:
    async with launched() as stage:
        process = await stage.shell("trap '' TERM; echo deaf; while :; do sleep 1001; done")
        assert await process.read_output() == b"deaf\n"
        assert await process.stop(0.01) == ExitStatus(code=137, signal=9)
        await process.aclose()
        assert stage.processes.vacant == 0
        assert await container_of(stage, "true") != process.pid


async def test_a_signal_that_comes_too_late_hits_nobody_else() -> None:
    async with launched() as stage:
        for _ in range(20):
            late = await stage.spawn("true")
            assert await late.read_output() == b""  # it is ending; its init may know, or not yet
            late.signal(signal.SIGTERM)
            await late.wait()
            await late.aclose()
            assert await stage.run("sleep 0.001; echo fine") == (ExitStatus(code=0), "fine\n")


async def test_a_vacant_container_that_was_killed_is_passed_over() -> None:
    async with launched() as stage:
        first = await container_of(stage, "true")
        os.kill(first, signal.SIGKILL)
        await ended(first)
        assert await container_of(stage, "true") != first


async def test_a_start_that_fails_harms_no_later_one() -> None:
    async with launched() as stage:
        await stage.run("true")
        with pytest.raises(SpawnError, match="the program '/nowhere' does not exist"):
            await stage.spawn("/nowhere")
        assert await stage.run("echo fine") == (ExitStatus(code=0), "fine\n")


async def test_only_so_many_are_kept_and_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacancies, "VACANT_MAX", 2)
    async with launched() as stage:
        running = [await stage.shell("read line", stdin="pipe") for _ in range(3)]
        for process in running:
            process.close_stdin()
            await process.wait()
            await process.aclose()
        assert stage.processes.vacant == 2
        await ended_or_gone(running[0].pid)
        monkeypatch.setattr(vacancies, "VACANT_SECONDS", 0.0)
        last = await container_of(stage, "true")
        await ended_or_gone(last)
        for process in running:
            await ended_or_gone(process.pid)
        assert stage.processes.vacant == 0


async def ended_or_gone(pid: int) -> None:
    try:
        await ended(pid)
    except ProcessLookupError:
        return


@every_mechanism
async def test_a_container_ends_after_so_many_calls(mechanism: Mechanism) -> None:
    if mechanism not in LASTING:
        pytest.skip("it has one call in any case")
    async with launched(mechanism) as stage:
        pids = [await container_of(stage, "true") for _ in range(101)]
    assert (len(set(pids[:100])), len(set(pids))) == (1, 2)


@pytest.mark.parametrize("mechanism", ["bubblewrap", "landlock"])
async def test_a_confined_call_and_a_free_one_never_share_a_container(
    mechanism: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launched() as stage:
        monkeypatch.setattr(
            stage.processes, "_confiner", Confiner(force="bubblewrap" if mechanism == "bubblewrap" else "landlock")
        )
        report = await stage.processes.confinement()
        if report.mechanism != mechanism:
            pytest.skip(f"{mechanism} does not work here: {report.refused}")
        confinement = Confinement(mode="workspace-write", workspace=(str(tmp_path),))
        free, confined = set(), []
        for number in range(4):
            free.add(await container_of(stage, "true"))
            script = f"touch {tmp_path}/{number} && ! touch /outside.{number}"
            process = await stage.shell(f"{script} 2>/dev/null", confinement=confinement)
            assert await process.wait() == ExitStatus(code=0)
            await process.aclose()
            confined.append(process.pid)
        assert free.isdisjoint(confined)
        assert len(free) == 1
        assert len(set(confined)) == (1 if mechanism == "bubblewrap" else 4)
        assert {path.name for path in tmp_path.iterdir()} >= {"0", "1", "2", "3"}


@every_mechanism
async def test_vacant_containers_end_with_their_launcher(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        pid = await container_of(stage, "true")
    with trio.fail_after(DEADLINE_SECONDS):
        await ended_or_gone(pid)


async def test_vacant_containers_end_when_their_daemon_is_killed() -> None:
    """The line and the launcher's socket are all that holds them."""
    async with launched() as stage:
        pid = await container_of(stage, "true")
        children = [int(each) for each in proc(f"{stage.handle.pid}/task/{stage.handle.pid}/children").split()]
        assert pid in children
        stage.processes._vacancies.clear()  # what the kernel does to a dead daemon's descriptors
        await ended_or_gone(pid)
