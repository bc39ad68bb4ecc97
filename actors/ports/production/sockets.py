"""A connected, non-blocking socket as a byte stream, and a listening one.

Rejected: wrapping trio's own SocketStream. Its socket must be reached through a private attribute for a send that does
not wait, and each of its sends costs two context managers that one connection with one writer does not need.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from typing import Any

import trio

from actors.ports.network import ByteStream
from actors.ports.production.round_pass import RoundStream

RECEIVE_BYTES = 65536
"""The default of `receive_some`, as in trio: one recv call's worth."""

ACCEPT_BACKOFF_SECONDS = 0.1
"""With a full file table `accept` fails until somebody closes something; asking more often only burns CPU. The
connection waits in the backlog meanwhile. (trio's serve_listeners waits as long.)"""

_RESOURCES_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_PEER_GAVE_UP = frozenset(
    {
        # accept(2): Linux passes errors already pending on the new socket through accept; they say nothing of ours.
        errno.ECONNABORTED,
        errno.ENETDOWN,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
        errno.EPERM,  # a firewall rule forbids the connection
        *((errno.ENONET,) if hasattr(errno, "ENONET") else ()),
    }
)


_CREDENTIALS = struct.Struct("3i")
"""``struct ucred``: process, user and group."""

DRAIN_READS = 16
"""See `drain`: a megabyte, far more than a peer sends that is being said goodbye to."""


def drain(stream: ByteStream) -> None:
    """Throw away what has come. Closing a TCP socket with unread data resets the connection, and then the kernel drops
    what we sent last and the peer has not read yet (RFC 1122 §4.2.2.13)."""
    with contextlib.suppress(trio.BrokenResourceError):
        for _ in range(DRAIN_READS):
            if not stream.try_receive(RECEIVE_BYTES):
                return


class SocketStream(RoundStream):
    """One connected socket. One sender and one receiver at a time, as everywhere in trio."""

    def __init__(self, sock: socket.socket, *, peer: str = "") -> None:
        sock.setblocking(False)
        self.peer = peer
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._descriptor = sock.fileno()
        self._sending = False

    def __repr__(self) -> str:
        state = "closed" if self._descriptor < 0 else f"fd {self._descriptor}"
        return f"<SocketStream {state}>"

    def fileno(self) -> int:
        return self._descriptor

    def has_pending(self) -> bool:
        return False  # a socket shows all that it has

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._stream_error(error) from error

    def try_receive(self, max_bytes: int) -> bytes | None:
        try:
            return self._socket.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._stream_error(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            waited = False
            with memoryview(data) as view, view.cast("B") as rest:
                sent = 0
                while sent < len(rest):
                    taken = self.try_send(rest[sent:])
                    sent += taken
                    if taken == 0:
                        waited = True
                        await self.wait_writable()
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while (data := self.try_receive(RECEIVE_BYTES if max_bytes is None else max_bytes)) is None:
            waited = True
            await trio.lowlevel.wait_readable(self._open_descriptor())
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._open_descriptor())

    async def wait_send_all_might_not_block(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await self.wait_writable()

    def close_now(self) -> None:
        if self._descriptor < 0:
            return
        self.leave_rounds()
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(self._descriptor)
        self._descriptor = -1
        with contextlib.suppress(OSError):  # close(2) releases the descriptor whatever it says
            self._socket.close()

    async def aclose(self) -> None:
        if self._descriptor >= 0:
            drain(self)
            self.close_now()
        await trio.lowlevel.checkpoint()

    def _open_descriptor(self) -> int:
        if self._descriptor < 0:
            raise trio.ClosedResourceError("this stream was closed by this side")
        return self._descriptor

    def _stream_error(self, error: OSError) -> Exception:
        if self._descriptor < 0:
            return trio.ClosedResourceError("this stream was closed by this side")
        return trio.BrokenResourceError(f"the connection broke: {error.strerror or error}")


class SocketListener:
    """A listening socket (the `Listener` of the port)."""

    def __init__(self, sock: socket.socket, *, unlink: str | None = None) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._descriptor = sock.fileno()
        self._unlink = unlink
        self._unlink_identity = _identity(unlink) if unlink is not None else None
        self._address = printable_address(sock)

    @property
    def address(self) -> str:
        return self._address

    async def accept(self) -> SocketStream:
        """Raises trio.ClosedResourceError once closed."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._descriptor < 0:
                raise trio.ClosedResourceError("this listener is closed")
            try:
                connection, address = self._socket.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._descriptor)
            except OSError as error:
                if error.errno in _RESOURCES_EXHAUSTED:
                    await trio.sleep(ACCEPT_BACKOFF_SECONDS)
                elif error.errno not in _PEER_GAVE_UP:
                    raise
            else:
                try:
                    return SocketStream(connection, peer=_peer(connection, address))
                except OSError:  # reset between accept and setsockopt
                    connection.close()

    async def aclose(self) -> None:
        if self._descriptor >= 0:
            trio.lowlevel.notify_closing(self._descriptor)
            self._descriptor = -1
            self._socket.close()
            # Only our own file: a successor may have put its socket in the same place already.
            if self._unlink is not None and _identity(self._unlink) == self._unlink_identity:
                with contextlib.suppress(OSError):
                    os.unlink(self._unlink)
        await trio.lowlevel.checkpoint()


def printable_address(sock: socket.socket) -> str:
    """``HOST:PORT``, ``[HOST]:PORT`` for IPv6, or the path of a Unix socket."""
    return _printable(sock.family, sock.getsockname())


def _printable(family: int, name: Any) -> str:
    if family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    if family == socket.AF_INET:
        return f"{name[0]}:{name[1]}"
    return str(name)


def _peer(sock: socket.socket, address: Any) -> str:
    """Of a Unix socket the process that connected, as the kernel noted it then (unix(7), SO_PEERCRED)."""
    if sock.family != socket.AF_UNIX:
        return _printable(sock.family, address)
    if not hasattr(socket, "SO_PEERCRED"):
        return ""
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return f"pid {pid} uid {uid}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
