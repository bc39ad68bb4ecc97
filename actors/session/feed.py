"""The feed: a session's events in one tail, written by one, read by many; no queue per client.

An event is put once and encoded at most once for all its readers in step. A delta is no event: an open item holds its
text, and each reader's *cursor* (`actors/session/cursor.py`) holds its place in the tail and in each open text. A
connection whose socket is ready takes what is new since its cursor, as one merged delta per text. So a slow client
costs nothing and loses nothing, and cannot slow anybody else.

    tail:   … e17 │ e18 ItemStarted │ e19 ItemStarted │ e20 ItemCompleted │
    texts:               t4 (item of e18)    t5 (item of e19)

Events have sequence numbers without gaps, texts have numbers of their own and remember the event they opened behind;
a cursor is a position in both. Order that every reader sees: an item's start, then its texts in the order they opened,
each whole, then its completion. Between different items only events are ordered.

The tail is bounded. A reader that fell behind it is caught up from the log, item by item without deltas: each entry
carries the ordinal that the log had reached when it was put. A text outlives its item here only while a reader that
takes part still has to come by it, and no more than `SEALED_CHARS` of such texts are kept.

The feed belongs to the thread, not to one life of its session: a session that is rebuilt after a crash goes on writing
to the same feed (`new_writer`), so its readers stay, hear how the open turn ended, and miss nothing.

Rejected: a bounded queue per connection (drops or cuts slow clients, copies each event per client); one message per
delta through mailboxes (a task switch costs forty encodes).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from actors.session.cursor import Cursor
from actors.session.open_text import OpenText
from messages.base import ItemId, ThreadId, TurnId
from messages.client_call import ClientCall
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    DiffUpdated,
    ItemCompleted,
    ItemStarted,
    LimitsUpdated,
    PlanUpdated,
    ReasoningPartAdded,
    SessionEvent,
    SettingsChanged,
    StatusChanged,
    TerminalInput,
    ThreadView,
    UsageUpdated,
)

if TYPE_CHECKING:
    from actors.session.global_feed import GlobalFeed

TAIL_EVENTS = 1024
"""Events kept in memory per thread: several long turns. The events share their items with the session's own state, so
an entry costs some 200 bytes; beyond the tail a reader is caught up from the log."""

SEALED_CHARS = 1_000_000
"""Text of completed items kept for readers that are behind. One behind by more gets those items without deltas: their
completion holds the whole text anyway."""

FRAMES_KEPT = 8
"""Newest events whose encoded frame is kept for the readers to come. Readers in step take within the same round; one
that is behind has an event encoded again rather than have every thread hold all of it twice."""

LATEST_COUNTS = (StatusChanged, UsageUpdated, LimitsUpdated, DiffUpdated, PlanUpdated, SettingsChanged)
"""Events that say how something stands: a reader that skipped some needs the last one only."""


class FeedEncoder(Protocol):
    """How events and deltas look on the wire; the feed itself does not know it."""

    def event(self, thread_id: ThreadId, epoch: str, seq: int, event: SessionEvent) -> bytes:
        """The whole frame of one event; b"" for one that is not shown. ``seq`` 0: it was read back from the log."""
        ...

    def delta_head(self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, text: OpenText) -> bytes | None:
        """The frame up to the delta's own JSON string; None if this channel is not shown."""
        ...

    def delta(self, head: bytes, delta: str, offset: int) -> bytes:
        """The whole frame of one merged delta that begins at character ``offset`` of its text."""
        ...

    def live(self, thread_id: ThreadId, epoch: str, seq: int) -> bytes:
        """The marker between what a resuming reader had missed, up to ``seq``, and what happens now."""
        ...


class Entry:
    """One event in the tail, with the ordinal the log had reached when it was put."""

    __slots__ = ("event", "frame", "item_id", "ordinal", "seq")

    def __init__(self, seq: int, event: SessionEvent, ordinal: int) -> None:
        self.seq = seq
        self.event = event
        self.ordinal = ordinal
        self.item_id = item_of(event)
        self.frame: bytes | None = None


