"""The kernel, as far as the os module does not reach; and children: listing, reaping, sweeping them."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would import enum: 10 ms of start-up
import ctypes
import os
import time

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x0002_0000, 0x1000_0000, 0x2000_0000
CLONE_FLAGS = {"pidns": CLONE_NEWPID | CLONE_NEWNS, "userns": CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS}
SYS_CLONE3 = 435
"""The same number on every architecture. Where a filter refuses clone3, it refuses namespaces as well."""

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_PRIVATE = 2, 4, 8, 1 << 18

SWEEP_STEP_SECONDS = 0.002
"""Between two looks at what a sweep has left: a killed process needs about this long to go."""

UNKILLABLE_SECONDS = 2.0
"""How long a sweep waits for processes it may not signal (setuid programs), before it reports them as left behind."""


class Kernel:
    """clone3, prctl and mount, through ctypes."""

    def __init__(self) -> None:
        self._libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL keeps the interpreter's lock: a fork must
        self._python = ctypes.pythonapi
        self._errno = ctypes.get_errno
        self._arguments = (ctypes.c_uint64 * 8)()  # struct clone_args, version 0
        self._arguments[4] = signal.SIGCHLD
        self._call = self._libc.syscall
        self._call.restype = ctypes.c_long

    def clone(self, flags: int) -> int:
        """fork() with namespaces: the child's pid, or 0 in the child. Raises OSError."""
        if not flags:
            return os.fork()
        self._arguments[0] = flags
        self._python.PyOS_BeforeFork()
        pid: int = self._call(SYS_CLONE3, self._arguments, 64)
        if pid == 0:
            self._python.PyOS_AfterFork_Child()
            return 0
        error = self._errno()
        self._python.PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(error, os.strerror(error))
        return pid

    def prctl(self, option: int, value: int | bytes) -> None:
        """Raises OSError."""
        if self._libc.prctl(option, value, 0, 0, 0) < 0:
            raise OSError(self._errno(), f"prctl {option}")

    def mount(self, kind: bytes | None, flags: int) -> None:
        """Mount on /proc, the only place we ever mount on. Raises OSError."""
        if self._libc.mount(kind or b"none", b"/proc", kind, flags, None) < 0:
            error = self._errno()
            raise OSError(error, os.strerror(error))


def wakeup_pipe() -> int:
    """Let the handled signals' numbers arrive as bytes on a pipe; its reading end."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # full: a SIGCHLD is in it already
    return reading


def children() -> tuple[int, ...]:
    """Our direct children, zombies included. They keep their numbers until we reap them, so killing them is exact."""
    try:
        with open("/proc/thread-self/children", "rb") as listing:
            return tuple(map(int, listing.read().split()))
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return tuple(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == os.getpid())


def parent_of(pid: int) -> int:
    """0 when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rsplit(b")", 1)[1].split()[1])
    except OSError:
        return 0


def kill_quietly(pid: int, number: int) -> bool:
    """Signal a child; False when we may not (it runs as somebody else)."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def reap() -> list[tuple[int, int]]:
    """Every child that has ended: (pid, wait status)."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def sweep(spared: frozenset[int]) -> int:
    """Kill all children but the spared, and theirs as we inherit them; how many we were not allowed to kill.

    Only direct children are ever signalled: their numbers cannot have been given to somebody else. As we are their
    subreaper, a killed one's children become ours, so that having none is proof that nothing is left.
    """
    deadline = 0.0
    while True:
        reap()
        left = [pid for pid in children() if pid not in spared]
        if not left:
            return 0
        refused = [pid for pid in left if not kill_quietly(pid, signal.SIGKILL)]
        if len(refused) < len(left):
            deadline = 0.0
        elif not deadline:
            deadline = time.monotonic() + UNKILLABLE_SECONDS
        elif time.monotonic() > deadline:
            return len(refused)
        time.sleep(SWEEP_STEP_SECONDS)
