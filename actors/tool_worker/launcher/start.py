"""Start the launcher.

Where it is started from matters: its parent-death signal fires when the *thread* that made it ends, and trio's worker
threads end after ten idle seconds. So it is started from the main thread before `trio.run`, or from a task of the
running loop (whose thread outlives all its tasks); a worker thread is refused.

Its environment is empty: the daemon's keys are not to be found in /proc/PID/environ of any init.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import trio

from actors.ports.processes import LauncherLostError
from actors.tool_worker.launcher.containment import ContainmentReport, Mechanism, explain_refusals, read_hello
from actors.tool_worker.launcher.outside import wire

START_SECONDS = 5.0
"""Until a new launcher must have said hello; it takes 20–40 ms, on an overloaded machine some tenths of a second."""

EXIT_SECONDS = 2.0
"""Until a launcher that was let go must have ended; then it is killed. It takes a millisecond."""

BOOT = "import sys; sys.path.append(sys.argv[1]); from outside.main import main; main(sys.argv[2:])"
"""Imported, not run as a script: a script is compiled at each start (11 ms), a module once."""

KEPT_VARIABLES = ("LD_LIBRARY_PATH",)
"""Some Python builds do not find their own library without it."""


class LauncherHandle:
    """A started launcher, not yet spoken to: its process and our end of its socket. Belongs to one owner."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        link: socket.socket,
        *,
        force: Mechanism | None,
        prefix: tuple[str, ...],
    ) -> None:
        self.process = process
        self.socket = link
        self.pidfd = os.pidfd_open(process.pid)
        self._force = force
        self._prefix = prefix

    @property
    def pid(self) -> int:
        return self.process.pid

    def start_another(self) -> LauncherHandle:
        """One like this, to replace it. Raises as `start_launcher` does."""
        return start_launcher(force=self._force, prefix=self._prefix)

    def is_gone(self) -> bool:
        """Whether its process has ended, whatever we have read of its socket so far."""
        return self.pidfd < 0 or readable(self.pidfd, 0)

    def kill(self) -> None:
        """At once, with all its calls."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def let_go(self) -> None:
        """Close the socket: the launcher ends, and all its calls with it. May be called twice."""
        self.socket.close()

    def release(self) -> None:
        """Reap it and close the rest, when it has ended or its time is over. Does not wait long."""
        self.let_go()
        if self.pidfd >= 0:
            try:
                self.process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                self.process.wait()
            os.close(self.pidfd)
            self.pidfd = -1


def start_launcher(*, force: Mechanism | None = None, prefix: tuple[str, ...] = ()) -> LauncherHandle:
    """Start one and return without waiting for its hello.

    ``force`` takes one mechanism of containment instead of the best that works; ``prefix`` is put before the command
    (``nice``, ``setpriv`` …; it must exec). Raises OSError, or RuntimeError when called from a worker thread.
    """
    if threading.current_thread() is not threading.main_thread() and not trio.lowlevel.in_trio_run():
        raise RuntimeError("start the launcher from the main thread or from a trio task: it dies with its thread")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        folder = Path(__file__).resolve().parent
        process = subprocess.Popen(
            (
                *prefix,
                sys.executable,
                "-I",
                "-S",
                "-c",
                BOOT,
                folder,
                str(theirs.fileno()),
                str(os.getpid()),
                force or "auto",
            ),
            cwd="/",
            env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # a Ctrl-C in the daemon's terminal is the daemon's business
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return LauncherHandle(process, ours, force=force, prefix=prefix)


def understand_hello(packet: bytes) -> ContainmentReport:
    """The launcher's first words. Raises LauncherLostError when it has none, or cannot work."""
    match packet.decode().split():
        case ["hello", protocol, *words] if int(protocol) == wire.PROTOCOL:
            return read_hello(tuple(words))
        case ["hello", *_]:
            raise LauncherLostError("the launcher is of another version than the daemon: restart the daemon")
        case ["hopeless", *words]:
            raise LauncherLostError(f"no container can be made here ({', '.join(explain_refusals(tuple(words)))})")
        case _:
            raise LauncherLostError("the launcher ended while starting; its standard error says why")


def containment_report(*, force: Mechanism | None = None) -> ContainmentReport:
    """Try out which mechanism holds here: starts a launcher and ends it. Blocks for some hundredths of a second.

    Raises LauncherLostError when none works, OSError when none can be started.
    """
    handle = start_launcher(force=force)
    try:
        if not readable(handle.socket.fileno(), START_SECONDS):
            raise LauncherLostError(f"the launcher said nothing for {START_SECONDS:g} s")
        return understand_hello(handle.socket.recv(wire.PACKET_BYTES))
    finally:
        handle.release()


def readable(fd: int, seconds: float) -> bool:
    """Whether there is something to read, waiting so long for it. Blocks."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
