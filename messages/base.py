"""What every message shares: it is frozen, it says which lane it takes, and whether it may be asked twice.

Two facts about a message are properties of its *type*, never of a call site, because a caller that can choose will
one day choose wrongly:

* ``lane``: a CONTROL message (interrupt, shutdown, an approval's answer) never waits behind data.
* ``delivery``: what an ``ask`` does when the service dies before it replied. RETRY_SAFE is sent again to the
  successor; ONCE is not, and the asker learns that the outcome is unknown.

msgspec does not inherit ``kw_only`` and type checkers do not inherit ``frozen``: every subclass repeats both.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar, NewType

import msgspec

ThreadId = NewType("ThreadId", str)
TurnId = NewType("TurnId", str)
ItemId = NewType("ItemId", str)
CallId = NewType("CallId", str)

JsonObject = dict[str, Any]
"""Decoded JSON whose shape belongs to somebody else (a tool's arguments, a provider's block)."""


class Lane(enum.Enum):
    """Which of a mailbox's two lanes a message takes."""

    DATA = "data"
    CONTROL = "control"


class Delivery(enum.Enum):
    """What an ``ask`` may do when the asked actor went down before it replied."""

    RETRY_SAFE = "retry_safe"
    ONCE = "once"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The base of everything actors say to one another.

    Our own side is strict: subclasses that cross a process boundary add ``forbid_unknown_fields=True``.
    """

    lane: ClassVar[Lane] = Lane.DATA
    delivery: ClassVar[Delivery] = Delivery.ONCE
