"""A daemon of our own for the length of one command, when none runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors.console import home as homes
from actors.console.client import NotReachableError

START_SECONDS = 20.0
"""A cold start on a busy machine; warm it is a fraction of a second."""

STOP_SECONDS = 40.0
"""Longer than the daemon's own drain, so that we never kill what would have ended in order."""

POLL_SECONDS = 0.02


class Borrowed:
    """A running daemon: where it listens and who it is."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address
        self.token = token


@asynccontextmanager
async def daemon(folder: Path, flags: Sequence[str] = ()) -> AsyncIterator[Borrowed]:
    """Start ``callboard serve`` on a free port with its home in ``folder``; stop it in order at the end.

    Raises NotReachableError with what the daemon printed if it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / "daemon.log"
    with log.open("wb") as output:
        child = await trio.lowlevel.open_process(
            [sys.executable, "-m", "supervisors", "serve", "--listen", "ws://127.0.0.1:0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "CALLBOARD_HOME": str(folder)},
            start_new_session=True,
        )
    try:
        yield await _started(child, folder, log)
    finally:
        with trio.CancelScope(shield=True):
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                with trio.move_on_after(STOP_SECONDS) as patience:
                    await child.wait()
                if patience.cancelled_caught:
                    child.kill()
            await child.wait()


async def _started(child: trio.Process, folder: Path, log: Path) -> Borrowed:
    with trio.move_on_after(START_SECONDS):
        while child.returncode is None:
            found = homes.running(folder)
            if found is not None and found.pid == child.pid:
                return Borrowed(found.address, homes.token(folder))
            await trio.sleep(POLL_SECONDS)
    words = log.read_text(errors="replace").strip() or "it printed nothing"
    raise NotReachableError(f"The daemon did not start: {words}")