class AttachedText:
    """An open text with the item it belongs to; caches the last merged delta for readers in step."""

    __slots__ = (
        "after_seq",
        "cached",
        "cached_from",
        "cached_to",
        "completed_seq",
        "head",
        "item_id",
        "number",
        "text",
    )

    def __init__(self, number: int, after_seq: int, item_id: ItemId, text: OpenText, head: bytes | None) -> None:
        self.number = number
        self.after_seq = after_seq
        self.item_id = item_id
        self.text = text
        self.head = head
        self.completed_seq: int | None = None
        """The event that completed its item."""
        self.cached: bytes = b""
        self.cached_from = -1
        self.cached_to = -1


class Subscription:
    """The reply to `Subscribe`: a snapshot, and a cursor that goes on exactly from there.

    Nothing is registered until `Cursor.start`, so a reply that nobody takes leaves nothing behind.
    """

    __slots__ = ("cursor", "resumed", "view")

    def __init__(self, view: ThreadView, cursor: Cursor, *, resumed: bool) -> None:
        self.view = view
        self.cursor = cursor
        self.resumed = resumed
        """The cursor stands behind the event the reader named, not behind ``view``."""


class Feed:
    """Single writer: the session. Readers hold cursors.

    ``ordinal`` is how far the log has come when the feed begins. With ``everywhere``, changes of status are told there
    too, to those who do not watch this thread.
    """

    def __init__(
        self,
        thread_id: ThreadId,
        epoch: str,
        encoder: FeedEncoder,
        *,
        ordinal: int = 0,
        everywhere: GlobalFeed | None = None,
    ) -> None:
        self.thread_id = thread_id
        self.epoch = epoch
        self.encoder = encoder
        self.everywhere = everywhere
        self.tail: deque[Entry] = deque()
        self.next_seq = 1
        self.dropped_ordinal = ordinal
        """The ordinal of the newest event that left the tail; at first, how far the log had come."""
        self.open_items: dict[ItemId, Entry] = {}
        """The start of each item that has not completed."""
        self.texts: dict[int, AttachedText] = {}
        """By number: those of open items, and of completed ones while a reader has still to come by."""
        self.next_text = 1
        self.approvals: set[str] = set()
        """The questions asked in this feed and not yet resolved."""
        self.client_calls: dict[str, ClientCall] = {}
        """By id, the calls that a client is to run and has not answered. They are no events: whoever can run them hears
        of them behind everything that has been put, and so does whoever comes later."""
        self.latest: dict[type[SessionEvent], Entry] = {}
        """The last event of each kind in `LATEST_COUNTS`."""
        self._by_item: dict[ItemId, list[AttachedText]] = {}
        self._sealed: deque[AttachedText] = deque()
        self._sealed_chars = 0
        self.cursors: set[Cursor] = set()
        """Of the readers that have started."""
        self.clean: list[Cursor] = []
        """Those that have taken everything and wait to be called."""

    # --- the writer's side ------------------------------------------------------------------------------------------

    def put(self, event: SessionEvent, *, ordinal: int) -> int:
        """Publish an event; its sequence number.

        ``ordinal`` is how far the log has come: what the event tells is in a record below it, and every record from it
        on is told by later events.
        """
        seq = self.next_seq
        self.next_seq = seq + 1
        entry = Entry(seq, event, ordinal)
        self.tail.append(entry)
        if len(self.tail) > TAIL_EVENTS:
            self.dropped_ordinal = self.tail.popleft().ordinal
        match event:
            case ItemStarted():
                self.open_items[ItemId(event.item.id)] = entry
            case ItemCompleted():
                item_id = ItemId(event.item.id)
                self.open_items.pop(item_id, None)
                self._seal(item_id, seq)
            case ApprovalRequested():
                self.approvals.add(event.approval.id)
            case ApprovalResolved():
                self.approvals.discard(event.approval_id)
            case _:
                if isinstance(event, LATEST_COUNTS):
                    self.latest[type(event)] = entry
                if isinstance(event, StatusChanged) and self.everywhere is not None:
                    self.everywhere.status_changed(self.thread_id, event.status)
        self._release()
        self.wake()
        return seq

    def attach(self, turn_id: TurnId, item_id: ItemId, text: OpenText) -> None:
        """Show a growing text as part of an item whose start has been put; what it already holds is shown too."""
        head = self.encoder.delta_head(self.thread_id, turn_id, item_id, text)
        attached = AttachedText(self.next_text, self.next_seq - 1, item_id, text, head)
        self.texts[self.next_text] = attached
        self.next_text += 1
        self._by_item.setdefault(item_id, []).append(attached)
        text.on_grow = self.wake
        self.wake()

    def ask_client(self, call: ClientCall) -> None:
        """Have a call run by a client."""
        self.client_calls[call.id] = call
        self.wake()

    def end_client_call(self, id_: str) -> None:
        """Nobody need run it any more."""
        self.client_calls.pop(id_, None)

    def partial_texts(self, item_id: ItemId) -> tuple[OpenText, ...]:
        """The texts of an open item in the order they opened, for snapshots and checkpoints."""
        return tuple(attached.text for attached in self._by_item.get(item_id, ()))

    def new_writer(self) -> None:
        """The session died and was rebuilt from its log: open texts grow no more; the new life says how they end."""
        self.client_calls.clear()
        for texts in self._by_item.values():
            for attached in texts:
                attached.text.on_grow = None

    def close(self) -> None:
        """The thread was unloaded: tell everybody. Readers that are left keep what they can still take."""
        self.new_writer()
        if self.everywhere is not None:
            self.everywhere.thread_closed(self.thread_id)

    def wake(self) -> None:
        """Call the readers that wait."""
        if self.clean:
            clean, self.clean = self.clean, []
            for cursor in clean:
                cursor.dirty = True
                cursor.on_dirty(cursor)

    # --- the readers' side ------------------------------------------------------------------------------------------

    def subscription(self, view: ThreadView, *, after_seq: int | None = None, epoch: str | None = None) -> Subscription:
        """What `Subscribe` is answered with. To be called in the same instant in which ``view`` was made, so that its
        partial texts and the cursor's offsets agree.

        With ``after_seq`` of this ``epoch`` the cursor stands behind that event, if the tail still reaches so far.
        """
        if after_seq is not None and epoch == self.epoch and self.first_seq - 1 <= after_seq < self.next_seq:
            return Subscription(view, Cursor.behind(self, after_seq), resumed=True)
        return Subscription(view, Cursor.at_present(self), resumed=False)

    @property
    def subscribers(self) -> int:
        """How many readers have started and not closed."""
        return len(self.cursors)

    @property
    def first_seq(self) -> int:
        """The oldest event still in the tail."""
        return self.next_seq - len(self.tail)

    def entry(self, seq: int) -> Entry:
        """An event in the tail."""
        return self.tail[seq - self.first_seq]

    # --- letting go -------------------------------------------------------------------------------------------------

    def _seal(self, item_id: ItemId, seq: int) -> None:
        for attached in self._by_item.pop(item_id, ()):
            attached.text.on_grow = None
            attached.text.text()  # one string instead of many pieces, for as long as it stays
            attached.completed_seq = seq
            self._sealed.append(attached)
            self._sealed_chars += attached.text.chars

    def _release(self) -> None:
        """Let go of the texts that every reader has passed, and of frames that are not new any more."""
        if self._sealed:
            passed = min((cursor.next_text for cursor in self.cursors), default=self.next_text)
            while self._sealed and (self._sealed[0].number < passed or self._sealed_chars > SEALED_CHARS):
                attached = self._sealed.popleft()
                self._sealed_chars -= attached.text.chars
                del self.texts[attached.number]
        if len(self.tail) > FRAMES_KEPT:
            self.tail[-1 - FRAMES_KEPT].frame = None


def item_of(event: SessionEvent) -> ItemId | None:
    """The item whose texts so far come before this event."""
    if isinstance(event, ItemStarted | ItemCompleted):
        return ItemId(event.item.id)
    if isinstance(event, ReasoningPartAdded | TerminalInput):
        return event.item_id
    return None
