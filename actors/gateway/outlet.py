"""The way out to one client: all that is to be sent in a round leaves in one write that does not wait.

    send(frame) ──▶ queue ─┐
    send_raw(bytes) ──▶ ───┤ flush, at the end of the round ──▶ try_send ──▶ socket
    source(room) ──────────┘             what did not fit ──▶ the writer task, until the socket has taken it

Answers and notices are queued, for they were asked for one by one. What streams is not: the outlet asks its *source*
(the connection's cursors) when the socket can take something, for a bounded number of bytes. While the socket is full
it asks for nothing, so a client that does not read costs one partly sent write and its unread answers; and of those
there are only so many, because its requests are not read either while `wait_below` waits.

A message is never torn: what was begun is sent to its end, or the connection ends. No caller's deadline is around a
send. After `finish` only what was queued before it leaves.

Rejected: a bounded queue with a writer task per client (a task switch for each wake, a policy for when it is full), and
sending from the tasks that have something to say (each a write of its own, and a cancelled one tears its frame).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from actors.ports.network import ByteStream, Rounds

logger = logging.getLogger(__name__)

FLUSH_BYTES = 256 * 1024
"""About as much as one connection takes from its feeds in one write: a socket's send buffer holds no more, and the next
connection waits."""

Source = Callable[[int], list[bytes]]
"""New frames, about as many bytes as asked for, without blocking."""

AppendFramed = Callable[[list[bytes], bytes], None]
"""Append a message to the parts of a write, in the transport's framing."""


class Outlet:
    """Owned by one connection; `run` is its writer task. None of its methods raises when the peer is gone."""

    def __init__(self, stream: ByteStream, rounds: Rounds, append_framed: AppendFramed) -> None:
        self._stream = stream
        self._rounds = rounds
        self._append_framed = append_framed
        self._queue: list[bytes] = []
        self._queued = 0
        self._unsent: memoryview | None = None
        self._finished = False
        self._full = trio.Event()
        """Wakes the writer task: a write did not fit."""
        self._progress: trio.Event | None = None
        """Wakes whoever waits for less to be pending; None while nobody does, so that a flush wakes no task."""
        self.source: Source = _nothing
        self.broken = False
        """The peer is gone, or we have cut it off."""
        self.sent_since_ping = False
        self.bytes_sent = 0

    # --- what is to be sent -----------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Queue one message."""
        if not self._finished and not self.broken:
            before = len(self._queue)
            self._append_framed(self._queue, frame)
            self._queued += sum(map(len, self._queue[before:]))
            self._rounds.flush_later(self)

    def send_raw(self, data: bytes) -> None:
        """Queue bytes that are framed already (a handshake, a control frame)."""
        if not self._finished and not self.broken:
            self._queue.append(data)
            self._queued += len(data)
            self._rounds.flush_later(self)

    def flush_soon(self) -> None:
        """The source has something."""
        if self._unsent is None:
            self._rounds.flush_later(self)

    def finish(self) -> None:
        """Nothing after what is queued now: the goodbye is part of it."""
        self._finished = True

    @property
    def pending(self) -> int:
        """Bytes queued or partly sent."""
        return self._queued + (0 if self._unsent is None else len(self._unsent))

    async def wait_below(self, limit: int) -> None:
        """Return when no more than ``limit`` bytes are pending, or the peer is gone."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while self.pending > limit and not self.broken:
            if self._progress is None:
                self._progress = trio.Event()
            await self._progress.wait()

    # --- sending ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """One write that does not wait (see `actors.ports.network.Flushable`)."""
        if self._unsent is not None or self.broken:
            return
        parts, self._queue = self._queue, []
        self._queued = 0
        if not self._finished:
            try:
                frames = self.source(FLUSH_BYTES)
            except Exception:
                # What was taken may be lost, and a client must not go on without it: it comes back and resumes.
                logger.exception("could not encode what a client is to be told; its connection is ended")
                self.cut()
                return
            for frame in frames:
                self._append_framed(parts, frame)
        if parts:
            self._write(b"".join(parts))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send what did not fit. Ends when the peer is gone."""
        task_status.started()
        while not self.broken:
            if self._unsent is None:
                self._full = trio.Event()
                await self._full.wait()
                continue
            try:
                await self._stream.wait_writable()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.cut()
                return
            unsent, self._unsent = self._unsent, None
            if unsent is not None:
                self._write(unsent)
                self.flush()

    def cut(self) -> None:
        """End the connection without ceremony."""
        if not self.broken:
            self.broken = True
            self._queue.clear()
            self._queued = 0
            self._unsent = None
            self._stream.close_now()
            self._full.set()
            self._tell()

    def _write(self, data: bytes | memoryview) -> None:
        try:
            taken = self._stream.try_send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.cut()
            return
        self.sent_since_ping = True
        self.bytes_sent += taken
        if taken < len(data):
            self._unsent = memoryview(data)[taken:]
            self._full.set()
        self._tell()

    def _tell(self) -> None:
        """Wake whoever waits for less to be pending."""
        if self._progress is not None:
            progress, self._progress = self._progress, None
            progress.set()


def _nothing(_: int) -> list[bytes]:
    return []
