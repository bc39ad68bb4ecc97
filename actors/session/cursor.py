"""One reader's place in a feed, and the taking of what is new since then.

A cursor is a position: the next event, the next text, and an offset in each text it has begun. `take` turns the
difference between that and the feed into frames, about as many bytes as asked for. It is called when the reader's
socket can take more; between two takes nothing accumulates here.

A cursor that fell behind the tail is `lagging`: its owner reads the events in between back from the log and hands them
to `catch_up`. The log holds whole items only, so for that stretch an item comes as its start and its completion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from messages.base import ItemId
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    ItemCompleted,
    ItemStarted,
    SessionEvent,
    TurnCompleted,
    TurnStarted,
)

if TYPE_CHECKING:
    from actors.session.feed import AttachedText, Entry, Feed

Key = tuple[type[SessionEvent], str]

TAKE_BYTES = 64 * 1024
"""What one thread may put on a connection in one go, so that a busy thread cannot starve the others on the socket."""

RECORDS_IN_APPEND = 1024
"""More records than any one append holds: what the log told of those before the tail may stand in the tail again."""


class Reading:
    """How far a text was read."""

    __slots__ = ("attached", "offset")

    def __init__(self, attached: AttachedText, offset: int) -> None:
        self.attached = attached
        self.offset = offset


class Cursor:
    """One reader's place. Made by `Feed.subscription`; it takes part in the feed from `start` to `close`."""

    __slots__ = (
        "_backlog",
        "_group",
        "_group_ordinal",
        "_live_at",
        "_readings",
        "_shown",
        "_told_by_log",
        "dirty",
        "feed",
        "next_seq",
        "next_text",
        "on_dirty",
        "ordinal",
    )

    def __init__(self, feed: Feed, next_seq: int, next_text: int) -> None:
        self.feed = feed
        self.on_dirty: Callable[[Cursor], None] = _nobody
        self.next_seq = next_seq
        self.next_text = next_text
        self.dirty = False
        self.ordinal = feed.dropped_ordinal
        """Everything below it in the log has been told."""
        self._group_ordinal = feed.dropped_ordinal
        self._group: set[Key] = set()
        """What was told of the records between `ordinal` and `_group_ordinal`: events put after one append share its
        ordinal, and a reader may fall behind in the middle of them."""
        self._told_by_log: set[Key | None] = set()
        """The latest of what `catch_up` told."""
        self._shown: set[ItemId] = set()
        """Items whose start this reader has been shown, and whose completion it has not."""
        self._readings: list[Reading] = []
        """The texts begun, in the order they opened."""
        self._backlog: deque[bytes] = deque()
        """Frames read back from the log."""
        self._live_at: int | None = None
        """A resumed reader is told when it has been given the events up to here."""

    @classmethod
    def at_present(cls, feed: Feed) -> Cursor:
        """Behind everything that has been put and appended so far."""
        cursor = cls(feed, feed.next_seq, feed.next_text)
        cursor._shown.update(feed.open_items)
        for attached in feed.texts.values():
            if attached.completed_seq is None:
                told = 0 if attached.text.channel == "script" else attached.text.chars  # no view holds a script's text
                cursor._readings.append(Reading(attached, told))
        cursor._note_told(feed.next_seq - 1)
        return cursor

    @classmethod
    def behind(cls, feed: Feed, seq: int) -> Cursor:
        """Behind event ``seq``, which the tail must reach. Texts of items still open are told again from their start:
        how much of them the reader saw is not known here, and each delta says where it begins."""
        cursor = cls(feed, seq + 1, min(feed.texts, default=feed.next_text))
        cursor._live_at = feed.next_seq - 1
        started: set[ItemId] = set()
        for entry in feed.tail:
            if entry.seq <= seq:
                continue
            if isinstance(entry.event, ItemStarted):
                started.add(ItemId(entry.event.item.id))
            elif isinstance(entry.event, ItemCompleted) and ItemId(entry.event.item.id) not in started:
                cursor._shown.add(ItemId(entry.event.item.id))
        cursor._shown.update(item_id for item_id in feed.open_items if item_id not in started)
        cursor._note_told(seq)
        return cursor

    def start(self, on_dirty: Callable[[Cursor], None]) -> None:
        """Take part. ``on_dirty`` is called once when there is something to take, and again only after a `take` that
        took everything; possibly at once. It must not raise or block."""
        self.on_dirty = on_dirty
        feed = self.feed
        feed.cursors.add(self)
        if self._has_news():
            self.dirty = True
            on_dirty(self)
        else:
            feed.clean.append(self)

    def close(self) -> None:
        """Stop reading. May be called twice."""
        feed = self.feed
        feed.cursors.discard(self)
        if self in feed.clean:
            feed.clean.remove(self)
        self.on_dirty = _nobody
        self._readings.clear()
        self._backlog.clear()

    # --- taking -----------------------------------------------------------------------------------------------------

    def take(self, budget_bytes: int = TAKE_BYTES) -> list[bytes]:
        """New frames in order, about ``budget_bytes`` of them; stays dirty if more may be left.

        While `lagging`, only what `catch_up` brought.
        """
        feed = self.feed
        frames: list[bytes] = []
        room = budget_bytes
        if self._backlog:
            room = self._take_backlog(frames, room)
            if self._backlog:
                return frames
        if self.next_seq < feed.next_seq or self.next_text < feed.next_text:
            if self.lagging():
                return frames
            room = self._take_events(frames, room)
            if self.next_seq < feed.next_seq:
                return frames
        for reading in self._readings:
            if reading.offset < reading.attached.text.chars:
                room = self._take_delta(reading, frames, room)
        if room <= 0:
            return frames
        if self._live_at is not None:
            frames.append(feed.encoder.live(feed.thread_id, feed.epoch, self._live_at))
            self._live_at = None
        self.dirty = False
        feed.clean.append(self)
        return frames

    def _has_news(self) -> bool:
        return (
            self.next_seq < self.feed.next_seq
            or self.next_text < self.feed.next_text
            or self._live_at is not None
            or any(reading.offset < reading.attached.text.chars for reading in self._readings)
        )

    def _take_backlog(self, frames: list[bytes], room: int) -> int:
        while self._backlog and room > 0:
            frame = self._backlog.popleft()
            frames.append(frame)
            room -= len(frame)
        return room

    def _take_events(self, frames: list[bytes], room: int) -> int:
        feed = self.feed
        while True:
            self._open_texts()
            if self.next_seq >= feed.next_seq or room <= 0:
                return room
            entry = feed.entry(self.next_seq)
            if self._told_by_log and self._was_told(entry):
                self.next_seq += 1
                continue
            if entry.item_id is not None:
                # What an item said comes before its end, and what was said before an item came before it.
                begins = isinstance(entry.event, ItemStarted)
                for reading in self._readings:
                    if begins or reading.attached.item_id == entry.item_id:
                        room = self._take_delta(reading, frames, room)
                        if reading.offset < reading.attached.text.chars:
                            return room
                room -= self._step(entry.event, frames)
            frame = entry.frame
            if frame is None:
                frame = entry.frame = feed.encoder.event(feed.thread_id, feed.epoch, entry.seq, entry.event)
            if frame:
                frames.append(frame)
                room -= len(frame)
            self.next_seq = entry.seq + 1
            self._note(entry.event, entry.ordinal)

    def _open_texts(self) -> None:
        """Begin the texts that opened behind the events taken so far."""
        feed = self.feed
        while self.next_text < feed.next_text:
            attached = feed.texts.get(self.next_text)
            if attached is not None:
                if attached.after_seq >= self.next_seq:
                    return
                ended = attached.completed_seq is not None and attached.completed_seq < self.next_seq
                if not ended and attached.item_id in self._shown:
                    self._readings.append(Reading(attached, 0))
            self.next_text += 1

    def _take_delta(self, reading: Reading, frames: list[bytes], room: int) -> int:
        """One merged delta of at most about ``room`` bytes; the room that is left."""
        attached = reading.attached
        start, end = reading.offset, attached.text.chars
        if attached.head is None:
            reading.offset = end
            return room
        if start == end or room <= 0:
            return room
        end = min(end, start + room)
        if attached.cached_from != start or attached.cached_to != end:
            attached.cached = self.feed.encoder.delta(attached.head, attached.text.since(start, end - start), start)
            attached.cached_from, attached.cached_to = start, end
        reading.offset = end
        frames.append(attached.cached)
        return room - len(attached.cached)

    def _step(self, event: SessionEvent, frames: list[bytes]) -> int:
        """Keep the account of open items. A completion whose start this reader missed brings its start along."""
        if isinstance(event, ItemStarted):
            self._shown.add(ItemId(event.item.id))
        elif isinstance(event, ItemCompleted):
            item_id = ItemId(event.item.id)
            self._readings = [reading for reading in self._readings if reading.attached.item_id != item_id]
            if item_id in self._shown:
                self._shown.remove(item_id)
            else:
                frame = self._unnumbered(start_of(event))
                frames.append(frame)
                return len(frame)
        return 0

    def _unnumbered(self, event: SessionEvent) -> bytes:
        return self.feed.encoder.event(self.feed.thread_id, self.feed.epoch, 0, event)

    # --- catching up from the log -----------------------------------------------------------------------------------

    def lagging(self) -> bool:
        """True: events before the tail are missing and must come from the log first."""
        return self.next_seq < self.feed.first_seq

    def has_backlog(self) -> bool:
        """There is something to take that `catch_up` brought."""
        return bool(self._backlog)

    def asks_ahead(self) -> frozenset[str]:
        """The questions in the tail that this reader has still to come by."""
        return frozenset(
            entry.event.approval.id
            for entry in self.feed.tail
            if entry.seq >= self.next_seq and isinstance(entry.event, ApprovalRequested)
        )

    def missing(self) -> tuple[int, int]:
        """The ordinals of the log, from and up to but excluding, whose events are to be given to `catch_up`."""
        return self.ordinal, self.feed.dropped_ordinal

    def catch_up(self, told: Iterable[tuple[int, SessionEvent]], up_to: int) -> None:
        """Take over events read back from the log, with the ordinals of their records, complete below ``up_to``.

        Call it again while `lagging`. When it has reached the tail, what stands open there follows.
        """
        feed = self.feed
        last = feed.dropped_ordinal
        for ordinal, event in told:
            key = key_of(event)
            if key is not None and key in self._group:
                continue
            if key is not None and ordinal >= last - RECORDS_IN_APPEND:
                self._told_by_log.add(key)
                if isinstance(event, ItemCompleted):
                    self._told_by_log.add((ItemStarted, event.item.id))
            frames: list[bytes] = []
            self._step(event, frames)
            frames.append(self._unnumbered(event))
            self._backlog.extend(frame for frame in frames if frame)
        self.ordinal = max(self.ordinal, up_to)
        if self.ordinal >= self._group_ordinal:
            self._group_ordinal = self.ordinal
            self._group.clear()
        if up_to >= last:
            self._rejoin()
        if not self.dirty:
            self.dirty = True
            self.on_dirty(self)

    def _was_told(self, entry: Entry) -> bool:
        """Whether the log told of an event that is in the tail: events of one append may stand on both sides of the
        tail's beginning."""
        if entry.ordinal > self._group_ordinal:
            self._told_by_log.clear()
        return key_of(entry.event) in self._told_by_log

    def _rejoin(self) -> None:
        """Stand at the beginning of the tail, knowing what stood open and how things stood there.

        All of it comes before the tail's own events, so that a reader that has seen one of those has seen this too.
        """
        feed = self.feed
        first = feed.first_seq
        for item_id, entry in feed.open_items.items():
            if entry.seq < first and item_id not in self._shown:
                self._show_start(item_id, entry.event)
        begun: set[ItemId] = set()
        for entry in feed.tail:
            event = entry.event
            if isinstance(event, ItemStarted):
                begun.add(ItemId(event.item.id))
            elif isinstance(event, ItemCompleted):
                item_id = ItemId(event.item.id)
                if item_id not in begun and item_id not in self._shown and not self._was_told(entry):
                    self._show_start(item_id, start_of(event))
        missed = (entry for entry in feed.latest.values() if self.next_seq <= entry.seq < first)
        for entry in sorted(missed, key=lambda entry: entry.seq):
            self._backlog.append(feed.encoder.event(feed.thread_id, feed.epoch, entry.seq, entry.event))
        self.next_seq = first
        self._readings = [
            reading
            for reading in self._readings
            if reading.attached.completed_seq is None or reading.attached.completed_seq >= first
        ]

    def _show_start(self, item_id: ItemId, event: SessionEvent) -> None:
        self._shown.add(item_id)
        self._backlog.append(self._unnumbered(event))

    def _note(self, event: SessionEvent, ordinal: int) -> None:
        if ordinal != self._group_ordinal:
            self.ordinal = self._group_ordinal
            self._group_ordinal = ordinal
            self._group.clear()
        key = key_of(event)
        if key is not None:
            self._group.add(key)

    def _note_told(self, seq: int) -> None:
        """All events up to ``seq`` count as told."""
        entries = [entry for entry in self.feed.tail if entry.seq <= seq]
        if entries:
            last = entries[-1].ordinal
            earlier = [entry.ordinal for entry in entries if entry.ordinal != last]
            self.ordinal = earlier[-1] if earlier else self.feed.dropped_ordinal
            self._group_ordinal = last
            for entry in entries:
                if entry.ordinal == last:
                    self._note(entry.event, last)


def start_of(event: ItemCompleted) -> ItemStarted:
    """For a reader that did not see an item start: here it is, whole already."""
    return ItemStarted(turn_id=event.turn_id, item=event.item, at_ms=event.at_ms)


def key_of(event: SessionEvent) -> Key | None:
    """What makes an event read back from the log the same as one that was told. None: telling it twice is harmless."""
    match event:
        case ItemStarted() | ItemCompleted():
            return type(event), event.item.id
        case TurnStarted() | TurnCompleted():
            return type(event), event.turn.id
        case ApprovalRequested():
            return type(event), event.approval.id
        case ApprovalResolved():
            return type(event), event.approval_id
        case _:
            return None


def _nobody(_: Cursor) -> None:
    """Who hears of news before `start` and after `close`."""
