"""Shell snapshots with a real bash and a profile that sets all kinds of things: commands find what a login gives them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from actors.ports.production import production_ports
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.programs import run_program
from actors.tool_worker.shell_snapshot import ENVIRONMENT_MARK, ShellSnapshots, snapshot

BASH = "/bin/bash"
PROFILE = r"""
echo "profile read" >> "$HOME/count"
export GREETING="it's \$HOME
and more" EMPTY= TERM=fancy
unset DROPPED
export PATH="$HOME/bin:$PATH"
LOCAL=not-exported
greet() { echo "hello $1"; }
alias ll='echo aliased'
shopt -s expand_aliases extglob
"""


@dataclass
class Machine:
    """A user's home, and a way to run commands there."""

    home: Path
    processes: LauncherProcesses
    snapshots: ShellSnapshots
    environment: dict[str, str]

    async def run(self, command: str, **more: str) -> str:
        path = await self.snapshots.path(BASH, self.environment)
        assert path is not None
        environment = {**self.environment, **more, "BASH_ENV": path}
        argv = (BASH, "-c", command)
        ran = await run_program(self.processes, argv, cwd=str(self.home), environment=environment, seconds=10)
        return (ran.output + ran.complaint).decode()


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    home = tmp_path / "user"
    home.mkdir()
    handle = start_launcher()
    try:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle)
                await nursery.start(processes.run)
                ports = production_ports(processes)
                environment = {"HOME": str(home), "PATH": os.environ["PATH"], "DROPPED": "1", "KEPT": "2"}
                yield Machine(home, processes, ShellSnapshots(ports, home=str(tmp_path / "daemon")), environment)
                nursery.cancel_scope.cancel()
    finally:
        handle.release()


async def test_a_command_finds_what_the_profile_sets_and_the_profile_is_read_once(machine: Machine) -> None:
    (machine.home / ".bash_profile").write_text(PROFILE)
    said = await machine.run('echo "$GREETING|${DROPPED-gone}|$KEPT|${LOCAL-local}|${EMPTY-unset}"; greet you; ll')
    assert said == "it's $HOME\nand more|gone|2|local|\nhello you\naliased\n"
    assert await machine.run("echo ${PATH%%:*}; shopt extglob") == f"{machine.home}/bin\nextglob        \ton\n"
    assert (machine.home / "count").read_text() == "profile read\n"


async def test_what_the_call_sets_wins_and_its_children_see_no_snapshot(machine: Machine) -> None:
    (machine.home / ".bash_profile").write_text("export GREETING=hi\n")
    assert (
        await machine.run("echo $TERM; env | grep -c BASH_ENV; echo $0; false", TERM="dumb") == "dumb\n0\n/bin/bash\n"
    )


async def test_an_error_keeps_the_line_it_is_on(machine: Machine) -> None:
    assert "line 2: nonsense: command not found" in await machine.run("true\nnonsense")


@pytest.mark.parametrize("profile", ["exit 3\n", "exec true\n"])
async def test_a_profile_that_does_not_come_back_leaves_commands_as_login_shells(
    machine: Machine, profile: str
) -> None:
    (machine.home / ".bash_profile").write_text(profile)
    assert await machine.snapshots.path(BASH, machine.environment) is None


async def test_other_shells_and_people_with_a_file_of_their_own_are_left_alone(machine: Machine) -> None:
    assert await machine.snapshots.path("/bin/sh", machine.environment) is None
    assert await machine.snapshots.path(BASH, {**machine.environment, "BASH_ENV": "/mine"}) is None


def test_what_is_no_dump_makes_no_snapshot() -> None:
    assert snapshot(b"", {}) is None
    assert snapshot(b"declare", {}) is None
    assert snapshot(ENVIRONMENT_MARK + b"A=1", {}) is None, "cut off"
    assert snapshot(b"set +o x\n" + ENVIRONMENT_MARK + b"A=1\0B=2\0", {"A": "1", "C": "3"}) == (
        b"unset BASH_ENV\nexport B=2\nunset C\nset +o x\n"
    )
