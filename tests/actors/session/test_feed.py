"""Whatever the writer does and however slowly a reader reads, every reader is told the same story, whole, in order."""

from __future__ import annotations

from unittest.mock import patch

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.session import feed as feed_module
from actors.session.cursor import Cursor
from actors.session.feed import Feed, Subscription
from actors.session.global_feed import GlobalFeed
from actors.session.open_text import OpenText
from messages.base import ItemId, ThreadId, TurnId
from messages.client.account import AccountUpdated
from messages.client.event import RateLimitsUpdated
from messages.client.item import AgentMessage
from messages.model import TokenUsage
from messages.session import (
    ItemCompleted,
    ItemStarted,
    SessionEvent,
    StatusChanged,
    ThreadSettings,
    ThreadStatus,
    ThreadSummary,
    ThreadView,
    Warned,
)

THREAD = ThreadId("thread")
TURN = TurnId("turn")
VIEW = ThreadView(
    summary=ThreadSummary(
        id=THREAD,
        path=None,
        cwd="/w",
        preview="",
        name=None,
        provider="p",
        model="m",
        source="vscode",
        created_at=0,
        updated_at=0,
        cli_version="0",
    ),
    settings=ThreadSettings(provider="p", model="m", cwd="/w"),
    status=ThreadStatus(kind="idle"),
    turns=(),
    usage=TokenUsage(),
)


class Heard(msgspec.Struct):
    """A frame of the plain encoder below."""

    what: str
    seq: int = 0
    item: str = ""
    text: str = ""
    number: int = 0
    offset: int = 0


class PlainEncoder:
    """Frames a test can read. Counts what it encodes."""

    def __init__(self) -> None:
        self.encoded = 0

    def account_changed(self, account: AccountUpdated) -> bytes:
        self.encoded += 1
        return b"account"

    def limits_changed(self, limits: RateLimitsUpdated) -> bytes:
        self.encoded += 1
        return b"account"

    def event(self, thread_id: ThreadId, epoch: str, seq: int, event: SessionEvent) -> bytes:
        self.encoded += 1
        match event:
            case ItemStarted():
                return _encode(Heard(what="started", seq=seq, item=event.item.id))
            case ItemCompleted():
                assert isinstance(event.item, AgentMessage)
                return _encode(Heard(what="completed", seq=seq, item=event.item.id, text=event.item.text))
            case StatusChanged():
                return _encode(Heard(what="status", seq=seq, text=event.status.kind))
            case _:
                return _encode(Heard(what="other", seq=seq))

    def delta_head(self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, text: OpenText) -> bytes | None:
        return None if text.channel == "arguments" else _encode(Heard(what="delta", item=item_id, number=text.index))

    def delta(self, head: bytes, delta: str, offset: int) -> bytes:
        self.encoded += 1
        return _encode(msgspec.structs.replace(_decode(head), text=delta, offset=offset))

    def live(self, thread_id: ThreadId, epoch: str, seq: int) -> bytes:
        return _encode(Heard(what="live"))

    def thread_started(self, view: ThreadView) -> bytes:
        return b"started " + view.summary.id.encode()

    def thread_status(self, thread_id: ThreadId, status: ThreadStatus) -> bytes:
        return f"{status.kind} {thread_id}".encode()

    def thread_closed(self, thread_id: ThreadId) -> bytes:
        return b"closed " + thread_id.encode()


def _encode(heard: Heard) -> bytes:
    return msgspec.json.encode(heard)


def _decode(frame: bytes) -> Heard:
    return msgspec.json.decode(frame, type=Heard)


