"""What we add to the wire, under ``callboard/``."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.client.item import Wire
from messages.handle import HandleType


class ActorNode(Wire, frozen=True, kw_only=True):
    """One actor in the live tree."""

    id: str
    kind: str
    state: str
    mailbox_depth: int = 0
    mailbox_peak: int = 0
    message_age_seconds: float | None = None
    restarts: int = 0
    last_failure: str | None = None
    children: tuple[ActorNode, ...] = ()


class ThreadCounts(Wire, frozen=True, kw_only=True):
    loaded: int
    active: int


class StatusResponse(Wire, frozen=True, kw_only=True):
    """callboard/status"""

    tree: ActorNode
    threads: ThreadCounts
    connections: int


class CancelCallParams(Wire, frozen=True, kw_only=True):
    """callboard/toolCall/cancel: end one running call; the turn goes on."""

    thread_id: str
    call_id: str


class UndoParams(Wire, frozen=True, kw_only=True):
    """callboard/thread/undo: take back what a turn changed in the worktree; without ``turn_id``, the last one."""

    thread_id: str
    turn_id: str | None = None


class UndoResponse(Wire, frozen=True, kw_only=True):
    """What was taken back; paths are relative to ``root``."""

    turn_id: str
    root: str
    restored: tuple[str, ...]
    removed: tuple[str, ...]
    left_out: str = ""
    """Untracked files the snapshot does not hold, for people; empty for none."""


class HandleReadParams(Wire, frozen=True, kw_only=True):
    """callboard/handle/read: a part of a large value that a script of the thread left.

    ``from`` and ``to`` are bytes, negative from the end; without ``to`` as much as fits one answer.
    """

    thread_id: str
    handle: str
    from_: int | None = msgspec.field(default=None, name="from")
    to: int | None = None


class HandleReadResponse(Wire, frozen=True, kw_only=True):
    """Of text and JSON whole characters, as ``text``; of bytes ``dataBase64``. ``from`` and ``to`` are what was read:
    read on from ``to`` while it is below ``size``."""

    handle: str
    type: HandleType
    size: int
    from_: int = msgspec.field(name="from")
    to: int
    text: str | None = None
    data_base64: str | None = None


class LiveMarker(Wire, frozen=True, kw_only=True):
    """callboard/live: a resumed client has now been told everything it missed, up to ``seq``."""

    thread_id: str
    epoch: str
    seq: int


class EventsSkipped(Wire, frozen=True, kw_only=True):
    """callboard/eventsSkipped: this client fell behind, and the log could not tell what it missed. Read the thread."""

    thread_id: str
    reason: str


class ScriptNotice(Wire, frozen=True, kw_only=True):
    """callboard/script/event: something happened in a running script, in its order.

    ``kind``: called, started and ended are about the call ``number`` (with its ``line`` and ``column`` in the source,
    and ``callItemId`` from its start on); printed is a line of its console; progress is what it says about itself; both
    with the ``line`` of the source where it was said.
    """

    thread_id: str
    turn_id: str
    item_id: str
    """The script's item."""
    kind: Literal["called", "started", "ended", "printed", "progress"]
    number: int | None = None
    name: str | None = None
    line: int | None = None
    column: int | None = None
    outcome: str | None = None
    code: str | None = None
    """Of the error, when it failed."""
    message: str | None = None
    seconds: float | None = None
    level: str | None = None
    text: str | None = None
    call_item_id: str | None = None
