"""What the type checker knows of the kernel. Checked by `make check` (mypy over `tests`), never run.

`assert_type` pins what is revealed. A line that must be refused carries a ``type: ignore`` with its code; mypy's
``warn_unused_ignores`` fails the check when it is refused no longer.
"""

from __future__ import annotations

import random
from typing import assert_never, assert_type

import trio

from actors.kernel import (
    Address,
    ChildStarter,
    Context,
    Down,
    Mailbox,
    Reply,
    Service,
    ServiceAddress,
    Shutdown,
    Start,
    System,
    Unanswered,
    message_key,
)
from messages.base import Message
from supervisors import ChildSpec, DynamicSupervisor, Supervisor
from tests.actors.kernel.support import GetTotal, Poke, Put, Said, Spend, Total

COUNTER: Service[Put | GetTotal] = Service("counter")


def frozen(message: Put) -> None:
    message.value = 2  # type: ignore[misc]  # messages are frozen, also in a subclass
    Put(2)  # type: ignore[call-arg]  # and made by keyword only


async def mailboxes(ctx: Context) -> None:
    mailbox: Mailbox[Put | GetTotal] = ctx.open_mailbox()
    assert_type(mailbox.address, Address[Put | GetTotal])
    for message, reply in await mailbox.receive():
        assert_type(reply, Reply | None)
        match message:
            case Put():
                assert_type(message.value, int)
            case GetTotal():
                pass
            case _:
                assert_never(message)
        match message:
            case Put():
                pass
            case _:
                assert_never(message)  # type: ignore[arg-type]  # GetTotal was forgotten


async def addresses(address: Address[Put | GetTotal]) -> None:
    part: Address[Put] = address  # who takes more takes this
    await part.send(Put(value=1))
    whole: Address[Said] = address  # type: ignore[assignment]  # who takes less does not take all
    assert_type(address.send_nowait(GetTotal()), bool)
    address.send_nowait(Poke())  # type: ignore[arg-type]  # it does not take this
    await whole.send(Poke())


async def asks(address: Address[Said], service: ServiceAddress[Said]) -> None:
    assert_type(await address.ask(GetTotal(), int), int)
    assert_type(await service.ask(GetTotal(), (int, Total)), int | Total)
    await address.ask(Put(value=1))
    total: str = await address.ask(GetTotal(), int)  # type: ignore[arg-type]  # it asked for an int
    print(total)


async def requests(address: Address[Said], mine: Mailbox[Total | Unanswered], deaf: Mailbox[Total]) -> None:
    address.request_nowait(Spend(), reply_to=mine.address)
    address.request_nowait(Spend(), reply_to=deaf.address)  # type: ignore[arg-type]  # it would not hear of a failure


async def services(ctx: Context, right: Mailbox[Put | GetTotal], wrong: Mailbox[Put]) -> None:
    assert_type(ctx.directory.address(COUNTER), ServiceAddress[Put | GetTotal])
    ctx.publish(COUNTER, right.address)
    ctx.publish(COUNTER, wrong.address)  # type: ignore[misc]  # it does not take all that the service promises


def watching(ctx: Context, target: Address[Said], watcher: Mailbox[Down | Put], blind: Mailbox[Put]) -> None:
    ctx.watch(target, to=watcher.address)
    ctx.watch(target, to=blind.address)  # type: ignore[arg-type]  # it would not take the Down


def ending(ctx: Context, polite: Mailbox[Put | Shutdown], deaf: Mailbox[Put]) -> None:
    ctx.shutdown_to(polite.address)
    ctx.shutdown_to(deaf.address)  # type: ignore[arg-type]  # it would not take the Shutdown


async def not_an_actor(ctx: Context) -> None:
    """Never says that it has started."""


def refusing() -> None:
    # Before the others: once mypy 2.4 has accepted an actor for `Start` it accepts any function in this file.
    ChildSpec(id="a", start=not_an_actor)  # type: ignore[arg-type]  # it takes no task_status


async def session(ctx: Context, /, *, task_status: trio.TaskStatus[Address[Put]]) -> None:
    mailbox: Mailbox[Put] = ctx.open_mailbox()
    task_status.started(mailbox.address)


async def starting(dynamic: DynamicSupervisor) -> None:
    starter: ChildStarter = dynamic
    assert_type(await starter.start_child("a", session), Address[Put])
    start: Start[Address[Put]] = session
    Supervisor(children=[ChildSpec(id="a", start=start), Supervisor(children=[]).as_child("b"), dynamic.as_child("c")])


def keys(message: Message) -> str:
    System(random=random.Random(1))
    return assert_type(message_key(message), str)
