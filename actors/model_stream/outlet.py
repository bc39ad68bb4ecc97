"""The way of a stream's structure to its session: in order, without waiting inside a round, without losing anything.

In a round nobody can wait, so what the session's mailbox does not take stays here, and the stream is held up: nothing
more is read until the mailbox has room and the session has taken over the texts that were announced to it. So at most
one read's worth of events is ever kept, and a slow session slows its own model only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from actors.kernel import Address
from actors.session.open_text import TextTable
from messages.model import ItemFinished, StreamEvent, TextBegan


class Outlet:
    """Of one request, for all its attempts. ``on_free`` is called when a blocked outlet is free again."""

    def __init__(self, report: Address[StreamEvent], texts: TextTable, undelivered_limit: int) -> None:
        self.on_free: Callable[[], None] | None = None
        self.at_ease = True
        """Nothing is kept and every text is taken over, so it cannot be blocked: what is looked at for each chunk."""
        self._report = report
        self._texts = texts
        self._limit = undelivered_limit
        self._kept: deque[StreamEvent] = deque()
        self._expecting_room = False
        self._draining = False
        self._text_slots: dict[int, list[int]] = {}
        """By item, where only a part of a text is shown."""
        texts.on_attach = self._settle

    @property
    def blocked(self) -> bool:
        """Nothing more should be read for now."""
        return bool(self._kept) or self._texts.undelivered_chars() > self._limit

    def put(self, events: Iterable[StreamEvent]) -> None:
        """Send what there is room for and keep the rest, in order."""
        if self._texts.shows_parts:
            events = tuple(events)
            self._close_texts(events)
        self._kept.extend(events)
        self._push()
        self.at_ease = not self._kept and self._texts.all_attached

    async def send(self, event: StreamEvent) -> None:
        """Send one event behind all that is kept, waiting for room."""
        self._kept.append(event)
        await self.drain()

    async def drain(self) -> None:
        """Return when nothing is kept."""
        self._draining = True
        try:
            while self._kept:
                await self._report.send(self._kept[0])
                self._kept.popleft()
        finally:
            self._draining = False

    def _close_texts(self, events: Iterable[StreamEvent]) -> None:
        for event in events:
            if isinstance(event, TextBegan):
                self._text_slots.setdefault(event.slot, []).append(event.text_slot)
            elif isinstance(event, ItemFinished):
                for text_slot in self._text_slots.pop(event.slot, ()):
                    self._texts.close(text_slot)

    def _push(self) -> None:
        kept = self._kept
        while kept and not self._draining:
            if not self._report.send_nowait(kept[0]):
                if not self._expecting_room:
                    self._expecting_room = True
                    self._report.on_room(self._has_room)
                return
            kept.popleft()

    def _has_room(self) -> None:
        self._expecting_room = False
        self._push()
        self._settle()

    def _settle(self) -> None:
        self.at_ease = not self._kept and self._texts.all_attached
        if self.on_free is not None and not self.blocked:
            self.on_free()