class Writer:
    """A session that writes items, several at once, with its log."""

    def __init__(self) -> None:
        self.feed = Feed(THREAD, "epoch", PlainEncoder())
        self.log: list[SessionEvent | None] = []
        self.items = 0
        self.open: dict[str, list[OpenText]] = {}
        self.done: dict[str, list[str]] = {}
        self.statuses = 0

    def start(self) -> None:
        self.items += 1
        item_id = f"i{self.items}"
        self.open[item_id] = []
        item = AgentMessage(id=item_id, text="")
        self.feed.put(ItemStarted(turn_id=TURN, item=item, at_ms=0), ordinal=len(self.log))

    def begin_text(self, which: int) -> None:
        if self.open:
            item_id, texts = self._pick(which)
            text = OpenText("text", len(texts))
            text.append(f"<{item_id}.{len(texts)}>")
            texts.append(text)
            self.feed.attach(TURN, ItemId(item_id), text)

    def append(self, which: int, piece: str) -> None:
        if self.open:
            _, texts = self._pick(which)
            if texts:
                texts[-1].append(piece)

    def complete(self, which: int, count: int) -> None:
        """One append, then its events with one ordinal."""
        events: list[SessionEvent] = []
        while self.open and len(events) < count:
            item_id, texts = self._pick(which)
            del self.open[item_id]
            self.done[item_id] = [text.text() for text in texts]
            item = AgentMessage(id=item_id, text="".join(self.done[item_id]))
            events.append(ItemCompleted(turn_id=TURN, item=item, at_ms=0))
            self.log.extend((None, events[-1]))
        for event in events:
            self.feed.put(event, ordinal=len(self.log))

    def status(self) -> None:
        self.statuses += 1
        status = ThreadStatus(kind="active") if self.statuses % 2 else ThreadStatus(kind="idle")
        self.feed.put(StatusChanged(status=status), ordinal=len(self.log))

    def _pick(self, which: int) -> tuple[str, list[OpenText]]:
        keys = list(self.open)
        key = keys[which % len(keys)]
        return key, self.open[key]


class Reader:
    """Takes when told to, and checks what it hears as it comes."""

    def __init__(self, writer: Writer, *, after: Reader | None = None) -> None:
        self.writer = writer
        self.seqs: list[int] = []
        self.texts: dict[tuple[str, int], str] = {}
        self.open: set[str] = set(writer.open)
        self.known = {item_id: [len(text.text()) for text in texts] for item_id, texts in writer.open.items()}
        self.completed: list[str] = []
        self.started: list[str] = []
        self.lagged = False
        self.live = False
        self.status = ""
        self.calls = 0
        self.from_seq = writer.feed.next_seq
        self.before = set(writer.done)
        if after is None:
            subscription = writer.feed.subscription(VIEW)
        else:
            last = max(after.seqs, default=after.from_seq - 1)
            subscription = writer.feed.subscription(VIEW, after_seq=last, epoch="epoch")
            if subscription.resumed:
                self.from_seq = last + 1
                self.open = set(after.open)
                self.known = {}
                self.before = after.before | set(after.completed)
                self.texts = {key: text for key, text in after.texts.items() if key[0] in self.open}
        self.resumed = subscription.resumed
        self.cursor: Cursor = subscription.cursor
        self.cursor.start(self._on_dirty)

    def _on_dirty(self, cursor: Cursor) -> None:
        assert cursor is self.cursor
        assert cursor.dirty
        self.calls += 1

    def take(self, budget: int, page: int = 1000) -> None:
        while self.cursor.lagging():
            self.lagged = True
            first, end = self.cursor.missing()
            end = min(end, first + page)
            told = [(n, e) for n, e in enumerate(self.writer.log) if first <= n < end and e is not None]
            self.cursor.catch_up(told, end)
        for frame in self.cursor.take(budget):
            self._hear(_decode(frame))

    def drain(self) -> None:
        for _ in range(10_000):
            if not self.cursor.dirty:
                return
            self.take(100)
        raise AssertionError("the reader never comes to an end")

    def _hear(self, heard: Heard) -> None:
        if heard.seq:
            assert not self.seqs or heard.seq > self.seqs[-1]
            self.seqs.append(heard.seq)
        match heard.what:
            case "started":
                assert heard.item not in self.open
                self.open.add(heard.item)
                self.started.append(heard.item)
            case "delta":
                assert heard.item in self.open
                key = (heard.item, heard.number)
                so_far = self.texts.get(key, "")
                if self.resumed:
                    so_far = so_far[: heard.offset]
                elif heard.item in self.known and heard.number < len(self.known[heard.item]):
                    assert heard.offset == self.known[heard.item][heard.number] + len(so_far)
                else:
                    assert heard.offset == len(so_far)
                self.texts[key] = so_far + heard.text
            case "completed":
                assert heard.item in self.open
                self.open.remove(heard.item)
                self.completed.append(heard.item)
            case "status":
                self.status = heard.text
            case "live":
                assert self.resumed
                assert not self.live
                self.live = True

    def check(self) -> None:
        """After everything has been taken."""
        writer = self.writer
        assert self.open == set(writer.open)
        assert sorted(self.completed) == sorted(set(writer.done) - self.before)
        if writer.statuses and self.from_seq == 1:
            assert self.status == ("active" if writer.statuses % 2 else "idle")
        if not self.lagged:
            assert self.seqs == list(range(self.from_seq, writer.feed.next_seq))
        for item_id in self.completed:
            for number, whole in enumerate(writer.done[item_id]):
                known = self.known.get(item_id, [])
                expected = whole[known[number] :] if number < len(known) else whole
                told = self.texts.get((item_id, number), "")
                assert expected.startswith(told)
                assert self.lagged or self.resumed or told == expected


