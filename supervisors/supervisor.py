"""The supervisor of a fixed list of children: a thin shell around `Plan`.

It is an actor like any other. Its children's starts and ends are messages in its mailbox, so nothing is supervised by
magic, and a `Shutdown` is served whatever else is under way. Each child is one task in the supervisor's nursery and
catches its own crash there (`run_life`): the supervision tree is the nursery tree, and one child's crash cancels
nobody unless the strategy says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, assert_never

import msgspec
import trio

from actors.kernel import Context, Life, Mailbox, Report, Shutdown, run_life
from actors.kernel.children import report_ending
from messages.base import Lane, Message
from supervisors.child import ChildSpec
from supervisors.errors import SupervisionError
from supervisors.plan import (
    Action,
    AskChild,
    CancelChild,
    Finish,
    Plan,
    RemoveChild,
    ReportRestart,
    ReportStuck,
    SayStarted,
    StartChild,
)
from supervisors.strategy import (
    DEFAULT_BACKOFF,
    DEFAULT_INTENSITY,
    DEFAULT_PERIOD,
    AutoShutdown,
    Backoff,
    RestartIntensity,
    Strategy,
)


class _Started(Message, frozen=True, kw_only=True):
    lane = Lane.CONTROL
    id: str


class _Ended(Message, frozen=True, kw_only=True):
    lane = Lane.CONTROL
    id: str
    life: Any
    """The `Life`; never leaves the process."""


class _Stuck(Message, frozen=True, kw_only=True):
    lane = Lane.CONTROL
    id: str


class Supervisor(msgspec.Struct, frozen=True, kw_only=True):
    """What to supervise and how. ``Supervisor(...).run`` is itself a `Start`: supervisors nest as children do.

    It has started when all children have. It ends when asked to (children in reverse), when its significant children
    say so (``auto_shutdown``), or by raising StartError, EscalationError or StuckError after stopping them all.
    """

    children: Sequence[ChildSpec]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = DEFAULT_INTENSITY
    period: float = DEFAULT_PERIOD
    backoff: Backoff = DEFAULT_BACKOFF
    auto_shutdown: AutoShutdown = "never"

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """Supervise."""
        plan = Plan(
            supervisor=ctx.name,
            specs=tuple(self.children),
            strategy=self.strategy,
            intensity=RestartIntensity(self.intensity, self.period),
            backoff=self.backoff,
            auto_shutdown=self.auto_shutdown,
            rng=ctx.system.random,
        )
        shell = _Shell(ctx, plan, self.children, task_status)
        try:
            async with trio.open_nursery() as shell.nursery:
                error = await shell.supervise()
                if plan.stuck:
                    ctx.say_stuck()
        finally:
            shell.hear_the_last()
        if error is not None:
            raise error

    def as_child(self, id_: str) -> ChildSpec:
        """This supervisor as another's permanent child, with all the time its children need to end."""
        return ChildSpec(id=id_, start=self.run, shutdown=math.inf, kind="supervisor")


class _Shell:
    """Carries out what the plan says."""

    def __init__(
        self,
        ctx: Context,
        plan: Plan,
        specs: Sequence[ChildSpec],
        task_status: trio.TaskStatus[None],
    ) -> None:
        self.ctx = ctx
        self.plan = plan
        self.nursery: trio.Nursery
        self.task_status = task_status
        self.specs = {spec.id: spec for spec in specs}
        self.contexts = {spec.id: ctx.child(spec.id, kind=spec.kind) for spec in specs}
        self.lives: dict[str, Life] = {}
        self.finished: Finish | None = None
        self.mailbox: Mailbox[_Started | _Ended | _Stuck | Shutdown] = ctx.open_mailbox()
        for id_, context in self.contexts.items():
            context.set_phase("waiting")
            context.on_stuck(partial(self.tell, _Stuck(id=id_)))

    async def supervise(self) -> SupervisionError | None:
        """Until the plan has finished; returns what to raise."""
        self.ctx.shutdown_to(self.mailbox.address)
        self.carry_out(self.plan.begin(trio.current_time()))
        while self.finished is None:
            due = self.plan.next_due(trio.current_time())
            with trio.move_on_at(math.inf if due is None else due) as timer:
                batch = await self.mailbox.receive()
            now = trio.current_time()
            if timer.cancelled_caught:
                self.carry_out(self.plan.tick(now))
                continue
            for message, _ in batch:
                self.carry_out(self.handle(message, now))
        return self.finished.error

    def hear_the_last(self) -> None:
        """Those that ended when nobody listened any more: they had been stuck, or all was cancelled from outside."""
        for message, _ in self.mailbox.receive_nowait():
            if isinstance(message, _Ended):
                report_ending(self.ctx.name, message.life)

    def handle(self, message: _Started | _Ended | _Stuck | Shutdown, now: float) -> list[Action]:
        match message:
            case _Started(id=id_):
                return self.plan.started(id_, now)
            case _Ended(id=id_, life=life):
                report_ending(self.ctx.name, life)
                return self.plan.ended(id_, life.ending, life.error, now)
            case _Stuck(id=id_):
                return self.plan.child_stuck(id_, now)
            case Shutdown():
                return self.plan.stop(now)
            case _:
                assert_never(message)

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartChild(id=id_):
                    self.start(id_)
                case AskChild(id=id_, grace_seconds=grace):
                    if not self.lives[id_].request_stop(grace):
                        self.lives[id_].cancel(f"{self.ctx.name} stops it")
                        self.plan.cancelled(id_, trio.current_time())
                case CancelChild(id=id_):
                    self.lives[id_].cancel(f"{self.ctx.name} stops it")
                case ReportRestart(id=id_, seconds=seconds):
                    self.contexts[id_].set_phase("restarting")
                    self.report("restarting", id_, f"in {seconds:.3f} s")
                case ReportStuck(id=id_):
                    self.contexts[id_].set_phase("stuck")
                    self.report("stuck", id_, "it does not end though it was cancelled")
                case RemoveChild(id=id_):
                    self.report("ended", id_, "for good")
                    self.ctx.remove_child(id_)
                case SayStarted():
                    self.task_status.started()
                case Finish():
                    self.finished = action
                    if action.error is not None:
                        self.report("escalated", None, str(action.error), action.error)
                case _:
                    assert_never(action)

    def start(self, id_: str) -> None:
        context = self.contexts[id_]
        if id_ in self.lives:
            context.restarts += 1
        life = self.lives[id_] = Life(context)
        self.nursery.start_soon(self.run_child, life, name=context.name)

    async def run_child(self, life: Life) -> None:
        id_ = life.context.id
        try:
            await run_life(life, self.specs[id_].start, self.on_started)
        finally:
            self.tell(_Ended(id=id_, life=life))

    def on_started(self, life: Life) -> None:
        self.tell(_Started(id=life.context.id))

    def tell(self, message: _Started | _Ended | _Stuck) -> None:
        # At most three per child and life are under way, so the control lane cannot fill; should it, that is our bug.
        assert self.mailbox.address.send_nowait(message), "the supervisor's own mailbox is full"

    def report(self, context: Any, id_: str | None, reason: str, error: BaseException | None = None) -> None:
        offender = self.ctx.name if id_ is None else self.contexts[id_].name
        stack = self.lives[id_].stack() if context == "stuck" and id_ is not None else ()
        self.ctx.system.reports.add(
            Report(
                supervisor=self.ctx.name, context=context, offender=offender, reason=reason, error=error, stack=stack
            )
        )
