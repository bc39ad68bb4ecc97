"""Where to listen, and whether that is safe. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec


class ListenRefusedError(Exception):
    """The address cannot be listened on as asked; the text says what to change."""


class ListenAddress(msgspec.Struct, frozen=True):
    """A TCP port for WebSockets, in the clear or under TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class UnixAddress(msgspec.Struct, frozen=True):
    """A socket file for WebSockets, for its owner only: its mode is the guard, so no token is asked."""

    path: str


MAX_SOCKET_PATH = 107
"""Bytes of a Unix socket's path: what `sockaddr_un` holds on Linux, without its closing zero."""


def parse_listen_address(text: str) -> ListenAddress | UnixAddress:
    """``ws://HOST:PORT``, ``wss://HOST:PORT`` or ``unix:///absolute/path``. Raises ListenRefusedError."""
    if text.startswith("unix://"):
        return _parse_unix_address(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ListenRefusedError(
            f"{text!r} is not an address to listen on ({error}); write ws://HOST:PORT or unix:///PATH"
        ) from error
    if parts.scheme not in ("ws", "wss") or not host or port is None or parts.path not in ("", "/") or parts.query:
        raise ListenRefusedError(f"{text!r} is not an address to listen on; write ws://HOST:PORT or unix:///PATH")
    return ListenAddress(host, port, tls=parts.scheme == "wss")


def _parse_unix_address(text: str) -> UnixAddress:
    path = text.removeprefix("unix://")
    if not path.startswith("/") or "\0" in path:
        raise ListenRefusedError(f"{text!r} names no socket file; write unix:///absolute/path")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ListenRefusedError(f"{path} is too long for a Unix socket: at most {MAX_SOCKET_PATH} bytes fit")
    return UnixAddress(path)


def check_listen_address(
    text: str, *, auth: bool, plaintext_allowed: bool, certificate: bool = False
) -> ListenAddress | UnixAddress:
    """The address, if listening there is safe. Raises ListenRefusedError.

    Whoever can connect can run commands. So beyond this machine a token is needed, and since it would be sent in the
    clear, TLS, or an explicit word that the way there is protected otherwise.
    """
    address = parse_listen_address(text)
    if isinstance(address, ListenAddress) and address.tls and not certificate:
        raise ListenRefusedError(
            f"cannot listen on {text} without a certificate: set listen.tls_certificate and listen.tls_key"
        )
    if isinstance(address, ListenAddress) and not address.loopback:
        if not auth:
            raise ListenRefusedError(
                f"refusing to listen on {text} without a token: other machines could run commands here. "
                "Remove --no-auth, or listen on ws://127.0.0.1"
            )
        if not address.tls and not plaintext_allowed:
            raise ListenRefusedError(
                f"refusing to listen on {text} in the clear: the token could be read on the way. "
                "Listen on wss:// with a certificate, on ws://127.0.0.1 behind a tunnel, or pass --insecure if the "
                "network is safe"
            )
    return address
