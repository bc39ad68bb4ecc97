"""The launcher process: makes inits and reaps them, in one loop.

Requests are served in the order of their arrival; each costs one hand-over to an init, so a thousand at once wait for
forks only, never for a tool.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would import enum: 10 ms of start-up
import _socket  # `socket` would import selectors and enum: 15 ms of start-up
import gc
import os
import select
import sys

from .init import FORWARDED, Init
from .kernel import (
    CLONE_FLAGS,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    SWEEP_STEP_SECONDS,
    Kernel,
    children,
    kill_quietly,
    reap,
    sweep,
    wakeup_pipe,
)
from .wire import EMFILE, MECHANISMS, PROTOCOL, REQUEST_FDS, Socket, close_all, receive, send, socket_pair

SPARE_DELAY_SECONDS = 0.003
"""The next spare is made when nothing was asked for so long: made at once, it takes the processor from the tool that is
just being started (measured on two busy cores: 4 ms instead of 2.3 ms until the tool runs)."""


class Spare:
    """An init that waits for its call: its pid, and our end of its control socket."""

    __slots__ = ("control", "pid")

    def __init__(self, pid: int, control: Socket) -> None:
        self.pid = pid
        self.control = control


class Launcher:
    """Requests from the daemon, ended inits, and a spare when there is nothing else to do."""

    def __init__(self, daemon: Socket) -> None:
        self.daemon = daemon
        self.kernel = Kernel()
        self.pidfd = os.pidfd_open(os.getpid())
        self.wakeup = -1
        self.mechanism = MECHANISMS[-1]
        self.owner = (os.geteuid(), os.getegid())
        self.calls: dict[int, tuple[int, str]] = {}
        self.spare: Spare | None = None
        self.wants_spare = True
        self.orphaned: list[int] = []

    def run(self, parent: int, forced: str) -> None:
        """Until the daemon lets go."""
        self.kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return  # it died before we could ask to be told
        self.kernel.prctl(PR_SET_NAME, b"callboard-launch")
        self.kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever the embedding program had blocked
        for number in (*FORWARDED, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the inits inherit this; the wakeup pipe does the work
        self.wakeup = wakeup_pipe()
        gc.freeze()
        try:
            if self.choose(forced):
                self.serve()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon was killed while we spoke to it
        if self.orphaned:
            sweep(frozenset(self.calls))

    def choose(self, forced: str) -> bool:
        """Take the best mechanism that works here, by making the first spare with it, and say so. False: none does."""
        refusals = []
        for mechanism in (forced,) if forced else MECHANISMS:
            try:
                spare = self.bear(mechanism, probe=True)
            except OSError as error:
                refusals.append(f"{mechanism} {error.errno}")
                continue
            word, value, *rest = receive(spare.control)[0].split() or [b"failed", b"container", b"0"]
            if word == b"ready":
                self.mechanism, self.spare = mechanism, spare
                abi = str(self.kernel.landlock())
                words = ["hello", str(PROTOCOL), mechanism, value.decode(), abi, *refusals]
                send(self.daemon, " ".join(words).encode())
                return True
            refusals.append(f"{mechanism} {rest[0].decode()}")
            spare.control.close()
        send(self.daemon, " ".join(["hopeless", *refusals]).encode())
        return False

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self.daemon.fileno(), select.POLLIN)
        poll.register(self.wakeup, select.POLLIN)
        while True:
            idle = self.spare is None and self.wants_spare
            seconds = SWEEP_STEP_SECONDS if self.orphaned else SPARE_DELAY_SECONDS if idle else None
            ready = {fd for fd, _ in poll.poll(None if seconds is None else seconds * 1000)}
            if self.daemon.fileno() in ready and not self.take_request():
                return
            if self.wakeup in ready:
                if signal.SIGTERM in os.read(self.wakeup, 4096):
                    return
                self.bury()
            if self.orphaned:
                self.sweep_orphans()
            if idle and not ready:
                self.prepare_spare()

    def bear(self, mechanism: str, *, probe: bool = False) -> Spare:
        """A new init; as a probe it says whether its container could be prepared. Raises OSError."""
        ours, theirs = socket_pair()
        try:
            pid = self.kernel.clone(CLONE_FLAGS.get(mechanism, 0))
            if pid == 0:
                try:
                    self.become_init(mechanism, theirs, probe=probe)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # whoever we spoke to was killed
                except BaseException:
                    sys.excepthook(*sys.exc_info())  # on the daemon's stderr: this is a bug of ours
                finally:
                    os._exit(0)  # never back into the launcher's loop
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.calls[pid] = (0, mechanism)
        return Spare(pid, ours)

    def become_init(self, mechanism: str, control: Socket, *, probe: bool) -> None:
        """In the child: its whole life."""
        launcher, owner = self.pidfd, self.owner
        Init(self.kernel, mechanism, control=control, launcher=launcher, owner=owner, probe=probe).run()

    def prepare_spare(self) -> None:
        try:
            self.spare = self.bear(self.mechanism)
        except OSError:
            self.wants_spare = False  # the next request will tell why; until then do not spin

    def take_request(self) -> bool:
        """Serve one packet; False when the daemon is gone."""
        packet, fds, truncated = receive(self.daemon)
        if not packet:
            return False
        _, call, wanted = packet.split()
        number = int(call)
        try:
            if truncated or len(fds) != REQUEST_FDS:
                send(self.daemon, b"refused %d %d" % (number, EMFILE))  # our table is full
            else:
                self.launch(number, wanted.decode() if wanted != b"default" else self.mechanism, fds)
        except OSError as error:
            send(self.daemon, b"refused %d %d" % (number, error.errno or 0))
        finally:
            close_all(fds)
        self.wants_spare = True
        return True

    def launch(self, call: int, mechanism: str, fds: tuple[int, ...]) -> None:
        """Give the call to an init, then tell the daemon which. Raises OSError."""
        init, self.spare = (self.spare, None) if mechanism == self.mechanism else (None, self.spare)
        init = init or self.bear(mechanism)
        pidfd = -1
        try:
            pidfd = os.pidfd_open(init.pid)  # not reaped yet, so it is still its own
            self.calls[init.pid] = (call, mechanism)
            send(init.control, b"run", fds)
            send(self.daemon, b"spawned %d %d %s" % (call, init.pid, mechanism.encode()), (pidfd,))
        finally:
            init.control.close()
            if pidfd >= 0:
                os.close(pidfd)

    def bury(self) -> None:
        """Reap inits. Without a namespace, the children of one that was killed are ours now."""
        for pid, _ in reap():
            call, mechanism = self.calls.pop(pid, (0, ""))
            if self.spare is not None and self.spare.pid == pid:
                self.spare.control.close()
                self.spare = None
            elif call and mechanism == "subreaper":
                self.orphaned.append(call)

    def sweep_orphans(self) -> None:
        """Kill what killed wrappers left us; tell the daemon when nothing is left of them."""
        strangers = [pid for pid in children() if pid not in self.calls]
        killed = [pid for pid in strangers if kill_quietly(pid, signal.SIGKILL)]
        if killed:
            return  # look again soon: theirs are ours next
        for call in self.orphaned:
            send(self.daemon, b"gone %d %d" % (call, len(strangers)))
        self.orphaned.clear()


def main(arguments: list[str]) -> None:
    """FD of the socket, pid of the daemon, and a mechanism or ``auto``."""
    socket_fd, parent, mechanism = arguments
    daemon = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, int(socket_fd))
    os.set_inheritable(daemon.fileno(), False)
    Launcher(daemon).run(int(parent), "" if mechanism == "auto" else mechanism)


if __name__ == "__main__":
    main(sys.argv[1:])
