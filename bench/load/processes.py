"""The processes under test, and what a process tree uses according to /proc.

CPU is what the kernel accounts in ticks of 10 ms, for the process, its descendants, and those it has waited for. Memory
is anonymous memory: shared libraries and page cache would blur what a thread costs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.001

DAEMON_FILE = "daemon.json"

DEBUGGABLE = ("-c", "features.debuggable=true")
"""So that its memory can be measured by whoever is not root."""

PROJECT = Path(__file__).parents[2]


class StartError(Exception):
    """A process did not come up; the text holds what it printed."""


@dataclass(kw_only=True)
class Server:
    """A running server: where it listens, and its process."""

    host: str
    port: int
    process: subprocess.Popen[bytes]
    home: Path
    spawned_at: float
    """time.perf_counter() when it was started."""

    @property
    def pid(self) -> int:
        return self.process.pid


class _DaemonFile(msgspec.Struct):
    pid: int
    address: str


@contextmanager
def model() -> Iterator[str]:
    """A rehearsal server in a process of its own; its base URL. Raises StartError."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load.model"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise StartError("the rehearsed model did not start; see above")
        yield url
    finally:
        stop(process)


def environment_of_a_user() -> dict[str, str]:
    """Ours, without what would change the daemon: its own variables, and those of Python that developers set.

    Compiled modules are kept, as after any first start, but not beside the sources.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CALLBOARD_", "OPENAI_", "PYTHON")) or name == "PYTHONPATH"
    }
    return {**kept, "PYTHONPYCACHEPREFIX": str(PROJECT / "bench" / "out" / "pycache")}


@contextmanager
def private_home() -> Iterator[Path]:
    """A temporary folder for a daemon's state, with ``work`` for its threads and an empty ``home``."""
    folder = Path(tempfile.mkdtemp(prefix="callboard-bench-"))
    try:
        for name in ("state", "work", "home"):
            (folder / name).mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def daemon(home: Path, model_url: str, *, command: Sequence[str] = ()) -> Iterator[Server]:
    """A daemon that asks the model at ``model_url``, until the end of the block. Raises StartError.

    ``command`` instead of our own daemon: an executable that reads PORT, MODEL_URL and BENCH_HOME.
    """
    port = _free_port() if command else 0
    environment = {
        **environment_of_a_user(),
        "HOME": str(home / "home"),
        "CALLBOARD_HOME": str(home / "state"),
        "PORT": str(port),
        "MODEL_URL": model_url,
        "BENCH_HOME": str(home),
    }
    ours = ["-m", "supervisors", "serve", "--listen", "ws://127.0.0.1:0", "--no-auth", *DEBUGGABLE]
    log = home / "daemon.log"
    with log.open("ab") as output:
        spawned_at = time.perf_counter()
        process = subprocess.Popen(
            command or [sys.executable, *ours, "--base-url", model_url, "--wire", "responses", "--model", "load"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=PROJECT,
            start_new_session=True,
        )
    try:
        host, port = _wait_for(process, home / "state" / DAEMON_FILE, log, port)
        yield Server(host=host, port=port, process=process, home=home, spawned_at=spawned_at)
    finally:
        stop(process)


def _wait_for(process: subprocess.Popen[bytes], file: Path, log: Path, port: int) -> tuple[str, int]:
    deadline = time.perf_counter() + START_SECONDS
    while time.perf_counter() < deadline and process.poll() is None:
        if not port:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found = msgspec.json.decode(file.read_bytes(), type=_DaemonFile)
                if found.pid == process.pid:
                    host, _, number = found.address.rpartition("//")[2].rstrip("/").rpartition(":")
                    return host, int(number)
        else:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return "127.0.0.1", port
        time.sleep(POLL_SECONDS)
    words = log.read_text(errors="replace").strip()[-2000:] or "it printed nothing"
    raise StartError(f"the daemon did not start (exit code {process.poll()}): {words}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for what does not listen."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        if process.poll() is None:
            process.kill()
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# --- /proc --------------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """CPU used by a process tree so far, the dead that were waited for included."""
    total = 0
    for each in _tree(pid):
        fields = _stat(each)
        if fields is not None:
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def anonymous_kb(pid: int) -> int:
    """Anonymous memory of a process tree."""
    total = 0
    for each in _tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Anonymous:"):
                    total += int(line.split()[1])
    return total


def resident_kb(pid: int) -> int:
    """Resident memory of one process."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024 if fields else 0


def busy_seconds() -> float:
    """CPU that the whole machine has used."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, soft, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + soft) / TICKS


def _stat(pid: int) -> list[str] | None:
    """The fields behind the process's name."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(name))
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    return tree
