"""What a worker can still do when a script has taken it over: compute, read and write one socket, and end.

Applied by each worker to itself before it reads its script, from the weakest layer to the strongest:

    rlimits       address space, CPU, no files, no processes, no core
    identity      nobody's, where we are root
    no_new_privs  and not dumpable: no setuid program, no ptrace, no core, no /proc/PID of others' interest
    landlock      no path can be opened, no TCP port reached, no signal sent outside (what of it the kernel knows)
    seccomp       an allow-list of system calls; anything else kills the process

seccomp alone would do. Landlock is there in case the list is wrong, the limits in case both are.

No dependency: a few system calls through ctypes and a filter of some fifty instructions, written out below.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Callable

CPU_GRACE_SECONDS = 1
"""How much longer than the engine the kernel waits before it ends a native loop; it counts whole seconds."""

ADDRESS_SPACE_BYTES = 256 * 1024 * 1024
"""Interpreter, parser and engine map 25 MB before a script runs; its heap and one parse of its text come on top."""

OPEN_FILES = 1
"""The socket, which is open already."""

NOBODY = 65534
NICENESS = 5
"""Scripts compute when the daemon has nothing to do."""

Layers = dict[str, int]
"""What holds: a layer's version or 1; or, negative, the error that kept it from holding."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 15, 22, 38
_PR_GET_SECCOMP = 21
_SYS_LANDLOCK_CREATE_RULESET, _SYS_LANDLOCK_RESTRICT_SELF = 444, 446  # the same on every architecture
_LANDLOCK_CREATE_RULESET_VERSION = 1
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)


def confine(*, cpu_seconds: int) -> Layers:
    """Apply every layer to this process. Says which hold; raises nothing, for the daemon decides what is enough."""
    layers: Layers = {}
    steps: tuple[tuple[str, Callable[[], int]], ...] = (
        ("rlimits", lambda: limit_resources(cpu_seconds)),
        ("identity", become_nobody),
        ("no_new_privs", forgo_privileges),
        ("landlock", restrict_files),
        ("seccomp", restrict_calls),
    )
    for name, apply in steps:
        try:
            layers[name] = apply()
        except OSError as error:
            layers[name] = -(error.errno or errno.EIO)
    return layers


def lacking() -> tuple[str, ...]:
    """The required layers that this kernel certainly does not have. Asks, and changes nothing."""
    missing = []
    try:
        _syscall(_SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    except OSError:
        missing.append("landlock")
    try:
        filter_program(os.uname().machine)
    except OSError:
        missing.append("seccomp")
    else:
        if _libc.prctl(_PR_GET_SECCOMP, *(ctypes.c_ulong(0),) * 4) < 0:  # a kernel without it does not know the word
            missing.append("seccomp")
    return tuple(missing)


def die_with_parent(parent: int) -> None:
    """Be killed when ``parent`` ends. Ends this process if it has already. Undone by a change of identity."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def name_process(name: bytes) -> None:
    """What ps shows (15 bytes at most)."""
    _prctl(_PR_SET_NAME, name)


def limit_resources(cpu_seconds: int) -> int:
    """Raises OSError."""
    soft = cpu_seconds + CPU_GRACE_SECONDS
    for kind, value in (
        (resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)),
        (resource.RLIMIT_CPU, (soft, soft + 1)),  # SIGXCPU says what it was; SIGKILL follows
        (resource.RLIMIT_NOFILE, (OPEN_FILES + 1, OPEN_FILES + 1)),  # Landlock's own descriptor, for a moment
        (resource.RLIMIT_NPROC, (0, 0)),
        (resource.RLIMIT_FSIZE, (0, 0)),
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_MEMLOCK, (0, 0)),
        (resource.RLIMIT_MSGQUEUE, (0, 0)),
    ):
        try:
            resource.setrlimit(kind, value)
        except ValueError as error:  # above a hard limit that is lower still
            raise OSError(errno.EPERM, str(error)) from None
    os.nice(NICENESS)
    return 1


def become_nobody() -> int:
    """Root's worker gives root up; another user's has nothing to give. Raises OSError."""
    if os.geteuid() != 0:
        return 1
    parent = os.getppid()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    die_with_parent(parent)
    return 1


def forgo_privileges() -> int:
    """Raises OSError."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    return 1


# ── Landlock ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights to files each version knows; later ones 16."""
_NET_FROM, _SCOPES_FROM = 4, 6


def restrict_files() -> int:
    """Handle every right this kernel knows and grant none: the version. Raises OSError."""
    version = _syscall(_SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    rights = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("<Q", rights)
    if version >= _NET_FROM:
        attributes += struct.pack("<Q", 0b11)  # bind and connect of TCP
    if version >= _SCOPES_FROM:
        attributes += struct.pack("<Q", 0b11)  # abstract sockets, signals
    ruleset = _syscall(_SYS_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        _syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


# ── seccomp ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_KILL, _ALLOW = 0x8000_0000, 0x7FFF_0000  # SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data
_PROT_EXEC = 4
_X32_BIT = 0x4000_0000

SOCKET_FD = 0
"""The one descriptor a worker has."""

ARCHITECTURES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000_003E,
        {
            "read": 0,
            "write": 1,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigreturn": 15,
            "mremap": 25,
            "madvise": 28,
            "exit": 60,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "exit_group": 231,
            "getrandom": 318,
        },
    ),
    "aarch64": (
        0xC000_00B7,
        {
            "read": 63,
            "write": 64,
            "mmap": 222,
            "mprotect": 226,
            "munmap": 215,
            "brk": 214,
            "rt_sigreturn": 139,
            "mremap": 216,
            "madvise": 233,
            "exit": 93,
            "futex": 98,
            "restart_syscall": 128,
            "clock_gettime": 113,
            "exit_group": 94,
            "getrandom": 278,
        },
    ),
}
"""machine: AUDIT_ARCH value, and what a worker needs: its socket, memory, the clocks, and to end."""

_Instruction = tuple[int, int, int, int]


def filter_program(machine: str) -> tuple[_Instruction, ...]:
    """The filter as (code, jump if true, jump if false, operand). Raises OSError for a machine without a table."""
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    architecture, allowed = ARCHITECTURES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]

    def argument(index: int) -> _Instruction:
        return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)

    for name, number in allowed.items():
        match name:
            case "read" | "write":  # on the socket only
                program += [(_EQUAL, 0, 4, number), argument(0), (_EQUAL, 0, 1, SOCKET_FD)]
                program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _KILL)]
            case "mmap" | "mprotect":  # never executable
                program += [(_EQUAL, 0, 4, number), argument(2), (_ANY_BIT, 1, 0, _PROT_EXEC)]
                program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _KILL)]
            case _:
                program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    return (*program, (_RETURN, 0, 0, _KILL))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict_calls() -> int:
    """Raises OSError. Needs no_new_privs, or the filter of an ordinary user is refused."""
    program = filter_program(os.uname().machine)
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _Program(len(program), ctypes.cast(buffer, ctypes.c_void_p)))
    return 1


# ── system calls that Python does not have ───────────────────────────────────────────────────────────────────────────


def _prctl(option: int, value: int | bytes, third: _Program | None = None) -> None:
    argument: object = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    pointer = ctypes.byref(third) if third is not None else ctypes.c_ulong(0)
    if _libc.prctl(option, argument, pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        _raise()


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *converted)
    if result < 0:
        _raise()
    return result


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
