from __future__ import annotations

import random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import MAX_BATCH, Full, Mailbox, MailboxFullError
from actors.kernel.mailbox import CONTROL_CAPACITY
from messages.base import Message
from tests.actors.kernel.support import Poke, Put, Said, messages_of, new_mailbox, new_system


async def test_a_batch_holds_control_first_then_data_each_in_the_order_sent() -> None:
    box = new_mailbox()
    for message in (Put(value=1), Poke(value=2), Put(value=3), Poke(value=4)):
        assert box.address.send_nowait(message)
    assert await box.receive() == [
        (Poke(value=2), None),
        (Poke(value=4), None),
        (Put(value=1), None),
        (Put(value=3), None),
    ]


async def test_control_is_taken_while_the_data_lane_is_full() -> None:
    box = new_mailbox(capacity=1)
    assert box.address.send_nowait(Put(value=1))
    assert not box.address.send_nowait(Put(value=2))
    assert box.address.send_nowait(Poke())
    assert messages_of(await box.receive()) == [Poke(), Put(value=1)]


async def test_a_flood_of_control_still_lets_one_data_message_into_each_batch() -> None:
    box = new_mailbox()
    box.address.send_nowait(Put(value=1))
    for number in range(2 * MAX_BATCH):
        box.address.send_nowait(Poke(value=number))
    batch = await box.receive()
    assert messages_of(batch) == [*(Poke(value=number) for number in range(MAX_BATCH)), Put(value=1)]
    assert messages_of(await box.receive()) == [Poke(value=number) for number in range(MAX_BATCH, 2 * MAX_BATCH)]


async def test_the_control_lane_is_bounded_too() -> None:
    box = new_mailbox()
    for _ in range(CONTROL_CAPACITY):
        assert box.address.send_nowait(Poke())
    assert not box.address.send_nowait(Poke())


