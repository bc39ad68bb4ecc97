"""The zygote process: holds a hardened engine that has never run anybody's code, and forks a worker for each script.

One thread, one loop: requests from the daemon, ended children. A worker is confined before it says that it is ready,
runs one script, and ends. Nothing is ever sent from a worker back to the zygote.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket

from .checks import prepare
from .confinement import confine, die_with_parent, name_process
from .protocol import PACKET_BYTES, PROTOCOL
from .script import Script
from .wire import read_frame, write_frame

MAX_FD = 256
"""A zygote has a handful of descriptors; closing so many in a worker leaves none but its socket."""


WARM_UP = b"const a: number = 1"
"""Read once before the first fork, so that no worker has to set up the parser for itself."""


class Zygote:
    """Serves one daemon."""

    def __init__(self, daemon: socket.socket, cpu_seconds: int) -> None:
        self._daemon = daemon
        self._cpu_seconds = cpu_seconds
        self._workers: dict[int, int] = {}  # pid -> number
        self._script = Script()
        self._script.collect()
        prepare(WARM_UP, len(WARM_UP))

    def serve(self) -> None:
        """Until the daemon lets go."""
        wakeup, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.collect()
        gc.disable()
        gc.freeze()  # a collection would copy every page that is shared with the workers
        self._daemon.send(b"hello %d" % PROTOCOL)
        poll = select.poll()
        poll.register(self._daemon, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wakeup, 4096)
                self._bury()
            if self._daemon.fileno() in ready and not self._take_request():
                return

    def _take_request(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._daemon, PACKET_BYTES, 1)
        if not packet:
            return False
        number = int(packet.split()[1])
        try:
            self._fork(number, fds[0])
        except OSError as error:
            self._daemon.send(b"failed %d %d" % (number, error.errno or 0))
        finally:
            os.close(fds[0])
        return True

    def _fork(self, number: int, fd: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _work(fd, parent, self._script, self._cpu_seconds)
            except BaseException:  # nobody is left to be told, and nothing may return from here
                os._exit(70)
            os._exit(0)
        self._workers[pid] = number
        pidfd = os.pidfd_open(pid)
        try:
            socket.send_fds(self._daemon, [b"forked %d %d" % (number, pid)], [pidfd])
        finally:
            os.close(pidfd)

    def _bury(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._workers.pop(pid)
            self._daemon.send(b"gone %d %d" % (number, os.waitstatus_to_exitcode(status)))


def _work(fd: int, parent: int, script: Script, cpu_seconds: int) -> None:
    """In the child: its whole life."""
    die_with_parent(parent)
    name_process(b"callboard-scrpt")
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(fd, 0)
    os.closerange(1, MAX_FD)
    write_frame(0, json.dumps({"layers": confine(cpu_seconds=cpu_seconds)}).encode())
    frame = read_frame(0)
    if not frame:
        return  # a spare that nobody needed
    reply = script.start(frame)
    while True:
        write_frame(0, reply)
        frame = read_frame(0)
        if not frame:
            return
        reply = script.settle(frame)


def main(arguments: list[str]) -> None:
    """FD of the socket, pid of the daemon, CPU seconds of a script."""
    fd, parent, cpu_seconds = map(int, arguments)
    die_with_parent(parent)
    name_process(b"callboard-zygot")
    daemon = socket.socket(fileno=fd)
    os.set_inheritable(fd, False)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Zygote(daemon, cpu_seconds).serve()
