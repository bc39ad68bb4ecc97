"""Packets between the daemon, the launcher and the inits, and the specification of a call.

A packet is a SOCK_SEQPACKET message of ASCII words, kept whole by the kernel, with at most five descriptors. What may
be long (arguments, environment) is in a memfd beside it, which needs no copy through the launcher and has no limit but
the kernel's own.
"""

from __future__ import annotations

import _socket  # `socket` would import selectors and enum: 15 ms of start-up
import os
import sys

PROTOCOL = 3
"""Said in the hello, so that a daemon upgraded on disk under its launcher notices."""

PACKET_BYTES = 16_384
"""Longest packet: an error text with a path (4,096) in it, four times over."""

REQUEST_FDS = 5
"""With every spawn: the line, the specification (a memfd), and the tool's 0, 1 and 2. Another call for a container that
is vacant is said on its line, with the last four."""

MECHANISMS = ("pidns", "userns", "subreaper")
"""Ways of containment, best first; `containment.py` says what each holds and what it does not."""

INIT_NAME = b"callboard-init"
"""What ps shows of an init (15 bytes at most)."""

EMFILE = 24
"""Not worth importing errno for."""

Socket = _socket.socket


def send(sock: Socket, packet: bytes, fds: tuple[int, ...] = ()) -> None:
    """One packet, with descriptors. Raises OSError."""
    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    sock.sendmsg([packet], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else [])


def receive(sock: Socket, *, flags: int = 0) -> tuple[bytes, tuple[int, ...], bool]:
    """One packet, its descriptors (close-on-exec), and whether some were lost because our table is full.

    An empty packet means that the other end is closed. Raises OSError.
    """
    packet, ancillary, message_flags, _ = sock.recvmsg(
        PACKET_BYTES, _socket.CMSG_SPACE(4 * REQUEST_FDS), flags | _socket.MSG_CMSG_CLOEXEC
    )
    fds: list[int] = []
    for level, kind, rights in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            whole = len(rights) - len(rights) % 4
            fds += [int.from_bytes(rights[i : i + 4], sys.byteorder) for i in range(0, whole, 4)]
    return packet, tuple(fds), bool(message_flags & _socket.MSG_CTRUNC)


def socket_pair() -> tuple[Socket, Socket]:
    """Two ends of a packet socket; close-on-exec, blocking."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def close_all(fds: tuple[int, ...]) -> None:
    for fd in set(fds):
        os.close(fd)


def encode_specification(
    argv: tuple[bytes, ...],
    cwd: bytes,
    environment: tuple[bytes, ...],
    *,
    terminal: bool,
    steps: tuple[bytes, ...] = (),
    program: bytes = b"",
) -> bytes:
    """What the init reads from the memfd. No part may hold NUL (exec could not pass it on either).

    ``steps`` confine it (`confine.py`); ``program`` is what has to exist when argv only leads to it.
    """
    head = (b"terminal" if terminal else b"pipes", b"%d %d" % (len(argv), len(steps)), cwd, program)
    return b"\0".join((*head, *argv, *steps, *environment))


class Specification:
    """What `encode_specification` was given."""

    __slots__ = ("argv", "cwd", "environment", "program", "steps", "terminal")

    def __init__(self, data: bytes) -> None:
        kind, counts, self.cwd, self.program, *words = data.split(b"\0")
        words_of_argv, steps = map(int, counts.split())
        self.terminal = kind == b"terminal"
        self.argv = words[:words_of_argv]
        self.steps = words[words_of_argv : words_of_argv + steps]
        self.environment = dict(entry.split(b"=", 1) for entry in words[words_of_argv + steps :])
