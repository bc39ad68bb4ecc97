"""The feed: a session's events in one tail, written by one, read by many; no queue per client.

An event is put once and encoded at most once for all its readers. A delta is no event: an open item holds its text,
and each reader's *cursor* holds (position in the tail, position in each open text). A connection whose socket is ready
takes what is new since its cursor, as one merged delta per text. So a slow client costs nothing and loses nothing, and
cannot slow anybody else. A cursor that fell behind the tail is caught up from the log (`Cursor.lagging`).

Order that every reader sees: an item's start, then its texts in the order they opened, each whole, then its
completion. Between different items only events are ordered.

Rejected: a bounded queue per connection (drops or cuts slow clients, copies each event per client); one message per
delta through mailboxes (a task switch costs forty encodes).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from actors.session.open_text import OpenText
from messages.base import ItemId, ThreadId, TurnId
from messages.session import ItemCompleted, SessionEvent

TAIL_EVENTS = 2048
"""Structural events kept in memory per thread: several long turns. Beyond it a reader is caught up from the log."""

TAKE_BYTES = 64 * 1024
"""What one thread may put on a connection in one go, so that a busy thread cannot starve the others on the socket."""


class FeedEncoder(Protocol):
    """How events and deltas look on the wire; the feed itself does not know it."""

    def event(self, thread_id: ThreadId, epoch: str, seq: int, event: SessionEvent) -> bytes:
        """The whole frame of one event."""
        ...

    def delta_head(self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, text: OpenText) -> bytes | None:
        """The frame up to the delta's own JSON string; None if this channel is not shown."""
        ...

    def delta(self, head: bytes, delta: str) -> bytes:
        """The whole frame of one merged delta."""
        ...


class Entry:
    """One event in the tail, with the ordinal the log had reached when it was put."""

    __slots__ = ("event", "frame", "ordinal", "seq")

    def __init__(self, seq: int, event: SessionEvent, ordinal: int) -> None:
        self.seq = seq
        self.event = event
        self.ordinal = ordinal
        self.frame: bytes | None = None


class AttachedText:
    """An open text with the item it belongs to; caches the last merged delta for readers in step."""

    __slots__ = ("cached", "cached_from", "cached_to", "head", "item_id", "text", "turn_id")

    def __init__(self, turn_id: TurnId, item_id: ItemId, text: OpenText, head: bytes | None) -> None:
        self.turn_id = turn_id
        self.item_id = item_id
        self.text = text
        self.head = head
        self.cached: bytes = b""
        self.cached_from = -1
        self.cached_to = -1


class Feed:
    """Single writer: the session. Readers hold cursors."""

    def __init__(self, thread_id: ThreadId, epoch: str, encoder: FeedEncoder) -> None:
        self.thread_id = thread_id
        self.epoch = epoch
        self.encoder = encoder
        self.tail: deque[Entry] = deque(maxlen=TAIL_EVENTS)
        self.next_seq = 1
        self.open_texts: dict[ItemId, list[AttachedText]] = {}
        self._cursors: set[Cursor] = set()
        self._clean: list[Cursor] = []

    # --- the writer's side ---

    def put(self, event: SessionEvent, *, ordinal: int) -> int:
        """Publish an event; its sequence number."""
        seq = self.next_seq
        self.next_seq = seq + 1
        self.tail.append(Entry(seq, event, ordinal))
        if isinstance(event, ItemCompleted):
            for attached in self.open_texts.pop(ItemId(event.item.id), ()):
                attached.text.on_grow = None
        self._wake()
        return seq

    def attach(self, turn_id: TurnId, item_id: ItemId, text: OpenText) -> None:
        """Show a growing text as part of an item whose start has been put; what it already holds is shown too."""
        head = self.encoder.delta_head(self.thread_id, turn_id, item_id, text)
        attached = AttachedText(turn_id, item_id, text, head)
        self.open_texts.setdefault(item_id, []).append(attached)
        for cursor in self._cursors:
            cursor.opened(self.next_seq, attached)
        text.on_grow = self._wake
        self._wake()

    def partial_texts(self, item_id: ItemId) -> tuple[OpenText, ...]:
        """The open texts of an item, for snapshots and checkpoints."""
        return tuple(attached.text for attached in self.open_texts.get(item_id, ()))

    def _wake(self) -> None:
        if self._clean:
            clean, self._clean = self._clean, []
            for cursor in clean:
                cursor.dirty = True
                cursor.on_dirty(cursor)

    # --- the readers' side ---

    def subscribe(self, on_dirty: Callable[[Cursor], None], *, after_seq: int | None = None) -> Cursor:
        """A cursor at the present, or behind ``after_seq`` of this epoch.

        ``on_dirty`` is called once when there is something to take, and again only after a `take` that took all.
        It is first called after `Cursor.start`.
        """
        cursor = Cursor(self, on_dirty, self.next_seq if after_seq is None else after_seq + 1)
        for attached_texts in self.open_texts.values():
            for attached in attached_texts:
                cursor.positions[attached] = len(attached.text.pieces)
        self._cursors.add(cursor)
        return cursor

    @property
    def subscribers(self) -> int:
        return len(self._cursors)

    def first_seq(self) -> int:
        """The oldest event still in the tail."""
        return self.tail[0].seq if self.tail else self.next_seq

    def entries_from(self, seq: int) -> Iterable[Entry]:
        start = seq - self.first_seq()
        return (self.tail[i] for i in range(max(start, 0), len(self.tail)))


