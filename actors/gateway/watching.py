"""What one connection watches, and the taking turns of its threads on the socket.

The outlet asks for frames when the socket can take some (`take`). Threads with news are asked in turn, each for a
bounded number of bytes, so that one that talks all the time cannot drown the others. A thread's answer to a
subscription is a barrier: the cursor starts when the response is in the queue, behind it come the tokens used so far
and the questions that are still open, then what happens.

A reader that fell behind a thread's tail is caught up from the log by a task of its own, page by page; the other
threads of the connection go on meanwhile.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import trio

from actors.gateway.catch_up import retell
from actors.gateway.dynamic_tools import CALL_METHOD, Hosts, call_params
from actors.gateway.house import ThreadLibrary
from actors.gateway.notifications import REQUEST_METHODS, WireEncoder, approval_request, method_of, request
from actors.gateway.outlet import Outlet
from actors.kernel import KernelError
from actors.session.cursor import TAKE_BYTES, Cursor
from actors.session.feed import Subscription
from actors.session.global_feed import GlobalFeed, GlobalReader
from messages.base import ThreadId
from messages.client.callboard import EventsSkipped
from messages.session import UsageUpdated

USAGE_METHOD = "thread/tokenUsage/updated"

logger = logging.getLogger(__name__)

PAGE_RECORDS = 256
"""Records read back from the log at once: some hundred kilobytes, so that a client far behind costs no more."""


class Watch:
    """One thread this connection watches."""

    __slots__ = ("approvals", "calls", "catching_up", "cursor", "queued", "thread_id")

    def __init__(self, thread_id: ThreadId, cursor: Cursor, approvals: frozenset[str]) -> None:
        self.thread_id = thread_id
        self.cursor = cursor
        self.approvals = approvals
        """Questions that were open when it began to watch; later ones are in the feed."""
        self.calls: set[str] = set()
        """Calls of a client's tool that this client has been asked to run."""
        self.catching_up = False
        self.queued = False
        """It is among those that wait for their turn."""


