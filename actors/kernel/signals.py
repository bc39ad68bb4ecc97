"""The two messages the kernel itself sends. Both take the control lane and are never refused for lack of room.

An actor that watches others, or that wants to end in order, names them in its mailbox's type:
``Mailbox[SessionCommand | Down | Shutdown]``.
"""

from __future__ import annotations

from typing import Literal

from messages.base import Lane, Message

DownReason = Literal["normal", "shutdown", "crash", "noproc"]
"""How an actor ended: it returned; it was stopped; it raised; it was not there to begin with."""


class Down(Message, frozen=True, kw_only=True):
    """The watched actor is gone. Delivered exactly once per watch."""

    lane = Lane.CONTROL

    name: str
    """The name of the watched address."""
    incarnation: int
    """Which life of it; 0 when there was none (noproc)."""
    reason: DownReason
    detail: str = ""
    """For a crash the exception's class, never its text: that may quote a secret."""


class Shutdown(Message, frozen=True, kw_only=True):
    """Please end in order: finish or drop what you hold, then return. After ``grace_seconds`` you are cancelled."""

    lane = Lane.CONTROL

    grace_seconds: float


class Unanswered(Message, frozen=True, kw_only=True):
    """A request made with ``reply_to`` will get no reply. Delivered instead of the reply, exactly once."""

    lane = Lane.CONTROL

    request: Message
    name: str
    """Who was asked."""
    reason: DownReason | Literal["failed"]
    """``failed``: it lives, and refused with an exception (`Reply.fail`)."""
    delivered: bool
    """False: it certainly never looked at the request."""
    detail: str = ""
    """The exception's class for ``crash``; its text for ``failed``, which was written to be read by the asker."""
