"""A daemon of our own, when none runs: for the length of one command, or for as long as anybody is attached to it.

`daemon` is the first kind: it ends with the block. `join` is the second: it attaches to the daemon of this home, or
starts one that ends by itself when its last client has left and nothing of it works any more
(``serve --until-idle 0``). So whoever attached meanwhile is not cut off, and nobody has to count clients.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio_websocket

from actors.console import home as homes
from actors.console.client import Client, NotReachableError, introduced, open_socket
from actors.console.waiting import waiting

START_SECONDS = 20.0
"""A cold start on a busy machine; warm it is a fraction of a second."""

STOP_SECONDS = 40.0
"""Longer than the daemon's own drain, so that we never kill what would have ended in order."""

POLL_SECONDS = 0.02

MAX_PAUSE_SECONDS = 1.0
"""Between two looks for a daemon that is away for longer."""

OTHERS_SECONDS = 10.0
"""Longer than a restart takes, shorter than a person waits."""

IN_USE = 75
"""What ``serve`` exits with when another daemon has the home: perhaps one that is just ending."""

UNTIL_IDLE = ("--until-idle", "0")
"""Every daemon of ours ends with its last client, in whatever way that has left."""

MAX_LOG_BYTES = 4 * 1024 * 1024
"""Of the log of such daemons: beyond it the next one begins anew."""


class Borrowed:
    """A running daemon: where it listens and who it is."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address
        self.token = token


@asynccontextmanager
async def daemon(folder: Path, flags: Sequence[str] = ()) -> AsyncIterator[Borrowed]:
    """Start ``callboard serve`` on a free port with its home in ``folder``; stop it in order at the end.

    It also ends by itself when its client has gone and nothing of it works any more: we may be killed. Raises
    NotReachableError with what the daemon printed if it does not come up.
    """
    child = await _launch(folder, [*flags, *UNTIL_IDLE])
    try:
        place = await _started(child, folder)
        if place is None:
            raise NotReachableError(f"The daemon did not start: {_words(folder)}")
        yield place
    finally:
        with trio.CancelScope(shield=True):
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                with trio.move_on_after(STOP_SECONDS) as patience:
                    await child.wait()
                if patience.cancelled_caught:
                    child.kill()
            await child.wait()


async def join(
    nursery: trio.Nursery, folder: Path, flags: Sequence[str] = (), *, queue: int = 1, quietly: bool = False
) -> tuple[trio_websocket.WebSocketConnection, trio.Process | None]:
    """A WebSocket to the daemon of this home, and its process if it was started for this with ``flags``.

    ``quietly``: the caller draws on the terminal already. Raises NotReachableError with what the daemon printed if it
    does not come up.
    """
    deadline = trio.current_time() + START_SECONDS
    silent: int | None = None
    while True:
        found = homes.running(folder)
        child = None
        if found is not None and found.pid != silent:
            place = Borrowed(found.address, homes.token(folder))
        else:
            with contextlib.nullcontext() if quietly else waiting("starting a daemon"):
                child = await _launch(folder, [*flags, *UNTIL_IDLE])
                started = await _started(child, folder)
            silent = None
            if started is None:
                if trio.current_time() > deadline:
                    raise NotReachableError(f"The daemon did not start: {_words(folder)}")
                await trio.sleep(POLL_SECONDS)
                continue
            place = started
        try:
            socket = await open_socket(nursery, place.address, place.token, queue=queue)
            if child is not None or homes.running(folder) == found:
                return socket, child
            await socket.aclose()  # it has withdrawn its announcement: it is about to end
        except NotReachableError:
            # It ended between its announcement and our call, or left the announcement behind when it was killed.
            if child is not None or found is None or trio.current_time() > deadline:
                raise
            silent = found.pid


def not_used(folder: Path, flags: Sequence[str]) -> str:
    """What is said of flags that are for a daemon to start with, when one runs already; values may be secrets."""
    named = [
        flag.partition("=")[0] if before == "-c" else flag for before, flag in zip(("", *flags), flags, strict=False)
    ]
    return f"a daemon runs already in {folder} with settings of its own; not used: {shlex.join(named)}"


@asynccontextmanager
async def attached(
    folder: Path, name: str = "callboard-console", *, flags: Sequence[str] = ()
) -> AsyncIterator[Client]:
    """A client of the daemon of this home, which is started if none runs and then ends with its last client.

    ``flags`` are for the daemon that is started; if one runs, it is said that they are not used. Raises
    NotReachableError.
    """
    async with trio.open_nursery() as nursery:
        socket, child = await join(nursery, folder, flags)
        if child is None and flags:
            print(f"callboard: {not_used(folder, flags)}", file=sys.stderr)
        async with introduced(nursery, socket, name) as client:
            yield client
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def attached_again(folder: Path, name: str = "callboard-console") -> AsyncIterator[Client]:
    """The same after the daemon has gone, however long it takes; the caller tells people about the wait.

    For some seconds somebody else is given the time to start it again: a service manager, or the person who stopped it.
    """
    async with trio.open_nursery() as nursery:
        deadline = trio.current_time() + OTHERS_SECONDS
        pause = POLL_SECONDS
        while True:
            if homes.running(folder) is not None or trio.current_time() > deadline:
                with contextlib.suppress(NotReachableError):
                    socket, _ = await join(nursery, folder, quietly=True)
                    break
            pause = min(pause * 2, MAX_PAUSE_SECONDS)
            await trio.sleep(pause)
        async with introduced(nursery, socket, name) as client:
            yield client
        nursery.cancel_scope.cancel()


async def _launch(folder: Path, flags: Sequence[str]) -> trio.Process:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = _log(folder)
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.unlink()
    with open(log, "ab", opener=homes.private) as output:
        return await trio.lowlevel.open_process(
            [sys.executable, "-m", "supervisors", "serve", "--listen", "ws://127.0.0.1:0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "CALLBOARD_HOME": str(folder)},
            start_new_session=True,
        )


async def _started(child: trio.Process, folder: Path) -> Borrowed | None:
    """Where it listens; None when another daemon has the home."""
    with trio.move_on_after(START_SECONDS):
        while child.returncode is None:
            found = homes.running(folder)
            if found is not None and found.pid == child.pid:
                return Borrowed(found.address, homes.token(folder))
            await trio.sleep(POLL_SECONDS)
    if child.returncode == IN_USE:
        return None
    raise NotReachableError(f"The daemon did not start: {_words(folder)}")


def _log(folder: Path) -> Path:
    return folder / "daemon.log"


def _words(folder: Path) -> str:
    """What it said last."""
    lines = _log(folder).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
