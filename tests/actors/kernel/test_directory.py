from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import (
    DownError,
    Mailbox,
    NameTakenError,
    OutcomeUnknownError,
    Service,
    System,
    Unanswered,
    open_mailbox,
)
from actors.kernel.directory import PARKED_REQUESTS
from tests.actors.kernel.support import GetTotal, Put, Said, Spend, Total, messages_of, new_mailbox, new_system

COUNTER: Service[Said] = Service("counter")


def publish(system: System) -> Mailbox[Said]:
    box = new_mailbox(system=system, name="counter")
    system.directory.publish(COUNTER, box.address)
    return box


async def answer_all(box: Mailbox[Said], value: object) -> list[Said]:
    batch = await box.receive()
    for _, reply in batch:
        if reply is not None:
            reply.answer(value)
    return messages_of(batch)


async def test_a_stale_address_never_reaches_the_successor() -> None:
    system = new_system()
    first = publish(system)
    stale = first.address
    first.close("crash")
    second = publish(system)
    assert second.incarnation > first.incarnation
    assert stale.send_nowait(Put(value=1))
    with pytest.raises(DownError):
        await stale.ask(GetTotal(), int)
    assert second.receive_nowait() == []
    assert [(letter.name, letter.incarnation) for letter in system.dead_letters.recent] == [
        ("counter", first.incarnation)
    ]


async def test_a_service_address_follows_the_service() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    first = publish(system)
    address.send_nowait(Put(value=1))
    assert messages_of(first.receive_nowait()) == [Put(value=1)]
    first.close()
    second = publish(system)
    await address.send(Put(value=2))
    assert messages_of(second.receive_nowait()) == [Put(value=2)]


async def test_two_live_lives_of_one_name_are_refused() -> None:
    system = new_system()
    publish(system)
    with pytest.raises(NameTakenError, match="'counter'"):
        publish(system)


async def test_a_retry_safe_ask_survives_the_death_of_the_service_that_had_it_in_hand() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    first = publish(system)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await first.receive()
            first.close("crash")
            await wait_all_tasks_blocked()
            assert await answer_all(publish(system), 5) == [GetTotal()]

        nursery.start_soon(serve)
        assert await address.ask(GetTotal(), int) == 5


async def test_a_once_ask_in_hand_when_the_service_dies_has_an_unknown_outcome_and_is_not_sent_again() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    first = publish(system)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await first.receive()
            first.close("crash")

        nursery.start_soon(serve)
        with pytest.raises(OutcomeUnknownError, match="Spend: whether it took effect is unknown") as caught:
            await address.ask(Spend(), int)
    assert isinstance(caught.value.__cause__, DownError)
    assert publish(system).receive_nowait() == []


async def test_a_once_ask_that_was_never_looked_at_goes_to_the_successor() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    first = publish(system)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await wait_all_tasks_blocked()
            first.close("crash")
            await wait_all_tasks_blocked()
            assert await answer_all(publish(system), 5) == [Spend()]

        nursery.start_soon(serve)
        assert await address.ask(Spend(), int) == 5


async def test_waiting_for_a_successor_is_bounded_by_the_callers_scope(autojump_clock: MockClock) -> None:
    system = new_system()
    system.directory.expect(COUNTER)
    with trio.move_on_after(2) as scope:
        await system.directory.address(COUNTER).ask(GetTotal(), int)
    assert scope.cancelled_caught
    assert publish(system).receive_nowait() == []


async def test_a_name_nobody_expects_fails_at_once_and_a_tell_to_it_is_a_dead_letter() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    with pytest.raises(DownError, match="'counter' is not running"):
        await address.ask(GetTotal(), int)
    with pytest.raises(DownError):
        await address.send(Put(value=1))
    assert address.send_nowait(Put(value=1))
    assert [(letter.name, letter.why) for letter in system.dead_letters.recent] == [("counter", "nobody")]


async def test_retiring_a_name_tells_whoever_waits_for_it() -> None:
    system = new_system()
    system.directory.expect(COUNTER)
    address = system.directory.address(COUNTER)
    mine: Mailbox[Total | Unanswered] = open_mailbox("asker", system=system)
    address.request_nowait(Spend(), reply_to=mine.address)
    calls: list[str] = []
    address.on_room(lambda: calls.append("room"))
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(DownError):
                await address.ask(GetTotal(), int)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        system.directory.retire("counter")
    assert calls == ["room"]
    assert [message for message, _ in mine.receive_nowait()] == [
        Unanswered(request=Spend(), name="counter", reason="noproc", delivered=False, detail="its supervisor gave up")
    ]


async def test_a_failure_that_is_itself_a_down_error_of_another_actor_is_passed_on() -> None:
    system = new_system()
    box = publish(system)
    other = DownError("disk", 77, "crash", delivered=True)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            [(_, reply)] = await box.receive()
            assert reply is not None
            reply.fail(other)

        nursery.start_soon(serve)
        with pytest.raises(DownError) as caught:
            await system.directory.address(COUNTER).ask(GetTotal(), int)
    assert caught.value is other


async def test_between_two_lives_send_nowait_keeps_the_message_and_on_room_waits_for_the_next_life() -> None:
    system = new_system()
    address = system.directory.address(COUNTER)
    publish(system).close()
    assert not address.send_nowait(Put(value=1))
    assert not address.has_room()
    calls: list[str] = []
    address.on_room(lambda: calls.append("room"))
    assert calls == []
    publish(system)
    assert calls == ["room"]
    assert address.has_room()
    assert address.send_nowait(Put(value=1))


# --- requests -------------------------------------------------------------------------------------------------------


async def test_requests_move_to_the_successor_in_order_where_that_is_safe() -> None:
    """One in hand and repeatable, one in hand and not, one never looked at, one sent between the two lives."""
    system = new_system()
    address = system.directory.address(COUNTER)
    mine: Mailbox[Total | Unanswered] = open_mailbox("asker", system=system)
    first = publish(system)
    address.request_nowait(GetTotal(), reply_to=mine.address)
    address.request_nowait(Spend(amount=1), reply_to=mine.address)
    await first.receive()
    address.request_nowait(Spend(amount=2), reply_to=mine.address)
    first.close("crash", "OSError")
    address.request_nowait(Spend(amount=3), reply_to=mine.address)
    second = publish(system)
    assert await answer_all(second, Total(value=1)) == [GetTotal(), Spend(amount=2), Spend(amount=3)]
    unknown = Unanswered(request=Spend(amount=1), name="counter", reason="crash", delivered=True, detail="OSError")
    assert [message for message, _ in mine.receive_nowait()] == [unknown, *[Total(value=1)] * 3]


async def test_requests_between_two_lives_are_bounded() -> None:
    system = new_system()
    system.directory.expect(COUNTER)
    address = system.directory.address(COUNTER)
    mine: Mailbox[Total | Unanswered] = open_mailbox("asker", system=system)
    for _ in range(PARKED_REQUESTS):
        assert address.request_nowait(GetTotal(), reply_to=mine.address)
    assert not address.request_nowait(GetTotal(), reply_to=mine.address)


async def test_a_request_to_a_name_nobody_expects_is_unanswered_at_once() -> None:
    system = new_system()
    mine: Mailbox[Total | Unanswered] = open_mailbox("asker", system=system)
    assert system.directory.address(COUNTER).request_nowait(GetTotal(), reply_to=mine.address)
    assert [message for message, _ in mine.receive_nowait()] == [
        Unanswered(request=GetTotal(), name="counter", reason="noproc", delivered=False)
    ]
