"""Packets between the daemon, the launcher and the inits, and the specification of a call.

A packet is a SOCK_SEQPACKET message of ASCII words, kept whole by the kernel, with at most five descriptors. What may
be long (arguments, environment) is in a memfd beside it, which needs no copy through the launcher and has no limit but
the kernel's own.
"""

from __future__ import annotations

import _socket  # `socket` would import selectors and enum: 15 ms of start-up
import os
import sys

PROTOCOL = 1
"""Said in the hello, so that a daemon upgraded on disk under its launcher notices."""

PACKET_BYTES = 16_384
"""Longest packet: an error text with a path (4,096) in it, four times over."""

REQUEST_FDS = 5
"""With every spawn: the line, the specification (a memfd), and the tool's 0, 1 and 2."""

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
    argv: tuple[bytes, ...], cwd: bytes, environment: tuple[bytes, ...], *, terminal: bool
) -> bytes:
    """What the init reads from the memfd. No part may hold NUL (exec could not pass it on either)."""
    head = (b"terminal" if terminal else b"pipes", str(len(argv)).encode(), cwd)
    return b"\0".join((*head, *argv, *environment))


def decode_specification(data: bytes) -> tuple[bool, bytes, list[bytes], dict[bytes, bytes]]:
    """(terminal, cwd, argv, environment)."""
    kind, count, cwd, *words = data.split(b"\0")
    argv, environment = words[: int(count)], words[int(count) :]
    return kind == b"terminal", cwd, argv, dict(entry.split(b"=", 1) for entry in environment)
