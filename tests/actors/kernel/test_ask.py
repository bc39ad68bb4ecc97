from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import (
    Down,
    DownError,
    Mailbox,
    Reply,
    ReplyTypeError,
    SecondReplyError,
    System,
    Unanswered,
    open_mailbox,
)
from tests.actors.kernel.support import GetTotal, Put, Said, Spend, Total, new_mailbox, new_system


async def take_one(box: Mailbox[Said]) -> Reply:
    [(_, reply)] = await box.receive()
    assert reply is not None
    return reply


async def test_an_ask_returns_the_reply() -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            assert (await take_one(box)).answer(5)

        nursery.start_soon(serve)
        assert await box.address.ask(GetTotal(), int) == 5


async def test_an_ask_without_a_type_waits_until_it_is_acknowledged() -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            assert (await take_one(box)).answer()

        nursery.start_soon(serve)
        await box.address.ask(Put(value=1))


async def test_an_ask_raises_what_the_actor_fails_it_with() -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            assert (await take_one(box)).fail(LookupError("no such thread"))

        nursery.start_soon(serve)
        with pytest.raises(LookupError, match="no such thread"):
            await box.address.ask(GetTotal(), int)


async def test_a_reply_of_another_type_is_an_error_in_the_asker() -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            (await take_one(box)).answer("five")

        nursery.start_soon(serve)
        with pytest.raises(
            ReplyTypeError, match="'box' replied to GetTotal with str, but the asker expects int or Total"
        ):
            await box.address.ask(GetTotal(), (int, Total))


async def test_a_reply_may_come_long_after_other_messages_were_handled(autojump_clock: MockClock) -> None:
    box = new_mailbox()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            first = await take_one(box)
            await trio.sleep(10)
            second = await take_one(box)
            second.answer(2)
            await trio.sleep(10)
            first.answer(1)

        async def ask_second() -> None:
            await trio.sleep(5)
            assert await box.address.ask(GetTotal(), int) == 2

        nursery.start_soon(serve)
        nursery.start_soon(ask_second)
        assert await box.address.ask(GetTotal(), int) == 1


async def test_a_second_reply_is_an_error_in_a_strict_system_and_counted_in_any() -> None:
    for strict in (True, False):
        system = System(random=new_system().random, strict=strict)
        box = new_mailbox(system=system)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.address.ask, GetTotal(), int)
            reply = await take_one(box)
            assert reply.answer(1)
            if strict:
                with pytest.raises(SecondReplyError, match="'box' replied twice"):
                    reply.answer(2)
            else:
                assert not reply.fail(ValueError())
        assert system.dead_letters.second_replies == 1


async def test_an_askers_deadline_is_its_cancel_scope_and_the_late_reply_is_dropped(autojump_clock: MockClock) -> None:
    system = new_system()
    box = new_mailbox(system=system)
    with trio.move_on_after(3) as scope:
        await box.address.ask(GetTotal(), int)
    assert scope.cancelled_caught
    assert trio.current_time() == 3
    reply = await take_one(box)
    assert not reply.wanted
    assert not reply.answer(1)
    assert system.dead_letters.late_replies == 1


async def test_an_asker_waits_for_room_and_if_it_gives_up_was_never_there() -> None:
    box = new_mailbox(capacity=1)
    box.address.send_nowait(Put(value=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.address.ask, GetTotal(), int)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await box.receive() == [(Put(value=1), None)]
    assert box.receive_nowait() == []


@pytest.mark.parametrize("delivered", [True, False])
async def test_an_ask_whose_actor_ends_says_whether_it_was_looked_at(delivered: bool) -> None:
    box = new_mailbox()
    errors: list[DownError] = []

    async def ask() -> None:
        with pytest.raises(DownError) as caught:
            await box.address.ask(GetTotal(), int)
        errors.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        if delivered:
            await box.receive()
        box.close("crash", "ValueError")
    [error] = errors
    assert (error.name, error.incarnation, error.reason, error.delivered) == (
        "box",
        box.incarnation,
        "crash: ValueError",
        delivered,
    )


async def test_asking_the_dead_fails_at_once() -> None:
    box = new_mailbox()
    box.close()
    with pytest.raises(DownError, match="'box' is not running"):
        await box.address.ask(GetTotal(), int)


async def test_a_reply_tried_after_the_actors_end_is_late_not_second() -> None:
    system = new_system()
    box = new_mailbox(system=system)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(DownError):
                await box.address.ask(GetTotal(), int)

        nursery.start_soon(ask)
        reply = await take_one(box)
        box.close()
        assert not reply.answer(1)
    assert (system.dead_letters.late_replies, system.dead_letters.second_replies) == (1, 0)


# --- request: the reply comes as a message --------------------------------------------------------------------------


def asker(system: System) -> Mailbox[Total | Unanswered | Down]:
    return open_mailbox("asker", system=system, capacity=1)


async def test_a_request_brings_its_reply_into_the_askers_mailbox_beyond_its_bound() -> None:
    system = new_system()
    box, mine = new_mailbox(system=system), asker(system)
    for _ in range(3):
        assert box.address.request_nowait(GetTotal(), reply_to=mine.address)
    for number, (_, reply) in enumerate(await box.receive()):
        assert reply is not None
        assert reply.answer(Total(value=number))
    assert [message for message, _ in await mine.receive()] == [Total(value=number) for number in range(3)]


async def test_a_request_that_is_refused_or_whose_actor_ends_brings_one_unanswered() -> None:
    system = new_system()
    box, mine = new_mailbox(system=system), asker(system)
    await box.address.request(Spend(amount=1), reply_to=mine.address)
    await box.address.request(Spend(amount=2), reply_to=mine.address)
    refused, lost = (reply for _, reply in await box.receive())
    await box.address.request(Spend(amount=3), reply_to=mine.address)
    assert refused is not None
    assert lost is not None
    refused.fail(ValueError("not enough"))
    box.close("crash", "KeyError")
    assert not lost.answer(Total(value=1))
    await box.address.request(Spend(amount=4), reply_to=mine.address)
    assert [message for message, _ in await mine.receive()] == [
        Unanswered(request=Spend(amount=1), name="box", reason="failed", delivered=True, detail="not enough"),
        Unanswered(request=Spend(amount=2), name="box", reason="crash", delivered=True, detail="KeyError"),
        Unanswered(request=Spend(amount=3), name="box", reason="crash", delivered=False, detail="KeyError"),
        Unanswered(request=Spend(amount=4), name="box", reason="noproc", delivered=False),
    ]


async def test_a_request_waits_for_room_as_a_send_does() -> None:
    system = new_system()
    box, mine = new_mailbox(system=system, capacity=1), asker(system)
    box.address.send_nowait(Put(value=1))
    assert not box.address.request_nowait(GetTotal(), reply_to=mine.address)
    async with trio.open_nursery() as nursery:

        async def request() -> None:
            await box.address.request(GetTotal(), reply_to=mine.address)

        nursery.start_soon(request)
        await wait_all_tasks_blocked()
        assert await box.receive() == [(Put(value=1), None)]
        [(message, _)] = await box.receive()
        assert message == GetTotal()


async def test_a_reply_to_a_request_whose_asker_has_ended_is_counted() -> None:
    system = new_system()
    box, mine = new_mailbox(system=system), asker(system)
    box.address.request_nowait(GetTotal(), reply_to=mine.address)
    reply = await take_one(box)
    wanted_before = reply.wanted
    mine.close()
    assert (wanted_before, reply.wanted) == (True, False)
    assert not reply.answer(Total(value=1))
    assert system.dead_letters.late_replies == 1
