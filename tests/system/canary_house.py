"""A daemon whose every secret is a canary, and everybody it speaks to.

It logs at its most talkative (DEBUG, libraries included), and its files are made under the laxest umask.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NoReturn

from actors.console.main import main
from actors.console.serve_options import ServeOptions
from tests.system.canaries import Canaries, Hunt, descendants, private
from tests.system.daemon import DaemonProcess
from tests.system.peer import Peer, connect

TALKATIVE = (
    sys.executable,
    "-c",
    "import logging\nlogging.basicConfig(level=logging.DEBUG)\nfrom supervisors.entry import main\nmain()",
)
"""`callboard`, telling all it can."""

STORES = ("config.toml", "work.config.toml", "token", "token.key", "credentials.json", "auth.json")
"""In a home: where secrets are because people put them there, or because this is their store."""

CLIENT_SECONDS = 30.0
"""For one `callboard` beside the daemon, on a busy machine."""


class House:
    """One home, one daemon at a time. Fill ``canaries`` and the files first, then `prepare`."""

    def __init__(self, folder: Path) -> None:
        self.canaries = Canaries()
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.told: list[tuple[str, str]] = []
        """(command, all it printed)"""
        self.frames: list[object] = []
        self.processes: list[tuple[str, bytes]] = []
        """(which, what can be read of it)"""
        self._daemon: DaemonProcess | None = None

    @property
    def daemon(self) -> DaemonProcess:
        assert self._daemon is not None, "prepare it first"
        return self._daemon

    def write(self, name: str, text: str) -> None:
        """A file of the home, for its owner only."""
        (self.home / name).write_text(text)
        (self.home / name).chmod(0o600)

    def prepare(self, flags: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> DaemonProcess:
        """The daemon, not started yet."""
        self._daemon = DaemonProcess(
            self.home, flags, environment=dict(environment or {}), prepare=_lax, program=TALKATIVE
        )
        return self._daemon

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Peer]:
        """A client whose frames are kept."""
        async with connect(self.daemon) as peer:
            try:
                yield peer
            finally:
                self.frames += peer.frames

    def run(self, *arguments: str, stdin: str = "") -> int:
        """One `callboard` beside the daemon; its exit code. What it prints is kept.

        In this process, in a thread of its own (the test's own loop waits): an interpreter's start for each would be
        most of the time.
        """
        printed, codes = io.StringIO(), list[int]()
        environment, folder, our_stdin = dict(os.environ), os.getcwd(), sys.stdin
        os.environ.clear()
        os.environ.update(self.daemon.environment)
        os.chdir(self.workspace)
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                thread = threading.Thread(target=lambda: codes.append(main(arguments, _no_daemon)), daemon=True)
                thread.start()
                thread.join(CLIENT_SECONDS)
        finally:
            sys.stdin = our_stdin
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
        assert codes, f"callboard {' '.join(arguments)} did not end: {printed.getvalue()}"
        self.told.append((f"callboard {' '.join(arguments)} ({codes[0]})", printed.getvalue()))
        return codes[0]

    def look_at_processes(self) -> None:
        """What anybody may read of the daemon and of everything below it, now."""
        for pid in (self.daemon.pid, *descendants(self.daemon.pid)):
            for name in ("environ", "cmdline"):
                try:
                    data = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue  # it ended meanwhile
                self.processes.append(
                    (f"{name} of {pid} ({'the daemon' if pid == self.daemon.pid else 'below'})", data)
                )

    def hunt(self, *spared: str) -> Hunt:
        """Through everything that was kept, shown and printed; ``spared``: further places of secrets in the home."""
        for name in ("token", "token.key"):
            if (self.home / name).exists():
                self.canaries.literals[name] = (self.home / name).read_text().strip()
        hunt = Hunt(self.canaries)
        hunt.look_below(self.home, but=(*STORES, *spared))
        hunt.look_below(self.workspace)
        hunt.look("the daemon's log", self.daemon.log.read_bytes())
        hunt.look_at_frames("a frame", self.frames)
        for command, printed in self.told:
            hunt.look(f"{command}: {printed[:300]}", printed)
        for which, data in self.processes:
            hunt.look(which, data)
        assert private(self.home) == []
        return hunt

    def close(self) -> None:
        """Nothing of it is left."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait_until_gone()


@contextmanager
def canary_house(folder: Path) -> Iterator[House]:
    """One for the length of a block."""
    house = House(folder)
    try:
        yield house
    finally:
        house.close()


def _no_daemon(_: ServeOptions) -> NoReturn:
    raise AssertionError("there is a daemon")


def _lax() -> None:
    os.umask(0)
