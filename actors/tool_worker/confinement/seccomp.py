"""The seccomp filter of a confined call: which system calls are refused, whatever the file system would say. Pure.

A list of what is refused, not of what is allowed: tools are arbitrary programs. It closes what the other layers leave
open: sockets (Landlock knows only TCP, a network namespace does not separate the sockets of the file system), new
namespaces (in one of its own a program gets rights back), io_uring (which does what a filter would have refused),
keyrings (which no namespace separates) and typing into a terminal from within (TIOCSTI).

Refused calls fail with EPERM, so that a program says "Operation not permitted"; clone3 with ENOSYS, because its
arguments are out of a filter's reach and the C library then uses clone. Programs of another architecture than the
daemon's (32-bit ones) are killed: their numbers mean something else.

Numbers: the kernel's tables arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

Sockets = Literal["none", "inet", "unix", "inet and unix", "all"]
"""Which families a call may open. `inet` is safe only in a network namespace of its own."""

FAMILIES: dict[Sockets, tuple[int, ...]] = {
    "none": (),
    "unix": (1,),
    "inet": (2, 10, 16),
    "inet and unix": (1, 2, 10, 16),
}
"""AF_UNIX; AF_INET, AF_INET6 and AF_NETLINK, which asks the kernel for addresses. `all` has no list."""

AF_UNIX = 1

EVERYWHERE: dict[str, int] = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
}
"""Refused, with the same number on every architecture."""


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of one machine."""

    audit: int
    """AUDIT_ARCH, as the kernel names it to a filter."""
    x32: bool
    """Whether the numbers of another ABI hide above 0x4000_0000."""
    refused: dict[str, int]
    socket: int
    socketpair: int
    clone: int
    unshare: int
    ioctl: int
    truncate: int
    opens: tuple[tuple[int, int], ...]
    """Calls that open a file, with the position of their flags."""


ARCHITECTURES: dict[str, Architecture] = {
    "x86_64": Architecture(
        audit=0xC000_003E,
        x32=True,
        refused={
            "pivot_root": 155,
            "mount": 165,
            "umount2": 166,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "perf_event_open": 298,
            "setns": 308,
            "bpf": 321,
            "userfaultfd": 323,
        },
        socket=41,
        socketpair=53,
        clone=56,
        unshare=272,
        ioctl=16,
        truncate=76,
        opens=((2, 1), (257, 2)),
    ),
    "aarch64": Architecture(
        audit=0xC000_00B7,
        x32=False,
        refused={
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "perf_event_open": 241,
            "setns": 268,
            "bpf": 280,
            "userfaultfd": 282,
        },
        socket=198,
        socketpair=199,
        clone=220,
        unshare=97,
        ioctl=29,
        truncate=45,
        opens=((56, 2),),
    ),
}

CLONE3, OPENAT2 = 435, 437
CLONE_NEWUSER = 0x1000_0000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
O_ACCMODE, O_TRUNC = 0o3, 0o1000
X32_BIT = 0x4000_0000

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38

LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
"""Offsets in struct seccomp_data; of an argument the lower half is looked at (both machines are little-endian)."""

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def filter_code(machine: str, sockets: Sockets, *, keep_sizes: bool = False) -> bytes:
    """The filter, as the kernel takes it. ``keep_sizes`` also refuses to cut a file that is not open for writing: for
    a Landlock that does not know of it. Raises LookupError for a machine without a table."""
    return b"".join(struct.pack("<HBBI", *each) for each in filter_program(machine, sockets, keep_sizes=keep_sizes))


def filter_program(machine: str, sockets: Sockets, *, keep_sizes: bool = False) -> tuple[Instruction, ...]:
    """The same as instructions."""
    numbers = ARCHITECTURES[machine]
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, numbers.audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if numbers.x32:
        program += [(AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, ENOSYS)]
    for number in (*EVERYWHERE.values(), *numbers.refused.values()):
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, EPERM)]
    program += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ENOSYS)]
    for number in (numbers.clone, numbers.unshare):
        program += _when(number, [_argument(0), (ANY_BIT, 0, 1, CLONE_NEWUSER), (RETURN, 0, 0, EPERM)])
    typing = [_argument(1), (EQUAL, 1, 0, TIOCSTI), (EQUAL, 0, 1, TIOCLINUX), (RETURN, 0, 0, EPERM)]
    program += _when(numbers.ioctl, typing)
    if sockets != "all":
        program += _when(numbers.socket, _only(FAMILIES[sockets]))
        program += _when(numbers.socketpair, _only((AF_UNIX,)))
    if keep_sizes:
        program += [(EQUAL, 0, 1, numbers.truncate), (RETURN, 0, 0, EPERM)]
        program += [(EQUAL, 0, 1, OPENAT2), (RETURN, 0, 0, ENOSYS)]
        for number, flags in numbers.opens:
            reading = [_argument(flags), (ANY_BIT, 0, 3, O_TRUNC), (AND, 0, 0, O_ACCMODE), (EQUAL, 0, 1, 0)]
            program += _when(number, [*reading, (RETURN, 0, 0, EPERM)])
    return (*program, (RETURN, 0, 0, ALLOW))


def _argument(index: int) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS_AT + 8 * index)


def _only(families: tuple[int, ...]) -> list[Instruction]:
    """Refuse any but these families."""
    checks = [(EQUAL, len(families) - index, 0, family) for index, family in enumerate(families)]
    return [_argument(0), *checks, (RETURN, 0, 0, EPERM)]


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """``body`` for one system call; a jump past its end allows the call."""
    return [(EQUAL, 0, len(body) + 1, number), *body, (RETURN, 0, 0, ALLOW)]
