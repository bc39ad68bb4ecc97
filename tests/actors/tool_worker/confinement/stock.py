"""Stands for a stock container: ``python stock.py CALLS… -- COMMAND`` runs a command that may not make namespaces.

What a container engine's default filter refuses to a container without privileges: namespaces by clone and unshare,
clone3 altogether, mounts; and each system call whose number is given.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from actors.tool_worker.confinement.seccomp import (
    ALLOW,
    ANY_BIT,
    ARCHITECTURES,
    ARGUMENTS_AT,
    CLONE3,
    ENOSYS,
    EPERM,
    EQUAL,
    LOAD,
    NUMBER_AT,
    RETURN,
    Instruction,
)

NEW_NAMESPACES = 0x7E02_0000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict(missing: list[int]) -> None:
    """Of this process and its children."""
    numbers = ARCHITECTURES[os.uname().machine]
    program: list[Instruction] = [(LOAD, 0, 0, NUMBER_AT)]
    for number in (CLONE3, *missing):
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ENOSYS)]
    for name in ("mount", "umount2", "setns"):
        program += [(EQUAL, 0, 1, numbers.refused[name]), (RETURN, 0, 0, EPERM)]
    for number in (numbers.clone, numbers.unshare):
        body: list[Instruction] = [(LOAD, 0, 0, ARGUMENTS_AT), (ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, EPERM)]
        program += [(EQUAL, 0, 4, number), *body, (RETURN, 0, 0, ALLOW)]
    program.append((RETURN, 0, 0, ALLOW))
    code = b"".join(struct.pack("<HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = _Program(len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(head), 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    split = sys.argv.index("--")
    restrict([int(number) for number in sys.argv[1:split]])
    os.execvp(sys.argv[split + 1], sys.argv[split + 1 :])
