"""Where the daemon's files are, and whether one is running.

A daemon that listens leaves ``$CALLBOARD_HOME/daemon.json``; it is believed only if that process still lives.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import msgspec

from actors.credentials import register
from actors.ports.production.files import SystemFiles
from messages.credentials import Login

DAEMON_FILE = "daemon.json"
TOKEN_FILE = "token"  # noqa: S105  # the name of a file, not a secret

OWNER_ONLY = 0o600


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon says of itself in its home."""

    pid: int
    address: str
    """``ws://HOST:PORT`` or ``unix:///PATH``, as bound."""
    started_at: float
    version: str
    token_required: bool = False
    token_file: str | None = None
    """Where its token is, if not in the home."""
    certificate: str | None = None
    """The PEM file with which it shows who it is, if it speaks TLS."""


def home() -> Path:
    """``$CALLBOARD_HOME``, by default ``~/.callboard``."""
    named = os.environ.get("CALLBOARD_HOME")
    return Path(named).expanduser().absolute() if named else Path.home() / ".callboard"


def running(folder: Path) -> Running | None:
    """The daemon of this home, if it lives."""
    try:
        found = msgspec.json.decode((folder / DAEMON_FILE).read_bytes(), type=Running)
        os.kill(found.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return found


def private(path: str, flags: int) -> int:
    """An ``opener`` of `open`: what is made is for its owner only."""
    return os.open(path, flags, OWNER_ONLY)


def certificate(folder: Path, address: str) -> str | None:
    """What to trust besides what the machine trusts, when connecting to ``address``: the daemon's own, of this home."""
    found = running(folder)
    return found.certificate if found is not None and found.address == address else None


def logins(folder: Path) -> tuple[Login, ...]:
    """Which logins there are, as the daemon's own register says; nothing secret is read."""
    found = running(folder)
    known = register.read(SystemFiles(), str(folder))
    return register.counting(known, math.inf if found is None else found.started_at)


def token(folder: Path) -> str | None:
    """What the daemon of this home wants to be shown: the token made on its first start, if we may read it."""
    found = running(folder)
    path = folder / TOKEN_FILE if found is None or found.token_file is None else Path(found.token_file)
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
