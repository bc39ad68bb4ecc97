"""What daemon, zygote and worker say to one another. Pure: all of them import it.

Packets between daemon and zygote (SOCK_SEQPACKET, ASCII words): ``hello PROTOCOL`` · ``fork N`` with the worker's
end of a socket · ``forked N PID`` with a pidfd · ``failed N ERRNO`` · ``gone N STATUS``.

Frames between daemon and worker (a stream): four bytes of length, little-endian, and that many bytes of JSON; the first
one to a worker is `encode_start`'s. A worker speaks once when it is ready, and then once for each frame it is given:

    {"state": "running" | "returned" | "threw" | "exceeded" | "refused", "outcome": …, "asked": […]}

The engine writes this text and the worker passes it on unread, so `sandbox_pool/frames.py` trusts none of it.
"""

from __future__ import annotations

import struct

PROTOCOL = 1
"""Said in the hello, so that a daemon upgraded on disk under its zygote notices."""

REQUIRED = ("rlimits", "no_new_privs", "landlock", "seccomp")
"""Layers of confinement without any of which scripts are not enabled, unless somebody says so."""

PACKET_BYTES = 256
LENGTH = struct.Struct("<I")

REQUEST_BYTES = 64 * 1024 * 1024
"""Longest frame to a worker: a pump of eight full results is 8 MB, and JSON in JSON doubles it at worst."""

PRELUDE_LINE = 30_000
"""The prelude's frames have line numbers above this, so that they are not taken for the script's."""

PREFIX = "(async (tools, context) => { 'use strict';\n"
PREFIX_LINES = 1
"""In front of the script, on a line of its own: what the engine says of a text's first line has columns that are one
too small in places, and on all other lines they are right."""

HEADER = struct.Struct("<IIIII")
"""Of the first frame: CPU in milliseconds; bytes of memory, of stack, of source allowed, and of the configuration."""


def encode_start(
    config: bytes, source: bytes, *, cpu_seconds: float, memory: int, stack: int, source_bytes: int
) -> bytes:
    """The first frame to a worker: what it may use, the prelude's configuration (JSON), the script."""
    head = HEADER.pack(int(cpu_seconds * 1000), memory, stack, source_bytes, len(config))
    return head + config + source
