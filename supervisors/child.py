"""How a supervisor is told about a child."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from actors.kernel import Start
from supervisors.strategy import Restart

SHUTDOWN_SECONDS = 5.0
"""OTP's default for a worker: time to finish a write or close a connection, short enough for a person to wait."""

CANCEL_GRACE_SECONDS = 5.0
"""After it was cancelled a child only runs its ``finally`` blocks; longer than this it is stuck, and reported so."""


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One child: how it is started, and what to do when it ends."""

    id: str
    """Unique among its siblings; its name in the tree."""
    start: Start[Any]
    """Called for each life. It must call ``task_status.started(...)`` or raise; see `actors.kernel.Start`."""
    restart: Restart = "permanent"
    shutdown: float = SHUTDOWN_SECONDS
    """Seconds between asking it to end and cancelling it. 0 cancels at once; math.inf, for a child that is itself a
    supervisor, gives it the time its own children take."""
    significant: bool = False
    """See `AutoShutdown`. A permanent child never ends normally, so it cannot be significant."""
    kind: str = "worker"
    """For the tree only."""

    def __post_init__(self) -> None:
        if not self.id or "/" in self.id:
            raise ValueError(f"a child's id names it in a path, so it is not empty and has no '/': {self.id!r}")
        if self.shutdown < 0 or math.isnan(self.shutdown):
            raise ValueError(f"child {self.id!r}: shutdown is a number of seconds from 0 on, not {self.shutdown}")
        if self.significant and self.restart == "permanent":
            raise ValueError(f"child {self.id!r} is permanent, so it never ends for good and cannot be significant")
