"""`callboard serve` as a process: started in a home of its own, killed, and searched for in /proc afterwards.

Every daemon gets a mark in its environment, which its tools inherit: whatever still carries it when it should be gone
is a leftover, however often it forked or changed its session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import trio

from actors.console.home import Running, running, token

MARK = "CALLBOARD_TEST_MARK"
"""The name of the variable that marks a daemon and everything it starts."""

CALLBOARD = Path(sys.executable).parent / "callboard"

SOON_OVER = ("-c", "drain_seconds=1")
"""Flags of a daemon that is not kept waiting by a turn that some test left behind."""

START_SECONDS = 20.0
"""A cold start on a busy machine; warm it is a fraction of a second."""

STOP_SECONDS = 10.0
GONE_SECONDS = 5.0
"""For processes to be gone after SIGKILL of their keeper: the kernel takes milliseconds."""

POLL_SECONDS = 0.005

ENGINE, WORKER = b"from inside.zygote import", b"callboard-scrpt\n"
"""In the arguments of the script engine's processes; the name of those of them that run scripts."""


class DaemonProcess:
    """One `callboard serve` after another on the same home."""

    def __init__(
        self,
        home: Path,
        flags: Sequence[str] = (),
        *,
        environment: dict[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        program: Sequence[str] = (str(CALLBOARD),),
    ) -> None:
        self.home = home
        self.mark = uuid.uuid4().hex
        self.flags = list(flags)
        self.environment = {**clean_environment(), "CALLBOARD_HOME": str(home), MARK: self.mark, **(environment or {})}
        self.log = home.with_name(home.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None
        self._prepare = prepare
        self._program = program

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def address(self) -> str:
        """Where it listens."""
        found = self.announced()
        assert found is not None, f"no daemon listens: {self.printed()}"
        return found.address

    @property
    def token(self) -> str:
        """What clients have to show."""
        return token(self.home) or ""

    def spawn(self) -> None:
        """Begin to start; returns at once."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._program, "serve", "--listen", "ws://127.0.0.1:0", *self.flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
                preexec_fn=self._prepare,
            )

    def announced(self) -> Running | None:
        """What the present process says of itself, once it listens."""
        found = running(self.home)
        return found if found is not None and self.process is not None and found.pid == self.process.pid else None

    def ready(self, seconds: float = START_SECONDS) -> str:
        """Its address. Raises AssertionError with what it printed."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            found = self.announced()
            if found is not None:
                return found.address
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"the daemon did not start ({self.process.poll()}): {self.printed()}")

    def start(self) -> str:
        """Start and wait until it listens; its address."""
        self.spawn()
        return self.ready()

    def printed(self) -> str:
        """What it wrote to its terminal, the end of it."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL, to that process only."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """In order if it can be; killed otherwise. Raises AssertionError if it had to be killed."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not stop within {STOP_SECONDS} s: {self.printed()}") from None

    def leftovers(self) -> list[str]:
        """Living processes of this daemon, itself included: by the mark, by the session it was started in, and those
        of its script engine, which know neither."""
        session = -1 if self.process is None else self.process.pid
        return [
            describe(pid)
            for pid in processes()
            if _carries(pid, MARK, self.mark) or _session(pid) == session or _runs_scripts(pid, session)
        ]

    def script_workers(self) -> set[int]:
        """Living processes that run a script of this daemon's, or are kept ready for one."""
        return {pid for pid in processes() if _read(pid, "comm") == WORKER and _runs_scripts(pid, self.pid)}

    def wait_until_gone(self, seconds: float = GONE_SECONDS) -> None:
        """Raises AssertionError naming what is still there after so long."""
        deadline = time.monotonic() + seconds
        while (left := self.leftovers()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        assert not left, f"left behind by the daemon: {left}"

    async def all_gone(self, seconds: float = GONE_SECONDS) -> list[str]:
        """What is left after at most so long; empty as soon as nothing is."""
        deadline = time.monotonic() + seconds
        while (left := self.leftovers()) and time.monotonic() < deadline:  # noqa: ASYNC110  # nobody tells
            await trio.sleep(POLL_SECONDS)
        return left


def clean_environment() -> dict[str, str]:
    """Ours, without what would configure a daemon from outside."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CALLBOARD_", "OPENAI_")) and name != MARK
    }


@contextlib.contextmanager
def daemon_process(
    home: Path, flags: Sequence[str] = (), *, environment: dict[str, str] | None = None
) -> Iterator[DaemonProcess]:
    """A started daemon for the length of a block; afterwards nothing of it may be left."""
    daemon = DaemonProcess(home, flags, environment=environment)
    try:
        daemon.start()
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()
        daemon.wait_until_gone()


# --- /proc ----------------------------------------------------------------------------------------------------------


def processes() -> list[int]:
    """All there are."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def of_thread(thread_id: str) -> list[str]:
    """Living processes that calls of that thread started, described."""
    return [describe(pid) for pid in processes() if _carries(pid, "CALLBOARD_THREAD_ID", thread_id)]


def _runs_scripts(pid: int, daemon: int) -> bool:
    """Whether that is the script engine of a daemon, or a worker of it: they carry its pid among their arguments."""
    arguments = _read(pid, "cmdline").split(b"\0")
    return ENGINE in b" ".join(arguments) and str(daemon).encode() in arguments and not _dead(pid)


def describe(pid: int) -> str:
    """For people: which process that is."""
    return f"{pid} ({_read(pid, 'cmdline').replace(bytes(1), b' ').decode(errors='replace').strip()[:200]})"


def resident_kb(pid: int) -> int:
    """Its memory."""
    for line in _read(pid, "status").splitlines():
        if line.startswith(b"VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"there is no process {pid}")


def _carries(pid: int, name: str, value: str) -> bool:
    return f"{name}={value}".encode() in _read(pid, "environ").split(b"\0") and not _dead(pid)


def _session(pid: int) -> int:
    fields = _stat(pid)
    return -1 if len(fields) < 4 or fields[0] in (b"Z", b"X") else int(fields[3])


def _dead(pid: int) -> bool:
    fields = _stat(pid)
    return not fields or fields[0] in (b"Z", b"X")


def _stat(pid: int) -> list[bytes]:
    """The fields after the name: state, parent, group, session..."""
    return _read(pid, "stat").rpartition(b") ")[2].split()


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it ended meanwhile, or is not ours to look at
