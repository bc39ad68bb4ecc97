"""Every row of the table, tried for real by a program inside each sandbox that this machine can make."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.ports.processes import Confinement, SpawnRequest
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.confinement import limits
from actors.tool_worker.confinement.mechanism import ConfinementReport, Mechanism
from actors.tool_worker.confinement.table import COLUMNS, MODES, TABLE, Column, Mode, as_markdown
from actors.tool_worker.launcher import Mechanism as Containment
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.launcher.confiner import Confiner
from tests.actors.tool_worker.confinement import probes
from tests.actors.tool_worker.launcher.stage import read_all

DOCUMENT = Path(__file__).parents[4] / "docs" / "containment.md"
SECONDS = 60.0
FEW_PROCESSES = 512
"""For the fork bomb: the real limit would take long to reach."""

DAEMON = "import sys; held = open(sys.argv[1], 'a'); print(flush=True); sys.stdin.read()"
"""Stands for the daemon: a process of the same user, with a secret and an open file."""

WAYS: dict[Column, tuple[Containment | None, Mechanism]] = {
    "bubblewrap": (None, "bubblewrap"),
    "landlock": (None, "landlock"),
    "landlock alone": ("subreaper", "landlock"),
}


@contextlib.asynccontextmanager
async def confined_by(
    mechanism: Mechanism | None, containment: Containment | None = None
) -> AsyncIterator[tuple[LauncherProcesses, ConfinementReport]]:
    """A port whose calls are confined by that mechanism; skips where it does not work."""
    handle = start_launcher(force=containment)
    try:
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle, confiner=Confiner(force=mechanism))
                await nursery.start(processes.run)
                report = await processes.confinement()
                if mechanism is not None and report.mechanism != mechanism:
                    pytest.skip(f"{mechanism} does not work here: {'; '.join(report.refused)}")
                yield processes, report
                nursery.cancel_scope.cancel()
    finally:
        handle.release()


@contextlib.contextmanager
def world(folder: Path, *, link: bool = True) -> Iterator[dict[str, Any]]:
    """A workspace with everything there is to attack, and everything outside of it."""
    scratch = Path(tempfile.mkdtemp(prefix="callboard-probes-"))
    workspace = folder / "workspace"
    (workspace / ".git").mkdir(parents=True)
    (workspace / ".git" / "config").write_text("[core]\n")
    outside = folder / "outside.txt"
    outside.write_text("as it was")
    (workspace / "link").symlink_to(outside)
    (workspace / "agents").mkdir()
    if link:
        (workspace / ".agents").symlink_to("agents")
    home = workspace / "home"
    home.mkdir()
    worktree, gitdir = folder / "worktree", scratch / "repository" / "worktrees" / "one"
    worktree.mkdir()
    gitdir.mkdir(parents=True)
    (gitdir / "commondir").write_text("../..\n")
    (worktree / ".git").write_text(f"gitdir: {gitdir}\n")
    held = folder / "held.txt"
    name = f"callboard-probe-{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch)
        ports = {}
        for label, family, kind, host in (
            ("tcp4", socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, "::1"),
            ("udp4", socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
            ("udp6", socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
        ):
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind((host, 0))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            ports[label] = listener.getsockname()[1]
        for address in (str(folder / "socket"), f"\0{name}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        daemon = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", DAEMON, str(held)],
                env={"DAEMON_SECRET": "x"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        assert daemon.stdout is not None
        daemon.stdout.readline()
        yield {
            "workspace": str(workspace),
            "worktree": str(worktree),
            "outside": str(outside),
            "home": str(home),
            "tmp": str(scratch / "new"),
            "scratch": str(scratch),
            "gitdir": str(gitdir),
            "held": str(held),
            "daemon": daemon.pid,
            "unix": str(folder / "socket"),
            "abstract": name,
            **ports,
        }


async def probe(
    processes: LauncherProcesses, given: dict[str, Any], confinement: Confinement | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Verdicts and reasons of every probe."""
    argv = (sys.executable, "-I", "-S", probes.__file__, json.dumps(given))
    request = SpawnRequest(argv=argv, cwd="/", environment={"PATH": os.defpath}, confinement=confinement)
    process = await processes.spawn(request)
    try:
        said = await read_all(process)
        status = await process.wait()
    finally:
        await process.aclose()
    assert status.code == 0, said
    found = json.loads(said.splitlines()[-1])
    return found["verdicts"], found["reasons"]


@pytest.fixture
def few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROCESSES_MAX", FEW_PROCESSES)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("few_processes")
async def test_what_a_sandbox_allows_and_denies_is_what_the_table_says(
    mode: Mode, column: Column, tmp_path: Path
) -> None:
    containment, mechanism = WAYS[column]
    folder = Path(tempfile.mkdtemp(prefix="callboard-outside-", dir="/var/tmp"))
    try:
        with world(folder, link=column != "bubblewrap") as given:
            async with confined_by(mechanism, containment) as (processes, report):
                if column == "landlock" and not report.own_mounts:
                    pytest.skip("no mount namespace is to be had here")
                if column == "landlock alone" and os.geteuid() != 0:
                    pytest.skip("the row of the fork bomb is root's")
                confinement = Confinement(
                    mode=mode,
                    workspace=(given["workspace"], given["worktree"]) if mode == "workspace-write" else (),
                    scratch=(given["scratch"],) if mode == "workspace-write" else (),
                    untouched=(given["home"],),
                )
                verdicts, reasons = await probe(processes, given, confinement)
                if column == "bubblewrap":
                    # It cannot hold a symbolic link: a workspace with one is left to Landlock.
                    link = Path(given["workspace"]) / ".agents"
                    if link.is_dir():
                        link.rmdir()  # the placeholder, which waits for the next call
                    link.symlink_to("agents")
                    verdicts["replace_link"] = (await probe(processes, given, confinement))[0]["replace_link"]
                    link.unlink()
            expected = {name: row.verdict(mode, column) for name, row in TABLE.items()}
            assert verdicts == expected, reasons
            assert Path(given["outside"]).read_text() == "as it was"
            assert Path(given["held"]).read_text() == ""
            left = {entry.name for entry in Path(given["workspace"]).iterdir()}
            assert ".callboard" not in left  # a placeholder goes with the call that needed it
    finally:
        shutil.rmtree(folder)


@pytest.mark.usefixtures("few_processes")
async def test_without_a_sandbox_a_command_may_do_what_its_user_may(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the column says what root may")
    with world(tmp_path) as given:
        async with confined_by("landlock", "subreaper") as (processes, _):
            verdicts, reasons = await probe(processes, given, None)
        assert verdicts == {name: row.free for name, row in TABLE.items()}, reasons


def test_the_documented_table_is_the_one_that_is_tried() -> None:
    assert as_markdown() in DOCUMENT.read_text()
