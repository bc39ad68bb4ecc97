"""The first process of a container: PID 1 of one call.

It prepares the container, waits for its call, starts the tool in a session of its own, and then only reaps, forwards
signals to the tool's group, and ends with the tool; its end is the end of all that is left in the container.

A container in which nothing is left when its tool has ended, and which is as it was before, may be given another call
by its daemon: half of what a call costs is the making and the unmaking of its container. Whatever leaves something
behind, changes a mount or had to be confined for good is the last call of its container, as if there were no other.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would import enum: 10 ms of start-up
import _socket  # `socket` would import selectors and enum: 15 ms of start-up
import gc
import os
import select
import time

from .confine import FILTER_FD, Confinement
from .kernel import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    Kernel,
    group_members,
    kill_quietly,
    reap,
    sweep,
    wakeup_pipe,
)
from .wire import INIT_NAME, PACKET_BYTES, REQUEST_FDS, Socket, Specification, close_all, receive, send

DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked for when the environment has no PATH."""

ENOENT, EACCES, EINVAL = 2, 13, 22

CALLS_MAX = 100
"""Of one container: what a hundred calls may have left in an interpreter is not worth finding out."""

SETTLE_SECONDS = 0.1
"""After the end of bubblewrap, until what it has killed in its own namespace is gone; it takes under a millisecond."""

FIRST_PID = 1_000
"""Below it are numbers that scripts take for system processes."""

FORWARDED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM),
    *(signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH),
)
"""Sent to an init, they are meant for the tool; SIGKILL and SIGSTOP cannot be forwarded."""


class NotStartedError(Exception):
    """The tool could not be started: at which stage (container, sandbox, directory, program), and the errno."""

    def __init__(self, stage: str, error: OSError) -> None:
        super().__init__(stage, error)
        self.packet = f"failed {stage} {error.errno or 0}".encode()


