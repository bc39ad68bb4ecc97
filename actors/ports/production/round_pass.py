"""What every kind of rounds shares: who is called, who is flushed, and that a failing callback harms only itself.

A subclass knows how to learn that streams are readable (an epoll, a task per socket, a simulated wire) and calls
`_round` with those; all else is here, so that the simulated rounds and the real ones cannot drift apart.

    round:   on_readable of each ready stream  →  flush of each dirty target  →  back to trio
    between: a target made dirty outside a round, or a stream holding data that its socket no longer shows
             (TLS decrypts whole records), wakes a small second task, which lets the tasks now runnable run
             first and then does one more round.

Rejected: flushing at once when outside a round (a burst of messages would be a burst of writes), and a task per
dirty connection (switching tasks is what the rounds are there to avoid).
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Callable, Iterable

import msgspec
import trio

from actors.ports.network import ROUND_SOCKETS, ByteStream, Flushable

logger = logging.getLogger(__name__)

FailureHook = Callable[[object, Exception], None]
"""Told of the stream or the flushable whose callback raised, and of what it raised."""


def log_failure(culprit: object, error: Exception) -> None:
    """The default hook: a callback that raises is a defect of ours, and must be seen."""
    logger.error("a callback in the rounds failed and was taken out: %r", culprit, exc_info=error)


class RoundStream(trio.abc.Stream):
    """A byte stream that can be watched. The rounds need two facts more than `ByteStream` tells."""

    _leave_rounds: Callable[[], None] | None = None

    @abc.abstractmethod
    def fileno(self) -> int:
        """The descriptor to poll; -1 once closed."""

    @abc.abstractmethod
    def has_pending(self) -> bool:
        """Whether `try_receive` may have something although the descriptor is not readable."""

    def join_rounds(self, leave: Callable[[], None]) -> None:
        """Remember how to leave when closed, before the descriptor's number is given to another."""
        if self._leave_rounds is not None:
            raise trio.BusyResourceError("this stream is watched already; close its watch first")
        self._leave_rounds = leave

    def left_rounds(self) -> None:
        """The watch is gone."""
        self._leave_rounds = None

    def leave_rounds(self) -> None:
        """To be called first when the stream closes."""
        if self._leave_rounds is not None:
            self._leave_rounds()


class RoundWatch:
    """A stream's place in the rounds (the `Watch` of the port)."""

    __slots__ = ("_rounds", "closed", "listening", "on_readable", "stream", "token")

    def __init__(self, rounds: RoundBase, stream: RoundStream, on_readable: Callable[[], None]) -> None:
        self._rounds = rounds
        self.stream = stream
        self.on_readable = on_readable
        self.listening = False
        self.closed = False
        self.token: object = None
        """Whatever the kind of rounds needs to find the stream again (a descriptor, a scope)."""

    def pause(self) -> None:
        if self.listening:
            self.listening = False
            self._rounds._unlisten(self)  # a watch and its rounds are one thing in two objects

    def resume(self) -> None:
        if not self.listening and not self.closed:
            self.listening = True
            self._rounds._listen(self)
            if self.stream.has_pending():
                self._rounds._serve_later(self)

    def close(self) -> None:
        if not self.closed:
            self.pause()
            self.closed = True
            self.stream.left_rounds()
            self._rounds._forget(self)


class RoundStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the metrics show of the rounds."""

    rounds: int
    callbacks: int
    flushes: int
    failures: int
    watched: int


class RoundBase(abc.ABC):
    """The rounds without the waiting."""

    def __init__(self, on_failure: FailureHook = log_failure) -> None:
        self._on_failure = on_failure
        self._watches: dict[RoundWatch, None] = {}
        self._pending: dict[RoundWatch, None] = {}
        self._dirty: dict[Flushable, None] = {}
        self._flushing: dict[Flushable, None] = {}
        """Whose turn in the flush under way is still to come: made dirty again, they need no other."""
        self._under_way = False
        self._sleeper: trio.lowlevel.Task | None = None
        self._rung = False
        self._rounds = 0
        self._callbacks = 0
        self._flushes = 0
        self._failures = 0

    # --- the port ---------------------------------------------------------------------------------------------------

    def watch(self, stream: ByteStream, on_readable: Callable[[], None]) -> RoundWatch:
        """See `actors.ports.network.Rounds`."""
        if not isinstance(stream, RoundStream):
            raise TypeError(f"only a stream made by the network port can be watched, not {stream!r}")
        if stream.fileno() < 0:
            raise trio.ClosedResourceError("this stream is closed")
        watch = RoundWatch(self, stream, on_readable)
        stream.join_rounds(watch.close)
        self._watches[watch] = None
        watch.resume()
        return watch

    def flush_later(self, target: Flushable) -> None:
        """See `actors.ports.network.Rounds`."""
        if target not in self._flushing:
            self._dirty[target] = None
            if not self._under_way:
                self._ring()

    def statistics(self) -> RoundStatistics:
        """Counters since the start."""
        return RoundStatistics(
            rounds=self._rounds,
            callbacks=self._callbacks,
            flushes=self._flushes,
            failures=self._failures,
            watched=len(self._watches),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. May be run again after that: a supervisor restarts it with all its watches."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_between_rounds)
                task_status.started()
                await self._serve()
        finally:
            self._flush()  # what was said before the end is still put on the wire, as far as it fits

    # --- what a kind of rounds adds ---------------------------------------------------------------------------------

    @abc.abstractmethod
    async def _serve(self) -> None:
        """Wait for readable streams and call `_round` with them, until cancelled."""

    @abc.abstractmethod
    def _listen(self, watch: RoundWatch) -> None:
        """From now on this stream's readiness counts."""

    @abc.abstractmethod
    def _unlisten(self, watch: RoundWatch) -> None:
        """And now no longer."""

    # --- one round --------------------------------------------------------------------------------------------------

    def _round(self, ready: Iterable[RoundWatch]) -> None:
        self._rounds += 1
        self._under_way = True
        try:
            for watch in ready:
                if not watch.listening:
                    continue  # an earlier callback of this round paused or closed it
                self._callbacks += 1
                try:
                    watch.on_readable()
                except Exception as error:
                    watch.close()
                    self._report(watch.stream, error)
                else:
                    if watch.listening and watch.stream.has_pending():
                        self._pending[watch] = None
        finally:
            self._under_way = False
        self._flush()
        if self._pending:
            self._ring()

    def _flush(self) -> None:
        """Flush each dirty target once; one that a flush makes dirty again has its turn later, so this ends."""
        if not self._dirty:
            return
        self._flushing, self._dirty = self._dirty, {}
        for target in tuple(self._flushing):
            del self._flushing[target]
            self._flushes += 1
            try:
                target.flush()
            except Exception as error:
                self._report(target, error)

    def _report(self, culprit: object, error: Exception) -> None:
        self._failures += 1
        try:
            self._on_failure(culprit, error)
        except Exception:
            logger.exception("the failure hook of the rounds failed itself")

    def _forget(self, watch: RoundWatch) -> None:
        self._watches.pop(watch, None)
        self._pending.pop(watch, None)

    # --- between rounds ---------------------------------------------------------------------------------------------

    def _serve_later(self, watch: RoundWatch) -> None:
        self._pending[watch] = None
        self._ring()

    def _ring(self) -> None:
        self._rung = True
        if self._sleeper is not None:
            sleeper, self._sleeper = self._sleeper, None
            trio.lowlevel.reschedule(sleeper)

    async def _serve_between_rounds(self) -> None:
        def stop_waiting(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._rung = bool(self._dirty or self._pending)
        while True:
            if not self._rung:
                self._sleeper = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(stop_waiting)
            # Rung by one of several runnable tasks: the others get their turn, and then all is flushed at once.
            await trio.lowlevel.checkpoint()
            self._rung = False
            ready = tuple(self._pending)[:ROUND_SOCKETS]
            for watch in ready:
                del self._pending[watch]
            self._round(ready)
