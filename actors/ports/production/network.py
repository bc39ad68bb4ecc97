"""TCP and Unix sockets of the operating system."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
import stat

import trio

from actors.ports.network import ByteStream
from actors.ports.production.round_pass import FailureHook, RoundBase, log_failure
from actors.ports.production.rounds import best_rounds
from actors.ports.production.sockets import SocketListener, SocketStream
from actors.ports.production.tls import TlsStream

BACKLOG = 1024
"""Connections that wait to be accepted. A reconnect storm of all clients at once should fit; the kernel caps it at
net.core.somaxconn (4096 since Linux 5.4)."""


class SocketNetwork:
    """The `Network` port on real sockets."""

    def __init__(self, rounds: RoundBase | None = None, *, on_failure: FailureHook = log_failure) -> None:
        self._rounds = best_rounds(on_failure) if rounds is None else rounds

    @property
    def rounds(self) -> RoundBase:
        return self._rounds

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_hostname: str | None = None
    ) -> ByteStream:
        """See `actors.ports.network.Network`. TLS failures are ssl.SSLError (an OSError)."""
        stream = await (_connect_address(host, port) if _is_address(host) else _connect_name(host, port))
        if tls is None:
            return stream
        try:
            return await TlsStream.wrap(stream, tls, server_hostname=server_hostname or host)
        except trio.BrokenResourceError as error:
            raise ConnectionResetError(
                errno.ECONNRESET, f"{host}:{port} closed the connection during the TLS handshake"
            ) from error

    async def secure(self, stream: ByteStream, tls: ssl.SSLContext) -> ByteStream:
        """See `actors.ports.network.Network`."""
        return await TlsStream.wrap(stream, tls, server_side=True)

    async def connect_unix(self, path: str) -> SocketStream:
        """Raises OSError."""
        return await _connect(socket.AF_UNIX, path)

    async def listen(self, host: str, port: int, *, backlog: int | None = None) -> SocketListener:
        """See `actors.ports.network.Network`. A name with several addresses is bound at the first that works."""
        candidates = await trio.socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        refusal: OSError | None = None
        for family, kind, protocol, _, address in candidates:
            try:
                return _listening(socket.socket(family, kind, protocol), address, backlog)
            except OSError as error:
                refusal = refusal or error
        assert refusal is not None, "getaddrinfo gives an address or raises"
        raise refusal

    async def listen_unix(self, path: str, *, mode: int = 0o600) -> SocketListener:
        """See `actors.ports.network.Network`."""
        if await self._is_dead_socket(path):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The file is born with the mode of the socket's own inode (Linux; elsewhere the chmod is all there is), so
            # that there is no moment in which others could connect. The process's umask is left alone: threads use it.
            os.fchmod(sock.fileno(), mode)
            sock.bind(path)
            os.chmod(path, mode)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise _worded(error, f"cannot listen on {path}") from error
        return SocketListener(sock, unlink=path)

    async def _is_dead_socket(self, path: str) -> bool:
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                return False  # somebody's file: let bind refuse
        except FileNotFoundError:
            return False
        try:
            (await self.connect_unix(path)).close_now()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def _listening(sock: socket.socket, address: tuple[object, ...], backlog: int | None) -> SocketListener:
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG if backlog is None else backlog)
        return SocketListener(sock)
    except OSError as error:
        sock.close()
        raise _worded(error, f"cannot listen on {address[0]}:{address[1]}") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _connect_address(host: str, port: int) -> SocketStream:
    """No name to look up and nothing to race: a third of the price of happy eyeballs."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return await _connect(family, (host, port))


async def _connect_name(host: str, port: int) -> SocketStream:
    stream = await trio.open_tcp_stream(host, port)
    family, kind, protocol = stream.socket.family, stream.socket.type, stream.socket.proto
    return SocketStream(socket.socket(family, kind, protocol, fileno=stream.socket.detach()))


async def _connect(family: socket.AddressFamily, address: str | tuple[str, int]) -> SocketStream:
    await trio.lowlevel.checkpoint_if_cancelled()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(address)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number)) from None
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return SocketStream(sock)
    except OSError as error:
        sock.close()
        raise _worded(error, f"cannot connect to {_text(address)}") from error
    except BaseException:
        sock.close()
        raise


def _worded(error: OSError, what: str) -> OSError:
    """The same error (errno picks the subclass again) with what was attempted in its text."""
    return OSError(error.errno, f"{what}: {error.strerror or error}")


def _text(address: str | tuple[str, int]) -> str:
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"
