"""The door: `[listen]`."""

from __future__ import annotations

import msgspec


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The door."""

    address: str = "ws://127.0.0.1:4600"
    allowed_origins: tuple[str, ...] = ()
    """Browsers send an Origin; without an entry here they are refused."""
    auth: bool = True
    """For anything but loopback a capability token is always needed; False is refused there."""
    max_connections: int = 1000
    max_frame_bytes: int = 16 * 1024 * 1024
    max_requests_in_flight: int = 128
    handshake_seconds: float = 10.0
