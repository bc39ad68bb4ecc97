"""Claim: a feed whose readers have no queues costs less than a queue and a task per client.

A delta is appended to the open text once, and each reader takes what is new as one frame, which readers in step share.
The baseline is the obvious server: each delta is encoded for each client and put into a bounded channel, whose writer
task joins all that waits into one write. Beside them stands a floor that promises nothing: encoded once, an unbounded
queue per client, no task; a client that stops reading there costs memory without end.
"""

from __future__ import annotations

import contextlib
from collections import deque

import msgspec
import trio

from actors.gateway.notifications import WireEncoder
from actors.session.cursor import Cursor
from actors.session.feed import Feed
from actors.session.open_text import OpenText
from bench.harness import Case, Suite, timed, timed_async
from bench.streams import WORDS
from messages.base import ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage
from messages.model import TokenUsage
from messages.session import ItemStarted, ThreadSettings, ThreadStatus, ThreadSummary, ThreadView

THREAD = ThreadId("0193a000-0000-7000-8000-000000000001")
TURN = TurnId("0193a000-0000-7000-8000-000000000002")
ITEM = ItemId("msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9")

ITEM_DELTAS = 2000
"""After so many a new item begins: some pages of text, as long as an answer gets."""

QUEUE_FRAMES = 1024
"""Of the baseline's channels."""

VIEW = ThreadView(
    summary=ThreadSummary(
        id=THREAD,
        path=None,
        cwd="/srv",
        preview="",
        name=None,
        provider="p",
        model="m",
        source="bench",
        created_at=0,
        updated_at=0,
        cli_version="0",
    ),
    settings=ThreadSettings(provider="p", model="m", cwd="/srv"),
    status=ThreadStatus(kind="idle"),
    turns=(),
    usage=TokenUsage(),
)


class DeltaParams(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the baselines encode."""

    thread_id: str
    turn_id: str
    item_id: str
    delta: str


class DeltaFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What the baselines encode."""

    method: str
    params: DeltaParams


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        _suite("feed_1_reader", "one client, one delta per round", readers=1, merged=1),
        _suite("feed_10_readers", "ten clients on one thread, one delta per round", readers=10, merged=1),
        _suite("feed_10_readers_busy", "ten clients, eight deltas per round: they become one frame", 10, 8),
    )


def _suite(name: str, claim: str, readers: int, merged: int) -> Suite:
    return Suite(
        name=name,
        claim=claim,
        unit="delta",
        cases=(
            Case(name="a channel and a task each", run=timed_async(lambda units: _channels(units, readers, merged))),
            Case(name="floor: bare queues", run=timed(lambda units: _queues(units, readers, merged))),
            Case(name="feed", run=timed(lambda units: _feed(units, readers, merged))),
        ),
    )


async def _channels(units: int, readers: int, merged: int) -> None:
    encode = msgspec.json.Encoder().encode
    sending: list[trio.MemorySendChannel[bytes]] = []

    async def write(waiting: trio.MemoryReceiveChannel[bytes]) -> None:
        async for frame in waiting:
            frames = [frame]
            with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
                while True:
                    frames.append(waiting.receive_nowait())
            b"".join(frames)

    async with trio.open_nursery() as nursery:
        for _ in range(readers):
            sender, receiver = trio.open_memory_channel[bytes](QUEUE_FRAMES)
            sending.append(sender)
            nursery.start_soon(write, receiver)
        for number in range(units):
            frame = _frame(WORDS[number % len(WORDS)])
            for sender in sending:
                sender.send_nowait(encode(frame))
            if number % merged == merged - 1:
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
        for sender in sending:
            sender.close()


def _queues(units: int, readers: int, merged: int) -> None:
    encode = msgspec.json.Encoder().encode
    queues: list[deque[bytes]] = [deque() for _ in range(readers)]
    for number in range(units):
        encoded = encode(_frame(WORDS[number % len(WORDS)]))
        for queue in queues:
            queue.append(encoded)
        if number % merged == merged - 1:
            for queue in queues:
                b"".join(queue)
                queue.clear()


def _frame(word: str) -> DeltaFrame:
    params = DeltaParams(thread_id=THREAD, turn_id=TURN, item_id=ITEM, delta=word)
    return DeltaFrame(method="item/agentMessage/delta", params=params)


def _feed(units: int, readers: int, merged: int) -> None:
    feed = Feed(THREAD, "epoch", WireEncoder(lambda: 1_763_700_000_000))
    dirty: list[Cursor] = []
    for _ in range(readers):
        feed.subscription(VIEW).cursor.start(dirty.append)
    for first in range(0, units, ITEM_DELTAS):
        item = ItemId(f"{ITEM}{first}")
        text = OpenText("text")
        feed.put(ItemStarted(turn_id=TURN, item=AgentMessage(id=item, text=""), at_ms=1), ordinal=first)
        feed.attach(TURN, item, text)
        for number in range(first, min(first + ITEM_DELTAS, units)):
            text.append(WORDS[number % len(WORDS)])
            if number % merged == merged - 1:
                ready = dirty.copy()
                dirty.clear()
                for cursor in ready:
                    b"".join(cursor.take())
