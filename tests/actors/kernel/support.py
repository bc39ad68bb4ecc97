"""What the kernel's tests say to each other."""

from __future__ import annotations

import random
from collections.abc import Callable

import trio

from actors.kernel import Context, Full, Mailbox, Reply, Shutdown, Start, System, open_mailbox
from messages.base import Delivery, Lane, Message


class Put(Message, frozen=True, kw_only=True):
    """Data."""

    value: int
    sender: int = 0


class Poke(Message, frozen=True, kw_only=True):
    """Control."""

    lane = Lane.CONTROL
    value: int = 0


class GetTotal(Message, frozen=True, kw_only=True):
    """A question that may be asked twice."""

    delivery = Delivery.RETRY_SAFE


class Spend(Message, frozen=True, kw_only=True):
    """A question that must not be asked twice."""

    delivery = Delivery.ONCE
    amount: int = 1


class Total(Message, frozen=True, kw_only=True):
    """A reply that is a message, as `request` wants it."""

    value: int


Said = Put | Poke | GetTotal | Spend


def new_system() -> System:
    """Seeded and strict."""
    return System(random=random.Random(7), strict=True)


def new_mailbox(
    *,
    system: System | None = None,
    name: str = "box",
    capacity: int = 4,
    policy: Full = Full.WAIT,
    coalesce: Callable[[Said, Said], Said | None] | None = None,
) -> Mailbox[Said]:
    return open_mailbox(name, system=system or new_system(), capacity=capacity, policy=policy, coalesce=coalesce)


def messages_of(batch: list[tuple[Said, Reply | None]]) -> list[Said]:
    return [message for message, _ in batch]


def waiting_actor(log: list[str] | None = None, *, polite: bool = False) -> Start[str]:
    """An actor that starts and then waits for ever; a polite one ends when asked to."""

    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[str]) -> None:
        mailbox: Mailbox[Shutdown] = ctx.open_mailbox()
        if polite:
            ctx.shutdown_to(mailbox.address)
        if log is not None:
            log.append(f"start {ctx.id}")
        task_status.started(ctx.id)
        try:
            await mailbox.receive()
            if log is not None:
                log.append(f"asked {ctx.id}")
        finally:
            if log is not None:
                log.append(f"end {ctx.id}")

    return run
