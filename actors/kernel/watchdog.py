"""Measures how late the loop is, and catches in the act whatever blocks it.

The actor sleeps for `BEAT_SECONDS` over and over and measures by how much it woke too late: so late is everybody else
at that moment. It keeps the window under way and the last complete one; ask it with `GetLag`.

With ``catch=True`` a thread also waits for each beat. The thread needs no clock: if it has waited `LATE_SECONDS` in
vain, the loop is blocked *now*, and the loop thread's stack says by what. Taking a stack costs some 20 µs and happens
only then; a beat costs two thread switches, which is why it is optional.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from types import FrameType
from typing import TYPE_CHECKING, assert_never

import msgspec
import trio

from actors.kernel.context import Context
from actors.kernel.directory import Service
from actors.kernel.lag import LagHistogram, LagReport
from actors.kernel.mailbox import Mailbox
from messages.base import Delivery, Lane, Message

if TYPE_CHECKING:
    from actors.ports import Clock, Threads

BEAT_SECONDS = 0.1
"""Ten measurements a second cost under 0.1 % of a core and catch any block longer than that for certain."""

LATE_SECONDS = 0.25
"""A beat this much overdue is a block worth a stack: twice a beat and a person's notice."""

WINDOW_BEATS = 600
"""One window is a minute: long enough for a 99th percentile, short enough to be about now."""

KEPT_BLOCKS = 16
"""Stacks kept; a loop that is blocked all the time is usually blocked by the same few."""

STACK_DEPTH = 40
"""Frames per stack, innermost kept: what blocks is at the inner end, what is common at the outer."""


class GetLag(Message, frozen=True, kw_only=True):
    """How late is the loop? The reply, at the next beat, is a `LagView`."""

    lane = Lane.CONTROL
    delivery = Delivery.RETRY_SAFE


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One time the loop was found blocked."""

    stack: tuple[str, ...]
    """``file:line function``, outermost call first. Code places only, no values."""


class LagView(Message, frozen=True, kw_only=True):
    """What the watchdog knows."""

    now: LagReport
    """The window under way."""
    last: LagReport | None
    """The last complete window, `WINDOW_BEATS` long."""
    blocks: tuple[Block, ...]
    """What was caught, oldest first; empty without ``catch``."""


WATCHDOG: Service[GetLag] = Service("watchdog")


class LoopWatchdog:
    """``run`` is a `Start`."""

    def __init__(self, *, clock: Clock, threads: Threads, catch: bool = False) -> None:
        self._clock = clock
        self._threads = threads
        self._catch = catch

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """Measure until cancelled."""
        mailbox: Mailbox[GetLag] = ctx.open_mailbox()
        ctx.publish(WATCHDOG, mailbox.address)
        catcher = _Catcher(threading.get_ident())
        window = LagHistogram()
        last: LagReport | None = None
        async with trio.open_nursery() as nursery:
            if self._catch:
                nursery.start_soon(self._threads.run, catcher.watch)
            try:
                task_status.started()
                beats = 0
                while True:
                    due = self._clock.monotonic() + BEAT_SECONDS
                    await trio.sleep(BEAT_SECONDS)
                    window.add(self._clock.monotonic() - due)
                    catcher.beat.set()
                    beats += 1
                    if beats == WINDOW_BEATS:
                        last, window, beats = window.report(), LagHistogram(), 0
                    for message, reply in mailbox.receive_nowait():
                        match message:
                            case GetLag():
                                if reply is not None:
                                    reply.answer(LagView(now=window.report(), last=last, blocks=tuple(catcher.blocks)))
                            case _:
                                assert_never(message)
            finally:
                catcher.stop()  # the thread is waited for by its port, so it has to end by itself


class _Catcher:
    """The thread's side. `deque.append` and `Event` are the only things both threads touch."""

    def __init__(self, loop_thread: int) -> None:
        self._loop_thread = loop_thread
        self._stopping = False
        self.beat = threading.Event()
        self.blocks: deque[Block] = deque(maxlen=KEPT_BLOCKS)

    def watch(self) -> None:
        """Wait for beats until stopped; each one that is late leaves the loop's stack (one stack per block)."""
        while not self._stopping:
            if self.beat.wait(BEAT_SECONDS + LATE_SECONDS):
                self.beat.clear()
                continue
            frame = sys._current_frames().get(self._loop_thread)
            if frame is not None and not self._stopping:
                self.blocks.append(Block(stack=_places(frame)))
            del frame  # or it would keep the blocked code's locals alive
            self.beat.wait()
            self.beat.clear()

    def stop(self) -> None:
        """From the loop."""
        self._stopping = True
        self.beat.set()


def _places(frame: FrameType | None) -> tuple[str, ...]:
    places: list[str] = []
    while frame is not None and len(places) < STACK_DEPTH:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(places))