async def test_a_receiver_asleep_is_woken_once_and_gets_all_that_came_meanwhile() -> None:
    box = new_mailbox()
    batches: list[list[Said]] = []

    async def receive() -> None:
        while True:
            batches.append(messages_of(await box.receive()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        for number in range(3):
            box.address.send_nowait(Put(value=number))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert batches == [[Put(value=0), Put(value=1), Put(value=2)]]


async def test_a_cancelled_receive_takes_nothing_out() -> None:
    box = new_mailbox()
    box.address.send_nowait(Put(value=1))
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.receive()
    assert scope.cancelled_caught
    assert messages_of(box.receive_nowait()) == [Put(value=1)]
    assert box.receive_nowait() == []


async def test_two_receivers_are_refused() -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await box.receive()
        nursery.cancel_scope.cancel()


async def test_senders_to_a_full_mailbox_wait_first_come_first_served(autojump_clock: MockClock) -> None:
    box = new_mailbox(capacity=2)
    seen: list[Said] = []

    async def send_after(delay: float, value: int) -> None:
        await trio.sleep(delay)
        await box.address.send(Put(value=value))

    async with trio.open_nursery() as nursery:
        for value in range(6):
            nursery.start_soon(send_after, value / 10, value)
        await trio.sleep(1)
        assert box.depth == 2
        assert not box.address.has_room(), "a newcomer cannot overtake those who wait"
        while len(seen) < 6:
            seen += messages_of(await box.receive())
    assert seen == [Put(value=value) for value in range(6)]


async def test_a_cancelled_sender_has_not_sent() -> None:
    box = new_mailbox(capacity=1)
    box.address.send_nowait(Put(value=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.address.send, Put(value=2))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert messages_of(await box.receive()) == [Put(value=1)]
    assert box.receive_nowait() == []


async def test_a_control_sender_is_not_held_up_by_data_senders_who_wait() -> None:
    box = new_mailbox(capacity=1)
    async with trio.open_nursery() as nursery:
        for value in range(3):
            nursery.start_soon(box.address.send, Put(value=value))
        await wait_all_tasks_blocked()
        await box.address.send(Poke())
        assert messages_of(await box.receive())[0] == Poke()
        nursery.cancel_scope.cancel()


async def test_a_rejecting_mailbox_raises_when_full_whoever_sends() -> None:
    box = new_mailbox(capacity=1, policy=Full.REJECT)
    await box.address.send(Put(value=1))
    with pytest.raises(MailboxFullError, match="'box' already holds 1 messages"):
        box.address.send_nowait(Put(value=2))
    with pytest.raises(MailboxFullError):
        await box.address.send(Put(value=2))
    with pytest.raises(MailboxFullError):
        await box.address.ask(Put(value=2))
    assert messages_of(await box.receive()) == [Put(value=1)]


def add_up(newest: Said, new: Said) -> Said | None:
    match newest, new:
        case Put(), Put() if newest.sender == new.sender:
            return Put(value=newest.value + new.value, sender=new.sender)
        case _:
            return None


async def test_a_coalescing_mailbox_merges_into_the_newest_and_waits_where_it_cannot() -> None:
    box = new_mailbox(capacity=2, policy=Full.COALESCE, coalesce=add_up)
    assert [box.address.send_nowait(Put(value=value)) for value in (1, 2, 3)] == [True, True, True]
    assert not box.address.send_nowait(Put(value=4, sender=1))
    assert messages_of(await box.receive()) == [Put(value=1), Put(value=5)]


async def test_coalescing_never_lets_a_newcomer_overtake_one_who_waits() -> None:
    box = new_mailbox(capacity=1, policy=Full.COALESCE, coalesce=add_up)
    box.address.send_nowait(Put(value=1, sender=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.address.send, Put(value=2, sender=2))
        await wait_all_tasks_blocked()
        assert not box.address.send_nowait(Put(value=4, sender=1))
        assert messages_of(await box.receive()) == [Put(value=1, sender=1)]
        assert messages_of(await box.receive()) == [Put(value=2, sender=2)]


async def test_an_ask_is_never_merged() -> None:
    box = new_mailbox(capacity=1, policy=Full.COALESCE, coalesce=add_up)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.address.ask, Put(value=1))
        await wait_all_tasks_blocked()
        assert not box.address.send_nowait(Put(value=2))
        [(message, reply)] = await box.receive()
        assert message == Put(value=1)
        assert reply is not None
        reply.answer()


async def test_on_room_is_called_once_when_there_is_room_and_at_once_if_there_is() -> None:
    box = new_mailbox(capacity=1)
    calls: list[str] = []
    box.address.on_room(lambda: calls.append("at once"))
    box.address.send_nowait(Put(value=1))
    box.address.on_room(lambda: calls.append("later"))
    assert calls == ["at once"]
    await box.receive()
    box.address.send_nowait(Put(value=2))
    await box.receive()
    assert calls == ["at once", "later"]


async def test_whoever_hears_of_room_first_may_use_it_up_and_the_next_goes_on_waiting() -> None:
    box = new_mailbox(capacity=1)
    box.address.send_nowait(Put(value=1))
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        box.address.send_nowait(Put(value=2))

    box.address.on_room(first)
    box.address.on_room(lambda: calls.append("second"))
    await box.receive()
    assert calls == ["first"]
    await box.receive()
    assert calls == ["first", "second"]


async def test_closing_wakes_senders_and_callbacks_and_counts_what_nobody_read() -> None:
    system = new_system()
    box = new_mailbox(system=system, capacity=1)
    box.address.send_nowait(Put(value=1))
    calls: list[str] = []
    box.address.on_room(lambda: calls.append("room"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.address.send, Put(value=2))
        await wait_all_tasks_blocked()
        box.close()
        box.close()
    assert calls == ["room"]
    assert [letter.why for letter in system.dead_letters.recent] == ["unread", "dead"]
    with pytest.raises(trio.ClosedResourceError):
        await box.receive()


async def test_closing_wakes_a_receiver() -> None:
    box = new_mailbox()

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await box.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        box.close()


async def test_depth_and_peak_and_the_age_of_what_is_in_hand(autojump_clock: MockClock) -> None:
    box = new_mailbox()
    for value in range(3):
        box.address.send_nowait(Put(value=value))
    assert (box.depth, box.peak, box.busy_since) == (3, 3, None)
    await box.receive()
    taken_at = trio.current_time()
    await trio.sleep(5)
    assert (box.depth, box.peak, box.received) == (0, 3, 3)
    assert box.busy_since == taken_at


def test_a_mailbox_says_what_is_wrong_with_how_it_was_declared() -> None:
    with pytest.raises(ValueError, match="capacity of at least 1"):
        new_mailbox(capacity=0)
    with pytest.raises(ValueError, match="go together"):
        new_mailbox(policy=Full.COALESCE)


# --- properties -----------------------------------------------------------------------------------------------------


@given(
    capacity=st.integers(1, 5),
    plans=st.lists(st.lists(st.sampled_from(["data", "control", "pause"]), max_size=12), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_waiting_senders_lose_duplicate_and_reorder_nothing(capacity: int, plans: list[list[str]], seed: int) -> None:
    """Within one sender and one lane the order is kept, under any interleaving of several senders."""
    rng = random.Random(seed)
    taken: list[Said] = []

    async def send(box: Mailbox[Said], sender: int, plan: list[str]) -> None:
        for number, step in enumerate(plan):
            match step:
                case "data":
                    await box.address.send(Put(value=number, sender=sender))
                case "control":
                    await box.address.send(Poke(value=sender * 100 + number))
                case _:
                    await trio.sleep(rng.random())

    async def main() -> None:
        box = new_mailbox(capacity=capacity)
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as senders:
                nursery.start_soon(receive, box)
                for sender, plan in enumerate(plans):
                    senders.start_soon(send, box, sender, plan)
            await trio.sleep(1000)  # virtual: longer than the receiver can need for what is left
            nursery.cancel_scope.cancel()

    async def receive(box: Mailbox[Said]) -> None:
        while True:
            batch = messages_of(await box.receive())
            kinds = [type(message) is Put for message in batch]
            assert kinds == sorted(kinds), "control comes first"
            taken.extend(batch)
            assert len(box._data) <= capacity
            await trio.sleep(rng.random())

    trio.run(main, clock=MockClock(autojump_threshold=0))
    for sender, plan in enumerate(plans):
        assert [m.value for m in taken if isinstance(m, Put) and m.sender == sender] == [
            number for number, step in enumerate(plan) if step == "data"
        ]
        assert [m.value - sender * 100 for m in taken if isinstance(m, Poke) and m.value // 100 == sender] == [
            number for number, step in enumerate(plan) if step == "control"
        ]


@given(
    capacity=st.integers(1, 4),
    steps=st.lists(st.one_of(st.integers(1, 9), st.just(None)), max_size=40),
)
def test_coalescing_loses_nothing(capacity: int, steps: list[int | None]) -> None:
    """None is a receive; a number is sent."""

    async def main() -> None:
        box = new_mailbox(capacity=capacity, policy=Full.COALESCE, coalesce=add_up)
        got: list[Message] = []
        for step in steps:
            if step is None:
                got += messages_of(box.receive_nowait())
            else:
                assert box.address.send_nowait(Put(value=step))
                assert box.depth <= capacity
        got += messages_of(box.receive_nowait())
        assert sum(message.value for message in got if isinstance(message, Put)) == sum(step or 0 for step in steps)

    trio.run(main)