class Cursor:
    """One reader's place in a feed."""

    __slots__ = ("_waiting", "dirty", "feed", "next_seq", "on_dirty", "positions")

    def __init__(self, feed: Feed, on_dirty: Callable[[Cursor], None], next_seq: int) -> None:
        self.feed = feed
        self.on_dirty = on_dirty
        self.next_seq = next_seq
        self.positions: dict[AttachedText, int] = {}
        """Texts whose item this reader has been shown, and the next piece of each."""
        self._waiting: deque[tuple[int, AttachedText]] = deque()
        """Texts that opened behind events this reader has not taken yet."""
        self.dirty = False

    def start(self) -> None:
        """From now on `on_dirty` may be called."""
        if not self.dirty and self not in self.feed._clean:
            self.feed._clean.append(self)
        if self._has_news():
            self.feed._wake()

    def close(self) -> None:
        """Stop reading. May be called twice."""
        self.feed._cursors.discard(self)
        if self in self.feed._clean:
            self.feed._clean.remove(self)

    def opened(self, at_seq: int, attached: AttachedText) -> None:
        self._waiting.append((at_seq, attached))

    def lagging(self) -> bool:
        """True: events before the tail are missing and must come from the log first."""
        return self.next_seq < self.feed.first_seq()

    def take(self, budget_bytes: int = TAKE_BYTES) -> list[bytes]:
        """New frames in order, about ``budget_bytes`` of them; stays dirty if more are left. Not while lagging."""
        feed = self.feed
        frames: list[bytes] = []
        size = 0
        if self.next_seq < feed.next_seq or self._waiting:
            for entry in feed.entries_from(self.next_seq):
                if size >= budget_bytes:
                    return frames
                self._open_before(entry.seq, frames)
                if isinstance(entry.event, ItemCompleted):
                    self._finish(ItemId(entry.event.item.id), frames)
                if entry.frame is None:
                    entry.frame = feed.encoder.event(feed.thread_id, feed.epoch, entry.seq, entry.event)
                if entry.frame:
                    frames.append(entry.frame)
                    size += len(entry.frame)
                self.next_seq = entry.seq + 1
            self._open_before(feed.next_seq, frames)
        for attached, position in self.positions.items():
            if position < len(attached.text.pieces):
                if size >= budget_bytes:
                    return frames
                size += self._delta(attached, position, frames)
        self.dirty = False
        feed._clean.append(self)
        return frames

    def _has_news(self) -> bool:
        return (
            self.next_seq < self.feed.next_seq
            or bool(self._waiting)
            or any(position < len(a.text.pieces) for a, position in self.positions.items())
        )

    def _open_before(self, seq: int, frames: list[bytes]) -> None:
        while self._waiting and self._waiting[0][0] <= seq:
            _, attached = self._waiting.popleft()
            for earlier, position in self.positions.items():
                if earlier.item_id == attached.item_id and position < len(earlier.text.pieces):
                    self._delta(earlier, position, frames)
            self.positions[attached] = 0

    def _finish(self, item_id: ItemId, frames: list[bytes]) -> None:
        for attached in [a for a in self.positions if a.item_id == item_id]:
            position = self.positions[attached]
            if position < len(attached.text.pieces):
                self._delta(attached, position, frames)
            del self.positions[attached]

    def _delta(self, attached: AttachedText, position: int, frames: list[bytes]) -> int:
        end = len(attached.text.pieces)
        self.positions[attached] = end
        if attached.head is None:
            return 0
        if attached.cached_from != position or attached.cached_to != end:
            attached.cached = self.feed.encoder.delta(attached.head, attached.text.since(position))
            attached.cached_from, attached.cached_to = position, end
        frames.append(attached.cached)
        return len(attached.cached)
