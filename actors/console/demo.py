"""``callboard demo``: a failing test, a session that works on it live, a passing test.

Everything is real: a daemon of its own, a git repository in a temporary folder, tools that run. Only the model is
rehearsed, unless OPENAI_API_KEY or ``--base-url`` gives a real one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from rich.console import Console
from rich.panel import Panel

from actors.console import home as homes
from actors.console import repository
from actors.console.borrowed import daemon
from actors.console.client import Client, Incoming, NotReachableError, WireError, connect, leaves
from actors.console.screen import Screen
from actors.console.stage import staged
from actors.console.turn import SIGINT_EXIT, run_turn

PROMPT = "The tests of this repository fail. Find the bug, fix it, and show me that the tests pass."


SCRIPT_PROMPT = (
    "Now with one script: read the files of this repository in eight pieces at once, write the table of units into the "
    "README, run the tests, and start a command that nobody waits for."
)
REHEARSED = "rehearsal"
WIRES = ("chat", "messages")
"""Beside the one that the demo was told to speak, by default that of Responses."""


def start(flags: Sequence[str], *, keep: bool) -> int:
    """Run the demo; the exit code: 0 only if the tests really pass at the end."""
    console = Screen()
    folder = Path(tempfile.mkdtemp(prefix="callboard-demo-"))
    try:
        code = trio.run(_run, console, folder, list(flags))
    except* (NotReachableError, WireError, OSError, subprocess.SubprocessError) as group:
        for error in leaves(group):
            words = getattr(error, "stderr", None) or error
            console.print(f"[bold red]callboard demo:[/] {words}", highlight=False)
        code = 1
    if code == 0 or keep:
        console.print(f"[dim]everything is in {folder}; remove it when you have looked around[/]", highlight=False)
    else:
        console.print(f"[dim]the daemon's log is {folder / 'home' / 'daemon.log'}[/]", highlight=False)
    return code


async def _run(console: Console, folder: Path, flags: list[str]) -> int:
    workspace = folder / "tempo"
    repository.make(workspace)
    failing = not repository.tests_pass(workspace)
    home = folder / "home"
    home.mkdir(mode=0o700)
    _borrow_settings(home)
    began = time.monotonic()
    console.print(
        Panel.fit(
            f"a small repository with a {'failing' if failing else 'passing'} test: {workspace}", title="callboard"
        )
    )
    async with (
        daemon(home, [*flags, *_wires()]) as place,
        connect(place.address, token=place.token, name="callboard-demo") as client,
    ):
        started = await client.request("thread/start", {"cwd": str(workspace), "approvalPolicy": "never"})
        thread = started["thread"]
        console.print(f"[dim]model {started['model']} from {started['modelProvider']}[/]", highlight=False)
        async with staged(console) as stage:
            ending = await run_turn(client, thread["id"], PROMPT, stage.show)
            if ending.error is None and not ending.left:
                for wire in WIRES:
                    shutil.copytree(workspace, folder / wire)
                scripted = await run_turn(client, thread["id"], SCRIPT_PROMPT, stage.show)
                ending = ending if scripted.error is None and not scripted.left else scripted
            if ending.error is None and not ending.left and thread["modelProvider"] == REHEARSED:
                for wire in WIRES:
                    await _script_over(console, client, folder, wire, stage.show)
    if ending.left:
        return SIGINT_EXIT
    if ending.error is not None:
        console.print(f"[bold red]{ending.status}:[/] {ending.error}", highlight=False)
    passing = repository.tests_pass(workspace)
    took = time.monotonic() - began
    verdict = "[bold green]the tests pass now[/]" if passing else "[bold red]the tests still fail[/]"
    console.print(f"{verdict} (checked again outside the session) after {took:.1f} s", highlight=False)
    console.print(f"rollout: {thread['path']}", highlight=False, soft_wrap=True)
    return 0 if passing and ending.status == "completed" else 1


async def _script_over(
    console: Console, client: Client, folder: Path, wire: str, show: Callable[[Incoming], None]
) -> None:
    """The script once more, over another wire: it depends on none."""
    asked = {"cwd": str(folder / wire), "approvalPolicy": "never", "modelProvider": f"{REHEARSED}-{wire}"}
    started = await client.request("thread/start", {**asked, "model": REHEARSED})
    console.print(Panel.fit(f"the same script over the {wire} API", title="callboard"))
    ending = await run_turn(client, started["thread"]["id"], SCRIPT_PROMPT, show)
    if ending.error is not None:
        raise WireError("turn/start", -1, f"over {wire}: {ending.error}")


def _wires() -> list[str]:
    """Flags that give the daemon the rehearsed model over each other wire."""
    flags: list[str] = []
    for wire in WIRES:
        for key, value in {"name": "the rehearsed model", "base_url": "", "wire_api": wire}.items():
            flags += ["-c", f'model_providers.{REHEARSED}-{wire}.{key}="{value}"']
    return flags


def _borrow_settings(home: Path) -> None:
    """The demo has a home of its own, so that it cannot disturb a running daemon; your providers still count."""
    mine = homes.home() / "config.toml"
    if mine.is_file():
        shutil.copyfile(mine, home / "config.toml")
    for name in ("LANG", "TERM"):
        os.environ.setdefault(name, "C.UTF-8" if name == "LANG" else "dumb")
    sys.stdout.flush()
