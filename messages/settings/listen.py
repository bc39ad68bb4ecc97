"""The door: `[listen]`."""

from __future__ import annotations

import msgspec


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The door."""

    address: str = "ws://127.0.0.1:4600"
    """Where clients connect: `ws://HOST:PORT`, `wss://HOST:PORT` (TLS) or `unix:///absolute/path`. `--listen` says
    otherwise for one run."""
    allowed_origins: tuple[str, ...] = ()
    """Browsers send an Origin; without an entry here they are refused."""
    allowed_hosts: tuple[str, ...] = ()
    """Names this machine goes by, where clients reach it by another than its address or `localhost`. A request for any
    other is refused: it may come from a page whose name was pointed here."""
    tls_certificate: str | None = None
    """For `wss://`: a PEM file with the certificate and what leads to its root; relative paths count from the home."""
    tls_key: str | None = None
    """Its private key, as PEM, readable by you alone."""
    auth: bool = True
    """For anything but loopback a capability token is always needed; False is refused there."""
    max_connections: int = 1000
    """Clients at once; more are answered with 503."""
    max_frame_bytes: int = 16 * 1024 * 1024
    """Of one message a client sends; a longer one ends its connection."""
    max_requests_in_flight: int = 128
    """Of one connection; more are refused until some are answered."""
    handshake_seconds: float = 10.0
    """From a connection's first byte to the end of its handshake."""
