"""What every initialised connection is told, whether it watches the thread or not: started, status, closed.

Such news say how things stand, so a newer one of the same thread and kind replaces an older one that a slow reader has
not taken: the tail is compacted, its size is bounded by the number of threads, and nobody has a queue. A reader that
watches a thread hears of its status from the thread's own feed, in order with everything else, and skips it here.

Rejected: telling each connection by message (a copy for each, and a queue for each that does not read).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from messages.base import ThreadId
from messages.client.account import AccountUpdated
from messages.client.event import RateLimitsUpdated
from messages.session import ThreadStatus, ThreadView

NEWS_KEPT = 8192
"""News of so many threads and kinds are kept for slow readers; older ones only leave lists of threads out of date."""

NewsKind = Literal["started", "status", "unloaded", "closed", "account", "limits"]

NO_THREAD = ThreadId("")
"""What news are about that are about no thread."""


class BroadcastEncoder(Protocol):
    """How the news look on the wire."""

    def thread_started(self, view: ThreadView) -> bytes: ...

    def thread_status(self, thread_id: ThreadId, status: ThreadStatus) -> bytes: ...

    def thread_closed(self, thread_id: ThreadId) -> bytes: ...

    def account_changed(self, account: AccountUpdated) -> bytes: ...

    def limits_changed(self, limits: RateLimitsUpdated) -> bytes: ...


class News(NamedTuple):
    """One piece of news, encoded for all."""

    number: int
    thread_id: ThreadId
    kind: NewsKind
    frame: bytes


class GlobalFeed:
    """Written by gateway and sessions, read by connections. Costs nothing while nobody reads."""

    def __init__(self, encoder: BroadcastEncoder) -> None:
        self._encoder = encoder
        self._news: dict[tuple[ThreadId, NewsKind], News] = {}
        self._number = 0
        self._readers: set[GlobalReader] = set()
        self._clean: list[GlobalReader] = []

    def thread_started(self, view: ThreadView) -> None:
        """A new thread."""
        if self._readers:
            self._put(view.summary.id, "started", self._encoder.thread_started(view))

    def status_changed(self, thread_id: ThreadId, status: ThreadStatus) -> None:
        """A thread begins or ends to work, waits, fails, is unloaded."""
        if self._readers:
            self._put(thread_id, "status", self._encoder.thread_status(thread_id, status))

    def thread_closed(self, thread_id: ThreadId) -> None:
        """A thread was unloaded."""
        if self._readers:
            self._put(thread_id, "unloaded", self._encoder.thread_status(thread_id, ThreadStatus(kind="notLoaded")))
            self._put(thread_id, "closed", self._encoder.thread_closed(thread_id))

    def account_changed(self, account: AccountUpdated) -> None:
        """Somebody logged in or out."""
        if self._readers:
            self._put(NO_THREAD, "account", self._encoder.account_changed(account))

    def limits_changed(self, limits: RateLimitsUpdated) -> None:
        """The backend has said how much of an account's limits is used."""
        if self._readers:
            self._put(NO_THREAD, "limits", self._encoder.limits_changed(limits))

    def read(self, on_dirty: Callable[[], None]) -> GlobalReader:
        """A reader at the present. ``on_dirty`` is called once when there is news, and again after it was taken."""
        reader = GlobalReader(self, on_dirty, self._number)
        self._readers.add(reader)
        self._clean.append(reader)
        return reader

    def _put(self, thread_id: ThreadId, kind: NewsKind, frame: bytes) -> None:
        self._number += 1
        key = (thread_id, kind)
        self._news.pop(key, None)
        self._news[key] = News(self._number, thread_id, kind, frame)
        if len(self._news) > NEWS_KEPT:
            del self._news[next(iter(self._news))]
        clean, self._clean = self._clean, []
        for reader in clean:
            reader.dirty = True
            reader.on_dirty()


class GlobalReader:
    """One connection's place."""

    __slots__ = ("_feed", "_number", "dirty", "on_dirty")

    def __init__(self, feed: GlobalFeed, on_dirty: Callable[[], None], number: int) -> None:
        self._feed = feed
        self._number = number
        self.on_dirty = on_dirty
        self.dirty = False

    def take(self) -> list[News]:
        """The news since the last take, oldest first."""
        feed = self._feed
        found: list[News] = []
        for news in reversed(feed._news.values()):
            if news.number <= self._number:
                break
            found.append(news)
        found.reverse()
        self._number = feed._number
        if self.dirty:
            self.dirty = False
            feed._clean.append(self)
        return found

    def close(self) -> None:
        """Stop reading. May be called twice."""
        feed = self._feed
        feed._readers.discard(self)
        if self in feed._clean:
            feed._clean.remove(self)
        if not feed._readers:
            feed._news.clear()