class Watched:
    """All that one connection watches. ``nursery`` ends with the connection."""

    def __init__(
        self,
        outlet: Outlet,
        encoder: WireEncoder,
        library: ThreadLibrary,
        nursery: trio.Nursery,
        on_left: Callable[[ThreadId], None],
        hosts: Hosts,
    ) -> None:
        self._outlet = outlet
        self._encoder = encoder
        self._library = library
        self._nursery = nursery
        self._on_left = on_left
        """Told when a thread is not watched any more."""
        self._hosts = hosts
        self._watches: dict[ThreadId, Watch] = {}
        self._dirty: deque[Watch] = deque()
        self._news: GlobalReader | None = None
        self._opted_out: frozenset[bytes] = frozenset()

    def opt_out(self, methods: tuple[str, ...]) -> None:
        """From now on notifications of these methods are left out. Questions are asked all the same."""
        self._opted_out = frozenset(name.encode() for name in methods if name not in REQUEST_METHODS)

    def wants(self, method: str) -> bool:
        """Whether a notification of this method is to be sent."""
        return method.encode() not in self._opted_out

    def hear_everywhere(self, everywhere: GlobalFeed) -> None:
        """Be told of all threads that start, change their status and close."""
        if self._news is None:
            self._news = everywhere.read(self._outlet.flush_soon)

    def watch(self, subscription: Subscription) -> None:
        """Begin, or begin anew: the response that tells of it must be in the outlet's queue already."""
        view, cursor = subscription.view, subscription.cursor
        thread_id = ThreadId(view.summary.id)
        self._drop(thread_id)
        coming = cursor.asks_ahead() if subscription.resumed else frozenset()
        watch = Watch(thread_id, cursor, frozenset(approval.id for approval in view.approvals))
        usage = cursor.feed.latest.get(UsageUpdated)
        if usage is not None and not subscription.resumed and self.wants(USAGE_METHOD):
            # The snapshot has no place for it, and clients show how full the context is from the beginning.
            self._outlet.send(self._encoder.event(thread_id, cursor.feed.epoch, 0, usage.event))
        for approval in view.approvals:
            if approval.id not in coming:
                self._outlet.send(approval_request(thread_id, approval))
        self._watches[thread_id] = watch
        if view.settings.dynamic_tools and self.wants(CALL_METHOD):
            self._hosts.join(thread_id, self)
        cursor.start(lambda _: self._on_dirty(watch))
        if cursor.feed.client_calls:
            self._on_dirty(watch)

    def called_in(self, call_id: str) -> ThreadId | None:
        """In which of the watched threads this client was asked to run this call."""
        return next((watch.thread_id for watch in self._watches.values() if call_id in watch.calls), None)

    def take_over(self, thread_id: ThreadId) -> None:
        """From now on calls of this thread's tools are put to this client."""
        watch = self._watches.get(thread_id)
        if watch is not None:
            self._on_dirty(watch)

    def leave(self, thread_id: ThreadId) -> bool:
        """Stop watching. False: this connection did not watch it."""
        if not self._drop(thread_id):
            return False
        self._on_left(thread_id)
        return True

    def close(self) -> None:
        """Stop watching anything."""
        for thread_id in tuple(self._watches):
            self.leave(thread_id)
        if self._news is not None:
            self._news.close()
            self._news = None

    def asked_in(self, approval_id: str) -> ThreadId | None:
        """In which of the watched threads this question was put."""
        for watch in self._watches.values():
            if approval_id in watch.approvals or approval_id in watch.cursor.feed.approvals:
                return watch.thread_id
        return None

    def has_news(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._dirty) or (self._news is not None and self._news.dirty)

    def __contains__(self, thread_id: object) -> bool:
        return thread_id in self._watches

    # --- taking -----------------------------------------------------------------------------------------------------

    def take(self, room: int) -> list[bytes]:
        """New frames in order, about ``room`` bytes of them (the outlet's `Source`)."""
        frames: list[bytes] = []
        if self._news is not None and self._news.dirty:
            self._take_news(frames)
        for _ in range(len(self._dirty)):
            if room <= 0:
                break
            watch = self._dirty.popleft()
            watch.queued = False
            room -= self._take_from(watch, frames, min(room, TAKE_BYTES))
        if self._dirty:
            self._outlet.flush_soon()
        if self._opted_out:
            frames = [frame for frame in frames if method_of(frame) not in self._opted_out]
        return frames

    def _take_news(self, frames: list[bytes]) -> None:
        assert self._news is not None
        for news in self._news.take():
            watch = self._watches.get(news.thread_id)
            if watch is not None:
                if news.kind == "status":
                    continue  # the thread's own feed tells it, in order with everything else
                if news.kind == "unloaded":
                    self._take_rest(watch, frames)
            frames.append(news.frame)
            if news.kind == "closed":
                self.leave(news.thread_id)

    def _take_rest(self, watch: Watch, frames: list[bytes]) -> None:
        """All that is left of a thread that was unloaded: its readers hear the end before they hear that it is gone."""
        while watch.cursor.dirty and not watch.cursor.lagging():
            frames.extend(watch.cursor.take())

    def _take_from(self, watch: Watch, frames: list[bytes], room: int) -> int:
        cursor = watch.cursor
        if watch.catching_up:
            return 0
        taken = cursor.take(room) if cursor.dirty else []
        if not cursor.dirty and (cursor.feed.client_calls or watch.calls):
            taken += self._client_calls(watch)
        frames.extend(taken)
        if cursor.lagging() and not cursor.has_backlog():
            watch.catching_up = True
            self._nursery.start_soon(self._catch_up, watch)
        elif cursor.dirty:
            self._queue(watch)
        return sum(map(len, taken))

    def _client_calls(self, watch: Watch) -> list[bytes]:
        """The calls that this client is to run and has not been told of. They come behind all that happened."""
        if not self._hosts.is_host(watch.thread_id, self):
            return []
        open_calls = watch.cursor.feed.client_calls
        watch.calls &= open_calls.keys()
        new = [call for call in open_calls.values() if call.id not in watch.calls]
        watch.calls.update(call.id for call in new)
        return [request(CALL_METHOD, call.id, call_params(watch.thread_id, call)) for call in new]

    def _on_dirty(self, watch: Watch) -> None:
        self._queue(watch)
        self._outlet.flush_soon()

    def _queue(self, watch: Watch) -> None:
        if not watch.queued:
            watch.queued = True
            self._dirty.append(watch)

    def _drop(self, thread_id: ThreadId) -> bool:
        watch = self._watches.pop(thread_id, None)
        if watch is None:
            return False
        watch.cursor.close()
        if watch.queued:
            self._dirty.remove(watch)
        heir = self._hosts.leave(thread_id, self)
        if heir is not None:
            heir.take_over(thread_id)
        return True

    # --- catching up ------------------------------------------------------------------------------------------------

    async def _catch_up(self, watch: Watch) -> None:
        """Give one page of the log to a cursor that fell behind; it asks again if that was not enough."""
        cursor = watch.cursor
        first, end = cursor.missing()
        up_to = min(end, first + PAGE_RECORDS)
        try:
            records = await self._library.records(watch.thread_id, first_ordinal=first, limit=up_to - first)
            told = retell(record for record in records if record[0] < up_to)
        except (OSError, KernelError) as error:
            logger.warning("thread %s: its log cannot tell a client what it missed: %s", watch.thread_id, error)
            records, told = (), []
        if not records and up_to > first:
            up_to = end
            reason = "The log of this thread cannot tell what happened meanwhile; read the thread anew."
            self._outlet.send(
                self._encoder.notice("callboard/eventsSkipped", EventsSkipped(thread_id=watch.thread_id, reason=reason))
            )
        watch.catching_up = False
        if self._watches.get(watch.thread_id) is watch:
            cursor.catch_up(told, up_to)
            self._on_dirty(watch)