class Init:
    """One init; a *probe* also tells the launcher whether the container could be prepared."""

    def __init__(
        self, kernel: Kernel, mechanism: str, *, control: Socket, launcher: int, owner: tuple[int, int], probe: bool
    ) -> None:
        self.kernel = kernel
        self.mechanism = mechanism
        self.control = control
        self.launcher = launcher
        self.owner = owner
        self.probe = probe
        self.wrapped = False
        """Whether what we start is bubblewrap, which then starts the tool: no signal of the tool's is for it."""
        self.confinement: Confinement | None = None
        self.steps: list[bytes] | None = None
        """Those of the first call; no other may be made here."""
        self.calls = 0
        self.mounts = select.poll()
        """Tells of each change to the mounts of this container."""

    def run(self) -> None:
        """The whole life; whoever called exits afterwards, which ends the container."""
        gc.disable()  # a collection would touch, and so copy, every page shared with the launcher
        self.keep_only(self.control.fileno(), self.launcher)
        wakeup = wakeup_pipe()
        trouble: NotStartedError | None = None
        own_proc = False
        try:
            own_proc = self.prepare()
        except OSError as error:
            trouble = NotStartedError("container", error)
        lasting = own_proc and self.mechanism != "subreaper"
        if lasting:
            self.mounts.register(os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC), select.POLLPRI)
        if self.probe:
            send(self.control, trouble.packet if trouble else b"ready %d" % own_proc)
        _, fds, _ = receive(self.control)  # waits here while it is the spare
        self.control.close()
        if len(fds) != REQUEST_FDS:
            return  # the launcher is gone, or had a better use for its time
        line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fds[0])
        call = fds[1:]
        while call and self.serve(line, call, wakeup, trouble, lasting=lasting):
            call = self.next_call(line, wakeup)

    def serve(
        self, line: Socket, call: tuple[int, ...], wakeup: int, trouble: NotStartedError | None, *, lasting: bool
    ) -> bool:
        """One call, from its specification and descriptors to the report of its end; whether there may be another."""
        self.calls += 1
        try:
            if trouble is not None:
                raise trouble
            tool = self.start(call[0], call[1:])
        except NotStartedError as error:
            send(line, error.packet)
            return False
        close_all(call)  # else the tool's output would stay open after the tool has closed it
        os.chdir("/")
        exit_code: int | None = None
        try:
            send(line, b"started %d" % tool)
            exit_code = self.watch(line, tool, wakeup)
        finally:  # also when the daemon has gone meanwhile
            left = sweep(frozenset()) if self.mechanism == "subreaper" else 0
        if exit_code is None:
            return False
        if lasting and self.calls < CALLS_MAX and self.is_as_before(wakeup):
            send(line, b"exited %d 0 vacant" % exit_code)
            return True
        send(line, b"exited %d %d" % (exit_code, left))
        return False

    def is_as_before(self, wakeup: int) -> bool:
        """Whether nothing is in the container but us, and nothing of it has changed. Exact, or False.

        A signal to all that we can see finds nobody: that is said by the kernel of the whole namespace, of processes
        that entered it from elsewhere too. (One that did so at this moment is ended with us, like any other.)
        """
        if not (self.steps == [] or self.wrapped):
            return False  # we have confined ourselves, for good
        if self.wrapped:
            poll, settled = select.poll(), time.monotonic() + SETTLE_SECONDS
            poll.register(wakeup, select.POLLIN)
            while not is_alone() and (seconds := settled - time.monotonic()) > 0:
                poll.poll(seconds * 1000)
                drain(wakeup)
                reap()
        return is_alone() and not self.mounts.poll(0)

    def next_call(self, line: Socket, wakeup: int) -> tuple[int, ...]:
        """Wait for another call: its descriptors, none when there is none."""
        poll = select.poll()
        for fd in (line.fileno(), self.launcher):
            poll.register(fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self.launcher in ready:
                return ()
            packet, fds, _ = receive(line)
            if packet != b"run" or len(fds) != REQUEST_FDS - 1:
                close_all(fds)
                if packet.startswith(b"signal"):
                    continue  # for the tool that has just ended
                return ()
            drain(wakeup)  # signals that came in between were for nobody
            return fds

    @staticmethod
    def keep_only(*kept: int) -> None:
        """Close what the launcher had open, above all its socket: its end must be the only one."""
        lowest = 3
        for fd in sorted(kept):
            os.closerange(lowest, fd)
            lowest = fd + 1
        os.closerange(lowest, 1 << 20)

    def prepare(self) -> bool:
        """Make the container whole; whether /proc shows it and nothing else. Raises OSError."""
        if self.mechanism == "userns":
            self.map_owner()
        self.kernel.prctl(PR_SET_NAME, INIT_NAME)
        if self.mechanism == "subreaper":
            self.kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
            # The launcher's death is seen on its pidfd, and what is left has to be swept, so dying at once would be
            # wrong. A tool may have stopped us, though (it runs as the same user): be woken.
            self.kernel.prctl(PR_SET_PDEATHSIG, signal.SIGCONT)
            return True
        self.kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the mapping: a change of credentials clears it
        try:
            self.kernel.mount(None, MS_PRIVATE)  # or the next mount would appear on the host as well
            self.kernel.mount(b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError:
            return False  # contained all the same; reported as a gap
        self.scatter_pids()
        return True

    def map_owner(self) -> None:
        """The same user inside as outside; nobody else exists (the kernel allows no more to the unprivileged)."""
        user, group = self.owner
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)

    @staticmethod
    def scatter_pids() -> None:
        """Begin at a random pid: with ``$$`` equal to 2 in every call, /tmp/x.$$ of two calls would be one file."""
        try:
            with open("/proc/sys/kernel/pid_max", "rb") as file:
                span = int(file.read()) // 2
            first = FIRST_PID + int.from_bytes(os.urandom(4), "big") % span
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(first))
        except OSError:
            pass  # a kernel without checkpoint/restore: small numbers, nothing worse

    def start(self, specification: int, stdio: tuple[int, ...]) -> int:
        """Start the tool in a session of its own, confined as it is specified; its pid. Raises NotStartedError.

        posix_spawn shares our memory until the exec has succeeded, so it costs no copy and tells the errno. What
        confines the tool, but for bubblewrap, confines us before.
        """
        wanted = Specification(os.pread(specification, os.fstat(specification).st_size, 0))
        actions: list[tuple[int, int, int] | tuple[int, int, bytes, int, int]]
        if wanted.terminal:  # the first terminal that a session leader opens becomes its controlling one
            name = os.fsencode(os.ttyname(stdio[0]))
            actions = [(os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0)]
            actions += [(os.POSIX_SPAWN_DUP2, 0, target) for target in (1, 2)]
        else:
            actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)]
        try:
            self.confine(wanted.steps)
        except OSError as error:
            raise NotStartedError("sandbox", error) from error
        if self.confinement is not None and self.confinement.filter_fd is not None:
            os.lseek(self.confinement.filter_fd, 0, os.SEEK_SET)  # the last one has read it
            actions.append((os.POSIX_SPAWN_DUP2, self.confinement.filter_fd, FILTER_FD))
        try:
            os.chdir(wanted.cwd)  # only now: a folder entered before it was pinned would be the one below
        except OSError as error:
            raise NotStartedError("directory", error) from error
        if wanted.program:
            find_program(wanted.program, wanted.environment)
        return spawn(wanted.argv, wanted.environment, actions)

    def confine(self, steps: list[bytes]) -> None:
        """Ourselves, by steps that all calls in this container have in common. Raises OSError."""
        if self.steps is not None:
            if self.steps != steps:
                raise OSError(EINVAL, "this container is for calls of another kind")
            return
        self.steps = steps
        if steps:
            self.confinement = Confinement(self.kernel, own_mounts=self.mechanism != "subreaper")
            self.confinement.apply(steps)
            self.wrapped = self.confinement.filter_fd is not None

    def watch(self, line: Socket, tool: int, wakeup: int) -> int | None:
        """Until the tool ends (its exit code, negative for a signal), or the daemon or the launcher has let go (None).

        Raises OSError when the daemon is gone.
        """
        poll = select.poll()
        for fd in (line.fileno(), wakeup, self.launcher):
            poll.register(fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self.launcher in ready:
                return None
            if wakeup in ready:
                for number in set(os.read(wakeup, 4096)) & set(FORWARDED):
                    self.signal_tool(tool, number)
                for pid, status in reap():
                    if pid == tool:
                        return os.waitstatus_to_exitcode(status)
            if line.fileno() in ready:
                word, *arguments = line.recv(PACKET_BYTES).split() or [b"closed"]
                if word == b"signal":
                    self.signal_tool(tool, int(arguments[0]))
                else:
                    return -signal.SIGKILL if word == b"end" else None

    def signal_tool(self, leader: int, number: int) -> None:
        """The tool's own group. It cannot be another's: the leader is our child, not yet reaped."""
        if not self.wrapped:
            signal_group(leader, number)
            return
        for pid in group_members(leader):  # bubblewrap would die of it, and take the tool along
            if pid != leader:
                kill_quietly(pid, number)


def is_alone() -> bool:
    """Whether no process but this one is in its PID namespace, a zombie neither."""
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def drain(pipe: int) -> None:
    """Forget what has been written to a pipe that does not block."""
    try:
        os.read(pipe, 4096)
    except BlockingIOError:
        return


def signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def spawn(
    argv: list[bytes],
    environment: dict[bytes, bytes],
    actions: list[tuple[int, int, int] | tuple[int, int, bytes, int, int]],
) -> int:
    """The pid of the program, once it executes. Raises NotStartedError."""
    failure: OSError | None = None
    for path in candidates(argv[0], environment):
        try:
            return os.posix_spawn(
                path,
                argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=signal.valid_signals(),
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.exists(path):  # it is there: what is missing is the program of its first line
                raise NotStartedError("interpreter", error) from error
            failure = failure or error
        except PermissionError as error:
            failure = error  # tell of the one that is there, as a shell does
        except OSError as error:
            failure = error
            break
    assert failure is not None
    raise NotStartedError("program", failure)


def find_program(program: bytes, environment: dict[bytes, bytes]) -> None:
    """Raises NotStartedError for what an exec would not find: bubblewrap could only say so in the tool's output."""
    refused: OSError = FileNotFoundError(ENOENT, os.strerror(ENOENT))
    for path in candidates(program, environment):
        if os.path.isfile(path):
            if os.access(path, os.X_OK):
                return
            refused = PermissionError(EACCES, os.strerror(EACCES))
    raise NotStartedError("program", refused)


def candidates(program: bytes, environment: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """Where the program may be, as execvp looks for it, in the PATH it is *given*; at least one."""
    if b"/" in program:
        return (program,)
    folders = environment.get(b"PATH", DEFAULT_PATH).split(b":")
    paths = tuple(os.path.join(folder or b".", program) for folder in folders)
    return tuple(path for path in paths if os.path.exists(path)) or paths[:1]