operations = st.one_of(
    st.tuples(st.just("start"), st.just(0), st.just("")),
    st.tuples(st.just("text"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("append"), st.integers(0, 3), st.text("abcdé\n", max_size=30)),
    st.tuples(st.just("complete"), st.integers(0, 3), st.sampled_from(["", "x", "xx"])),
    st.tuples(st.just("status"), st.just(0), st.just("")),
    st.tuples(st.just("join"), st.just(0), st.just("")),
    st.tuples(st.just("rejoin"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("take"), st.integers(0, 3), st.sampled_from(["x", "x" * 60, "x" * 10_000])),
)


# A loaded machine generates slowly; that says nothing of the feed.
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operations, max_size=60), st.sampled_from([4, 1000]), st.sampled_from([1, 3, 1000]))
def test_every_reader_is_told_every_item_whole_and_in_order(
    steps: list[tuple[str, int, str]], tail_events: int, page: int
) -> None:
    with patch.object(feed_module, "TAIL_EVENTS", tail_events):
        writer = Writer()
        readers = [Reader(writer)]
        for what, which, argument in steps:
            match what:
                case "start":
                    writer.start()
                case "text":
                    writer.begin_text(which)
                case "append":
                    writer.append(which, argument)
                case "complete":
                    writer.complete(which, len(argument) + 1)
                case "status":
                    writer.status()
                case "join":
                    readers.append(Reader(writer))
                case "rejoin":
                    old = readers.pop(which % len(readers))
                    old.cursor.close()
                    readers.append(Reader(writer, after=old))
                case _:
                    readers[which % len(readers)].take(len(argument), page)
        for reader in readers:
            reader.drain()
            reader.check()


def _feed() -> tuple[Feed, PlainEncoder]:
    encoder = PlainEncoder()
    return Feed(THREAD, "epoch", encoder), encoder


def _started(item_id: str) -> ItemStarted:
    return ItemStarted(turn_id=TURN, item=AgentMessage(id=item_id, text=""), at_ms=0)


def _completed(item_id: str, text: str) -> ItemCompleted:
    return ItemCompleted(turn_id=TURN, item=AgentMessage(id=item_id, text=text), at_ms=0)


def _reader(feed: Feed, subscription: Subscription | None = None) -> tuple[Cursor, list[int]]:
    calls: list[int] = []
    cursor = (subscription or feed.subscription(VIEW)).cursor
    cursor.start(lambda _: calls.append(1))
    return cursor, calls


def _take(cursor: Cursor, budget: int = 10_000) -> list[tuple[str, str]]:
    return [(heard.what, heard.text or heard.item) for heard in map(_decode, cursor.take(budget))]


def test_readers_in_step_share_one_encoding_of_events_and_deltas() -> None:
    feed, encoder = _feed()
    cursors = [_reader(feed)[0] for _ in range(3)]
    feed.put(_started("a"), ordinal=0)
    text = OpenText("text")
    feed.attach(TURN, ItemId("a"), text)
    for piece in ("one ", "two ", "three"):
        text.append(piece)
        taken = [cursor.take() for cursor in cursors]
        assert taken[0] == taken[1] == taken[2]
    assert encoder.encoded == 4


def test_a_reader_is_called_once_until_it_has_taken_everything() -> None:
    feed, _ = _feed()
    cursor, calls = _reader(feed)
    feed.put(_started("a"), ordinal=0)
    feed.put(_started("b"), ordinal=0)
    assert len(calls) == 1
    assert len(cursor.take(1)) == 1
    feed.put(_started("c"), ordinal=0)
    assert len(calls) == 1
    while cursor.dirty:
        cursor.take(1)
    feed.put(_started("d"), ordinal=0)
    assert len(calls) == 2
    cursor.close()
    cursor.close()
    feed.put(_started("e"), ordinal=0)
    assert len(calls) == 2
    assert feed.subscribers == 0


def test_a_subscription_nobody_takes_leaves_nothing_and_one_taken_late_misses_nothing() -> None:
    feed, _ = _feed()
    dropped = feed.subscription(VIEW)
    taken = feed.subscription(VIEW)
    del dropped
    assert feed.subscribers == 0
    feed.put(_started("a"), ordinal=0)
    text = OpenText("text")
    text.append("hello")
    feed.attach(TURN, ItemId("a"), text)
    cursor, calls = _reader(feed, taken)
    assert calls == [1]
    assert _take(cursor) == [("started", "a"), ("delta", "hello")]


