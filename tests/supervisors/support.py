"""Children whose lives are scripted, and what they wrote down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import trio

from actors.kernel import Context, Mailbox, Report, Shutdown, System
from messages.base import Message
from supervisors import Backoff, ChildSpec, Restart

NO_JITTER = Backoff(jitter=0)


@dataclass(frozen=True, kw_only=True)
class Life:
    """How one life goes, in virtual seconds."""

    init: float = 0
    """Until it says that it has started."""
    runs: float | None = None
    """Until it ends by itself; None: it does not."""
    ends: Literal["returns", "crashes", "crashes_in_init", "returns_in_init"] = "crashes"
    polite_after: float | None = None
    """How long it takes to end when asked; None: it takes no Shutdown."""
    ignores_cancel_for: float = 0


FOREVER = Life()
POLITE = Life(polite_after=0)


@dataclass
class Log:
    """What happened, when: ``(seconds, words)``."""

    entries: list[tuple[float, str]] = field(default_factory=list)
    living: set[str] = field(default_factory=set)

    def add(self, words: str) -> None:
        self.entries.append((round(trio.current_time() - self.zero, 3), words))

    def __post_init__(self) -> None:
        self.zero = trio.current_time()

    @property
    def words(self) -> list[str]:
        return [words for _, words in self.entries]

    def clear(self) -> None:
        self.entries.clear()


def new_system() -> System:
    return System(random=random.Random(7), strict=True)


class Ask(Message, frozen=True, kw_only=True):
    """Anything one may send to a scripted child."""


def scripted(
    log: Log,
    id_: str,
    *lives: Life,
    restart: Restart = "permanent",
    shutdown: float = 5.0,
    significant: bool = False,
) -> ChildSpec:
    """A child that goes through ``lives`` one after the other and then repeats the last one."""
    script = list(lives or (FOREVER,))

    async def run(ctx: Context, /, *, task_status: trio.TaskStatus[str]) -> None:
        life = script.pop(0) if len(script) > 1 else script[0]
        mailbox: Mailbox[Shutdown | Ask] = ctx.open_mailbox()
        if life.polite_after is not None:
            ctx.shutdown_to(mailbox.address)
        log.add(f"begin {id_}")
        log.living.add(id_)
        try:
            await trio.sleep(life.init)
            if life.ends == "crashes_in_init":
                raise ValueError(f"{id_} cannot start")
            if life.ends == "returns_in_init":
                return
            task_status.started(id_)
            log.add(f"started {id_}")
            with trio.move_on_after(float("inf") if life.runs is None else life.runs) as timer:
                await mailbox.receive()
                await trio.sleep(life.polite_after or 0)
            if timer.cancelled_caught and life.ends == "crashes":
                raise ValueError(f"{id_} crashed")
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(life.ignores_cancel_for)
            log.living.discard(id_)
            log.add(f"end {id_}")

    return ChildSpec(id=id_, start=run, restart=restart, shutdown=shutdown, significant=significant)


def happened(reports: Sequence[Report]) -> list[tuple[str, str]]:
    """(what, to whom)."""
    return [(report.context, report.offender.rpartition("/")[2]) for report in reports]
