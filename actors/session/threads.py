"""Asking for threads: what a new one needs, and why one cannot be had."""

from __future__ import annotations

import msgspec

from messages.session import ThreadSettings


class UnknownThreadError(Exception):
    """There is no thread of this id, loaded or on disk."""

    def __init__(self, thread_id: str) -> None:
        super().__init__(thread_id)
        self.thread_id = thread_id

    def __str__(self) -> str:
        return f"thread not found: {self.thread_id}"


class UnreadableThreadError(Exception):
    """The thread is there and cannot be loaded: a damaged rollout, a disk error, a session that crashed too often. The
    text says which, and what can be done."""


class NewThread(msgspec.Struct, frozen=True, kw_only=True):
    """A thread to be made."""

    settings: ThreadSettings
    source: str
    """Where it came from, in the wire's word for it."""
    originator: str
    """The client's name, for the log."""
    thread_source: str | None = None
    """What the client begins it for, in its words."""