def test_a_reader_that_never_takes_costs_nothing_for_each_delta() -> None:
    feed, encoder = _feed()
    stuck, _ = _reader(feed)
    feed.put(_started("a"), ordinal=0)
    text = OpenText("text")
    feed.attach(TURN, ItemId("a"), text)
    for _ in range(5000):
        text.append("word ")
    assert encoder.encoded == 0
    assert stuck._readings == []
    assert sum(len(frame) for frame in stuck.take(1000)) < 2000


def test_texts_of_completed_items_are_let_go_once_everybody_has_passed_or_there_are_too_many() -> None:
    feed, _ = _feed()
    fast, _ = _reader(feed)
    slow, _ = _reader(feed)
    with patch.object(feed_module, "SEALED_CHARS", 25):
        for name in ("a", "b", "c"):
            feed.put(_started(name), ordinal=0)
            text = OpenText("text")
            feed.attach(TURN, ItemId(name), text)
            text.append("0123456789")
            feed.put(_completed(name, "0123456789"), ordinal=0)
            fast.take()
        assert len(feed.texts) == 2
        heard = _take(slow)
        assert [what for what, _ in heard] == [
            *("started", "completed"),
            *("started", "delta", "completed"),
            *("started", "delta", "completed"),
        ]
        feed.put(_started("d"), ordinal=0)
        assert feed.texts == {}


def test_a_channel_that_is_not_shown_is_skipped() -> None:
    feed, _ = _feed()
    cursor, _ = _reader(feed)
    feed.put(_started("a"), ordinal=0)
    text = OpenText("arguments")
    feed.attach(TURN, ItemId("a"), text)
    text.append('{"command"')
    feed.put(_completed("a", "done"), ordinal=0)
    assert _take(cursor) == [("started", "a"), ("completed", "done")]
    assert not cursor.dirty


def test_a_new_life_of_the_session_goes_on_in_the_same_feed() -> None:
    feed, _ = _feed()
    cursor, _ = _reader(feed)
    feed.put(_started("a"), ordinal=0)
    text = OpenText("text")
    feed.attach(TURN, ItemId("a"), text)
    text.append("half")
    feed.new_writer()
    cursor.take()
    text.append("a dead writer's last words")
    assert not cursor.dirty
    feed.put(_completed("a", "half"), ordinal=1)
    assert [what for what, _ in _take(cursor)][-1] == "completed"


def test_resuming_from_another_epoch_or_from_before_the_tail_is_a_fresh_subscription() -> None:
    feed, _ = _feed()
    with patch.object(feed_module, "TAIL_EVENTS", 3):
        for _ in range(5):
            feed.put(Warned(message="x"), ordinal=0)
        assert not feed.subscription(VIEW, after_seq=4, epoch="another").resumed
        assert not feed.subscription(VIEW, after_seq=1, epoch="epoch").resumed
        assert not feed.subscription(VIEW, after_seq=9, epoch="epoch").resumed
        assert feed.subscription(VIEW, after_seq=2, epoch="epoch").resumed
        cursor, _ = _reader(feed, feed.subscription(VIEW, after_seq=5, epoch="epoch"))
        assert _take(cursor) == [("live", "")]


def test_news_reach_every_reader_in_order_and_a_newer_status_replaces_one_not_taken() -> None:
    everywhere = GlobalFeed(PlainEncoder())
    calls: list[str] = []
    fast = everywhere.read(lambda: calls.append("fast"))
    slow = everywhere.read(lambda: calls.append("slow"))
    feed = Feed(THREAD, "epoch", PlainEncoder(), everywhere=everywhere)
    everywhere.thread_started(VIEW)
    assert [news.frame for news in fast.take()] == [b"started thread"]
    feed.put(StatusChanged(status=ThreadStatus(kind="active")), ordinal=0)
    feed.put(StatusChanged(status=ThreadStatus(kind="idle")), ordinal=0)
    assert calls == ["fast", "slow", "fast"]
    assert [news.frame for news in fast.take()] == [b"idle thread"]
    feed.close()
    assert [news.frame for news in slow.take()] == [
        b"started thread",
        b"idle thread",
        b"notLoaded thread",
        b"closed thread",
    ]
    late = everywhere.read(lambda: calls.append("late"))
    assert late.take() == []
    for reader in (fast, slow, late):
        reader.close()
        reader.close()
