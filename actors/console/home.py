"""Where the daemon's files are, and whether one is running.

A daemon that listens leaves ``$CALLBOARD_HOME/daemon.json``; it is believed only if that process still lives.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

DAEMON_FILE = "daemon.json"
TOKEN_FILE = "token"  # noqa: S105  # the name of a file, not a secret


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon says of itself in its home."""

    pid: int
    address: str
    """``ws://HOST:PORT``, as bound."""
    started_at: float
    version: str
    token_required: bool = False


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


def token(folder: Path) -> str | None:
    """The capability token made on the daemon's first start, if we may read it."""
    try:
        return (folder / TOKEN_FILE).read_text().strip() or None
    except OSError:
        return None
