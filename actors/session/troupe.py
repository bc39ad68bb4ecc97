"""The children of one session as it runs them: model requests, tool calls, the workshop, a deadline.

Everything here is about tasks and texts; what they are for is the core's business. Texts of open items are kept here
from the moment the core hears of them, so that a partial item can be completed with what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from actors.kernel import Address, Child, Children, Context, Mailbox
from actors.kernel.signals import Down
from actors.ports.clock import Clock
from actors.rollout_writer.handle_store import HandleStore
from actors.session.children import Crew, Inlet, UndoError, Workshop
from actors.session.effects import (
    ApprovalDue,
    AttachOutput,
    AttachText,
    ChildDown,
    ChildId,
    GatherContext,
    HooksAnswered,
    PartialText,
    RunHooks,
    TurnDue,
    UndoEnded,
)
from actors.session.open_text import OpenText, TextTable
from actors.session.sieve import Sieve
from messages.base import ItemId, ThreadId, TurnId
from messages.model import SampleRequest
from messages.script import ScriptJob, ScriptOrder
from messages.session import ThreadSettings, Turn
from messages.tools import RunTool, ToolCall, WorkerMessage

WORKSHOP = "workshop"

SCRIPT_ORDERS = 1024
"""What a script has not heard yet. It hears of each of its hundred calls three times, and eight of them run at once."""


class WorkshopLostError(Exception):
    """The task that keeps a thread's running commands broke down: nobody can say what became of them.

    Crashes the session, whose next life ends their items from the log.
    """


class Troupe:
    """Of one life of a session. ``address`` is the session's own, ``inlet`` the way in for those who cannot wait."""

    __slots__ = (
        "_address",
        "_children",
        "_clock",
        "_crew",
        "_deadline",
        "_expiries",
        "_handles",
        "_ids",
        "_inlet",
        "_leaves",
        "_opened",
        "_running",
        "_tables",
        "_taken",
        "_texts",
        "_thread_id",
        "_workshop",
    )

    def __init__(
        self,
        crew: Crew,
        children: Children,
        address: Address[Any],
        inlet: Inlet,
        thread_id: ThreadId,
        clock: Clock,
        handles: HandleStore | None,
    ) -> None:
        self._handles = handles
        self._clock = clock
        self._crew = crew
        self._children = children
        self._address = address
        self._inlet = inlet
        self._thread_id = thread_id
        self._running: dict[ChildId, Child] = {}
        self._ids: dict[str, ChildId] = {}
        """By the name their `Down` carries."""
        self._leaves: dict[ChildId, Address[Any]] = {}
        """Of `WorkerMessage`, and of a script's `ScriptOrder`."""
        self._tables: dict[str, TextTable] = {}
        self._texts: dict[ItemId, list[OpenText]] = {}
        """Of items that have not completed."""
        self._taken: dict[tuple[str, int], OpenText] = {}
        """Announced by the core and not yet attached to the feed."""
        self._workshop: Workshop | None = None
        self._opened: trio.Event | None = None
        self._deadline: Child | None = None
        self._expiries: dict[str, Child] = {}

    # --- starting ---------------------------------------------------------------------------------------------------

    def sample(self, request: SampleRequest) -> None:
        """Start a model request."""
        sieve = partial(Sieve, on_script=self._crew.expect_script)
        table = self._tables[request.request_id] = TextTable(sieve if request.scripts else None)

        async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            await self._crew.sample(ctx, request, table, self._address, task_status=task_status)

        self._start(ChildId(request.request_id), start, "model_stream")

    def gather(self, effect: GatherContext) -> None:
        """Have somebody look what the model is to know."""

        async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            self._inlet.put(await self._crew.gather(self._thread_id, effect, self._inlet.put))

        self._start(effect.child, start, "context")

    def run_hooks(self, effect: RunHooks) -> None:
        """Run the user's programs for an event."""

        async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            verdict = await self._crew.run_hooks(self._thread_id, effect, self._inlet.put)
            self._inlet.put(HooksAnswered(child=effect.child, verdict=verdict, approval_id=effect.approval_id))

        self._start(effect.child, start, "hooks")

    def prepare(self, call: ToolCall, settings: ThreadSettings) -> None:
        """Start a tool worker; the first of the thread's opens the workshop."""
        output = OpenText("output")
        child = ChildId(call.item_id)
        self._taken[child, 0] = output
        opened = self._open_workshop(settings)

        async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            leave: Mailbox[WorkerMessage] = ctx.open_mailbox(capacity=1)
            ctx.state = call.name
            self._leaves[child] = leave.address
            task_status.started()
            await opened.wait()
            assert self._workshop is not None
            self._workshop.settings = settings
            await self._crew.work(call, self._workshop, output, leave, self._inlet.put)

        self._start(child, start, "tool_worker")

    def use(self, settings: ThreadSettings) -> None:
        """What calls that have been prepared run under from here on."""
        if self._workshop is not None:
            self._workshop.settings = settings

    def undo(self, child: ChildId, turn_id: TurnId | None, settings: ThreadSettings) -> None:
        """Take back what a turn changed; the workshop knows how."""
        opened = self._open_workshop(settings)

        async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await opened.wait()
            assert self._workshop is not None
            self._workshop.settings = settings
            try:
                done = await self._workshop.undo(turn_id)
            except UndoError as error:
                self._inlet.put(UndoEnded(child=child, why=str(error)))
            else:
                self._inlet.put(UndoEnded(child=child, done=done))

        self._start(child, start, "undo")

    def turn_over(self, turn: Turn, settings: ThreadSettings) -> None:
        """Nothing of a turn is left."""
        if self._workshop is not None:
            self._workshop.turn_over(turn.id)
        tell = self._crew.turn_ended
        if tell is not None:

            async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
                task_status.started()
                await tell(self._thread_id, turn, settings)

            self._start(ChildId(f"notify-{turn.id}"), start, "notify")

    def script(self, call: ToolCall, job: ScriptJob) -> None:
        """Start a script's task."""
        run = self._crew.run_script
        assert run is not None, "no thread without them was offered scripts"
        child = ChildId(call.item_id)

        async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            orders: Mailbox[RunTool | ScriptOrder] = ctx.open_mailbox(capacity=SCRIPT_ORDERS)
            ctx.state = call.name
            self._leaves[child] = orders.address
            task_status.started()
            await run(call, job, orders, self._inlet.put, self._handles)

        self._start(child, start, "script")

    def tell(self, child: ChildId, message: WorkerMessage | ScriptOrder) -> None:
        """Give a worker leave, or an answer it waits for; one that has ended meanwhile needs none."""
        leave = self._leaves.get(child)
        if leave is not None:
            leave.send_nowait(message)

    def set_expiry(self, approval_id: str, at: float | None) -> None:
        """Have `ApprovalDue` sent at a unix time, or not sent any more."""
        timer = self._expiries.pop(approval_id, None)
        if timer is not None:
            timer.cancel("it has been answered")
        if at is not None:
            seconds = max(at - self._clock.now(), 0.0)

            async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
                task_status.started()
                await trio.sleep(seconds)
                self._inlet.put(ApprovalDue(approval_id=approval_id))

            self._expiries[approval_id] = self._children.start(f"expiry-{approval_id}", start, kind="timer")

    def set_deadline(self, turn_id: TurnId, seconds: float | None) -> None:
        """Have `TurnDue` sent, or the last one not sent."""
        if self._deadline is not None:
            self._deadline.cancel("the turn is over")
            self._deadline = None
        if seconds is not None:

            async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
                task_status.started()
                await trio.sleep(seconds)
                self._inlet.put(TurnDue(turn_id=turn_id))

            self._deadline = self._children.start(f"deadline-{turn_id}", start, kind="timer")

    def _start(self, child: ChildId, start: Any, kind: str) -> None:
        running = self._children.start(child, start, watcher=self._address, kind=kind)
        self._running[child] = running
        self._ids[running.name] = child

    def _open_workshop(self, settings: ThreadSettings) -> trio.Event:
        if self._opened is not None:
            return self._opened
        opened = self._opened = trio.Event()

        async def keep(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
            async with self._crew.open_workshop(self._thread_id, settings, self._inlet.put) as workshop:
                workshop.handles = self._handles
                self._workshop = workshop
                task_status.started()
                opened.set()
                await trio.sleep_forever()

        self._start(ChildId(WORKSHOP), keep, "workshop")
        return opened

    # --- ending -----------------------------------------------------------------------------------------------------

    def cancel(self, child: ChildId) -> bool:
        """End a child; False if it has not been started."""
        running = self._running.get(child)
        if running is None:
            return False
        running.cancel("its session said so")
        return True

    def gone(self, down: Down) -> None:
        """A child has ended: put that in line behind what it said. Raises WorkshopLostError."""
        child = self._ids.pop(down.name, None)
        if child is None:
            return
        if child == WORKSHOP:
            raise WorkshopLostError(f"the workshop ended ({down.reason}: {down.detail})")
        del self._running[child]
        self._leaves.pop(child, None)
        self._inlet.put(ChildDown(child=child, crash=down.detail or "crash" if down.reason == "crash" else None))

    def forget(self, child: ChildId) -> None:
        """Its `ChildDown` has been handled: nothing of it will be asked for any more."""
        self._tables.pop(child, None)
        self._taken.pop((child, 0), None)

    def amend_rules(self, prefix: tuple[str, ...]) -> None:
        """Keep a rule; the session hears how that went."""
        self._crew.amend_rules(prefix, self._address)

    def pass_terminal(self, terminal: int) -> None:
        if self._workshop is not None:
            self._workshop.terminals.pass_to_thread(terminal)

    def kill_terminal(self, terminal: int) -> None:
        if self._workshop is not None:
            self._workshop.terminals.kill(terminal)

    # --- texts ------------------------------------------------------------------------------------------------------

    def take_text(self, effect: AttachText) -> None:
        """The core has heard of a text: its stream may go on, and what it holds counts as its item's."""
        table = self._tables.get(effect.request_id)
        if table is None:
            return
        text = table.attach(effect.text_slot)
        if effect.item_id is not None:
            self._texts.setdefault(effect.item_id, []).append(text)
            self._taken[effect.request_id, -1 - effect.text_slot] = text

    def take_output(self, effect: AttachOutput) -> None:
        """The same for a call's output."""
        output = self._taken.get((effect.child, 0))
        if output is not None:
            self._texts.setdefault(effect.item_id, []).append(output)

    def text_for(self, effect: AttachText | AttachOutput) -> OpenText | None:
        """The text to attach to the feed; None if it is not to be shown, or its item is over."""
        if isinstance(effect, AttachOutput):
            return self._taken.pop((effect.child, 0), None)
        return self._taken.pop((effect.request_id, -1 - effect.text_slot), None)

    def follow(self, effect: AttachText, on_open: Callable[[OpenText], None]) -> None:
        """Hear of the scripts in a text as they are written."""
        table = self._tables.get(effect.request_id)
        if table is not None:
            table.follow(effect.text_slot, on_open)

    def partial(self, item_id: ItemId) -> tuple[PartialText, ...]:
        """What an open item holds so far (`effects.Texts`)."""
        return tuple(map(so_far, self._texts.get(item_id, ())))

    def item_over(self, item_id: ItemId) -> None:
        """The item has completed, and been shown so."""
        self._texts.pop(item_id, None)


def so_far(text: OpenText) -> PartialText:
    """A growing text as it is now."""
    return PartialText(channel=text.channel, index=text.index, text=text.text())
