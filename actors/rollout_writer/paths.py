"""Where rollouts are: ``<home>/sessions/YYYY/MM/DD/rollout-YYYY-MM-DDThh-mm-ss-<thread id>.jsonl``, in local time.

The same scheme as Codex uses, so that either can be pointed at the other's files. A thread id is a UUIDv7 and so tells
when it was made: the day to look in first, without any index.
"""

from __future__ import annotations

import posixpath
import re
from datetime import UTC, datetime, timedelta

from messages.base import ThreadId

SESSIONS = "sessions"
ARCHIVED = "archived_sessions"
"""Flat: archiving moves a file out of its day."""

HANDLES = ".handles"
"""In place of a rollout's ``.jsonl``."""

_NAME = re.compile(
    r"rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\.jsonl"
)


def rollout_path(home: str, created_at: float, thread_id: ThreadId) -> str:
    """The path of a new thread's rollout. ``created_at`` in unix seconds."""
    local = datetime.fromtimestamp(created_at, UTC).astimezone()
    second = local.isoformat(timespec="seconds")[:19].replace(":", "-")
    year, month, day = second[:4], second[5:7], second[8:10]
    return posixpath.join(home, SESSIONS, year, month, day, f"rollout-{second}-{thread_id}.jsonl")


def handles_folder(path: str) -> str:
    """Where the large values of a rollout's thread are kept (`handle_store`): beside it."""
    return f"{path.removesuffix('.jsonl')}{HANDLES}"


def rollout_of(folder: str) -> str | None:
    """The rollout whose handles are in this folder, by its name; None if it is no such folder's name."""
    path = f"{folder.removesuffix(HANDLES)}.jsonl"
    return path if folder.endswith(HANDLES) and thread_id_of(path) is not None else None


def thread_id_of(path: str) -> ThreadId | None:
    """The thread whose rollout this is, by its name; None if it is no rollout's name."""
    match = _NAME.fullmatch(posixpath.basename(path))
    return ThreadId(match.group(1)) if match else None


def likely_days(home: str, thread_id: ThreadId) -> tuple[str, ...]:
    """The directories a thread's rollout is most likely in, best first; empty if its id tells nothing.

    Three days, because the id's time is UTC, the directory's is local, and a clock may have been off by a little.
    """
    digits = thread_id.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return ()
    try:
        made = datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC).astimezone()
        days = [made, made - timedelta(days=1), made + timedelta(days=1)]
        return tuple(posixpath.join(home, SESSIONS, f"{day:%Y}", f"{day:%m}", f"{day:%d}") for day in days)
    except (ValueError, OverflowError, OSError):
        return ()
