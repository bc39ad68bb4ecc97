"""Claim: draining a mailbox in batches makes a message cost a fraction of a task switch.

DESIGN §2: a checkpoint costs microseconds, a message in a batch a tenth of one. The baseline is what trio offers for
the purpose: a memory channel, which gives one message per checkpoint. A burst is what a round brings an actor.
"""

from __future__ import annotations

import random

import trio

from actors.kernel import Mailbox, System, open_mailbox
from bench.harness import Case, Suite, timed_async
from messages.base import Message

BURST = 32


class Note(Message, frozen=True, kw_only=True):
    """Something to be told."""

    number: int


NOTE = Note(number=7)


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    return (
        Suite(
            name="mailbox_burst",
            claim=f"a burst of {BURST} messages costs one task switch, not {BURST}",
            unit="message",
            cases=(
                Case(name="trio memory channel", run=timed_async(lambda units: _channel(units, BURST))),
                Case(name="mailbox", run=timed_async(lambda units: _mailbox(units, BURST))),
            ),
        ),
        Suite(
            name="mailbox_single",
            claim="a lone message costs no more than through a channel, two lanes and addresses included",
            unit="message",
            cases=(
                Case(name="trio memory channel", run=timed_async(lambda units: _channel(units, 1))),
                Case(name="mailbox", run=timed_async(lambda units: _mailbox(units, 1))),
            ),
        ),
        Suite(
            name="ask",
            claim="a question with its answer costs no more than a channel pair opened for it",
            unit="question",
            cases=(
                Case(name="channel, and one for the reply", run=timed_async(_channel_ask)),
                Case(name="address.ask", run=timed_async(_ask)),
            ),
        ),
    )


class _Turnstile:
    """Sender and receiver take turns, so that a burst is a burst."""

    def __init__(self) -> None:
        self._parked = trio.lowlevel.ParkingLot()

    async def wait(self) -> None:
        await self._parked.park()

    def let_through(self) -> None:
        self._parked.unpark_all()


async def _channel(units: int, burst: int) -> None:
    sender, receiver = trio.open_memory_channel[Note](256)
    turnstile = _Turnstile()

    async def receive() -> None:
        heard = 0
        while heard < units:
            await receiver.receive()
            heard += 1
            if heard % burst == 0:
                turnstile.let_through()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for first in range(0, units, burst):
            for _ in range(min(burst, units - first)):
                sender.send_nowait(NOTE)
            if first + burst < units:
                await turnstile.wait()
    sender.close()
    receiver.close()


async def _mailbox(units: int, burst: int) -> None:
    mailbox: Mailbox[Note] = open_mailbox("bench", system=_system())
    turnstile = _Turnstile()

    async def receive() -> None:
        heard = 0
        while heard < units:
            for _ in await mailbox.receive():
                heard += 1
            if heard % burst == 0:
                turnstile.let_through()

    send = mailbox.address.send_nowait
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for first in range(0, units, burst):
            for _ in range(min(burst, units - first)):
                send(NOTE)
            if first + burst < units:
                await turnstile.wait()
    mailbox.close()


async def _channel_ask(units: int) -> None:
    sender, receiver = trio.open_memory_channel[tuple[Note, trio.MemorySendChannel[int]]](256)

    async def answer() -> None:
        async for note, reply in receiver:
            reply.send_nowait(note.number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        for _ in range(units):
            reply, answered = trio.open_memory_channel[int](1)
            await sender.send((NOTE, reply))
            await answered.receive()
        sender.close()
    receiver.close()


async def _ask(units: int) -> None:
    mailbox: Mailbox[Note] = open_mailbox("bench", system=_system())

    async def answer() -> None:
        while True:
            for message, reply in await mailbox.receive():
                assert reply is not None, "all are asked here"
                reply.answer(message.number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        ask = mailbox.address.ask
        for _ in range(units):
            await ask(NOTE, int)
        nursery.cancel_scope.cancel()
    mailbox.close()


def _system() -> System:
    return System(random=random.Random(1))
