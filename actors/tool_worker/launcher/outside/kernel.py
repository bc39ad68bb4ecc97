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

SYS_LANDLOCK_CREATE = 444
"""Likewise."""

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER = 1, 15, 22, 36
SECCOMP_MODE_FILTER = 2
INSTRUCTION_BYTES = 8
"""Of a filter."""

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_PRIVATE = 2, 4, 8, 1 << 18

SWEEP_STEP_SECONDS = 0.002
"""Between two looks at what a sweep has left: a killed process needs about this long to go."""

UNKILLABLE_SECONDS = 2.0
"""How long a sweep waits for processes it may not signal (setuid programs), before it reports them as left behind."""


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Kernel:
    """clone3, prctl, mount and what a sandbox is made of, through ctypes."""

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
        """Mount on /proc. Raises OSError."""
        self.mount_at(kind or b"none", b"/proc", kind, flags, None)

    def mount_at(self, source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None) -> None:
        """mount(2). Raises OSError."""
        self._checked(self._libc.mount(source, target, kind, ctypes.c_ulong(flags), data))

    def call(self, number: int, *arguments: int | bytes) -> int:
        """A system call that has no function of its own yet. Raises OSError."""
        wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        return self._checked(self._call(ctypes.c_long(number), *wide))

    def restrict_calls(self, program: bytes) -> None:
        """A seccomp filter of this process and its children: whole instructions. Raises OSError."""
        code = ctypes.create_string_buffer(program, len(program))
        head = _Program(len(program) // INSTRUCTION_BYTES, ctypes.addressof(code))
        self._checked(self._libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(head), 0, 0))

    def capget(self, header: bytes, held: bytearray) -> None:
        """Fill ``held`` with our capabilities. Raises OSError."""
        self._checked(self._libc.capget(header, (ctypes.c_char * len(held)).from_buffer(held)))

    def capset(self, header: bytes, wanted: bytes) -> None:
        """Raises OSError."""
        self._checked(self._libc.capset(header, wanted))

    def landlock(self) -> int:
        """The version of Landlock, 0 without."""
        version: int = self._call(ctypes.c_long(SYS_LANDLOCK_CREATE), None, ctypes.c_long(0), ctypes.c_long(1))
        return max(version, 0)

    def _checked(self, result: int) -> int:
        if result < 0:
            error = self._errno()
            raise OSError(error, os.strerror(error))
        return result


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


def group_members(group: int) -> list[int]:
    """Every process of a process group that we can see."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    fields = stat.read().rsplit(b")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                members.append(int(name))
    return members


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
