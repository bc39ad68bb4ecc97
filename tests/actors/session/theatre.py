"""A whole session host with everything around it scripted: a log in memory, models and tools that do as told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, TypeVar, TypeVarTuple, Unpack

import msgspec
import trio

from actors.kernel import Address, Context, Mailbox, Reply, Service, System
from actors.ports import Ports
from actors.ports.production import SystemFiles
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.rollout_writer.handle_store import HandleStore
from actors.rollout_writer.lines import encode
from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.projection import project
from actors.session.actor import Means
from actors.session.children import Crew, ScriptRunner, UndoError
from actors.session.cursor import Cursor
from actors.session.feed import Subscription
from actors.session.global_feed import GlobalFeed
from actors.session.host import SessionHost
from actors.session.open_text import OpenText, TextTable
from actors.session.state import Offer
from actors.session.threads import NewThread
from messages.base import ItemId, ThreadId, TurnId
from messages.client.account import AccountUpdated
from messages.client.event import RateLimitsUpdated
from messages.failure import Failure
from messages.log import Append, Appended, AppendFailed, FindThread, LogRequest, Record
from messages.model import ItemFinished, SampleRequest, StreamEvent
from messages.session import (
    Refused,
    SessionCommand,
    SessionEvent,
    StartTurn,
    Subscribe,
    ThreadSettings,
    ThreadStatus,
    ThreadView,
    TurnAccepted,
    TurnUndone,
)
from messages.tools import RunTool, TerminalEnded, ToolCall, ToolEvent, ToolFinished, ToolPrepared
from supervisors.dynamic import DynamicSupervisor
from supervisors.strategy import Backoff
from tests.actors.session.made import SETTINGS, began, command_item, completed, message, text_began, words

LOG: Service[LogRequest] = Service("log")
FULL = Failure(kind="storage", message="No space left on the device.")


class FakeClock:
    def now(self) -> float:
        return 1_700_000_000.0 + trio.current_time()

    def monotonic(self) -> float:
        return trio.current_time()


class FakeEntropy:
    def __init__(self, count: int = 0) -> None:
        self.random = random.Random(1)
        self.count = count

    def uuid7(self) -> str:
        self.count += 1
        return f"01900000-0000-7000-8000-{self.count:012d}"

    def token(self, nbytes: int) -> bytes:
        return self.random.randbytes(nbytes)


class Log:
    """Rollouts as bytes, by path. ``held``: appends wait; ``full``: they fail."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.files: dict[str, bytes] = {}
        self.records: dict[str, list[Record]] = {}
        self.barriers = 0
        self.writes = 0
        self.full = False
        self.held = False
        self._waiting: list[tuple[Append, Reply]] = []

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        mailbox: Mailbox[LogRequest] = ctx.open_mailbox()
        ctx.publish(LOG, mailbox.address)
        task_status.started()
        while True:
            for request, reply in await mailbox.receive():
                assert reply is not None
                if isinstance(request, FindThread):
                    path = next((path for path in self.files if request.thread_id in path), None)
                    loaded = None if path is None else project(self.files[path])
                    reply.answer(None if loaded is None else loaded.summary(path))
                elif isinstance(request, Append):
                    self._waiting.append((request, reply))
                    if not self.held:
                        self.release()

    def release(self) -> None:
        self.held = False
        waiting, self._waiting = self._waiting, []
        for request, reply in waiting:
            self._append(request, reply)

    def _append(self, request: Append, reply: Reply) -> None:
        there = self.records.setdefault(request.path, [])
        assert request.first_ordinal == len(there) or not request.records, "ordinals without gaps"
        if self.full:
            reply.answer(AppendFailed(thread_id=request.thread_id, first_ordinal=len(there), failure=FULL))
            return
        there.extend(request.records)
        self.writes += 1
        self.barriers += request.barrier
        lines = encode(request.records, thread_id=request.thread_id, first_ordinal=request.first_ordinal, at=request.at)
        self.files[request.path] = self.files.get(request.path, b"") + b"".join(lines)
        reply.answer(Appended(thread_id=request.thread_id, next_ordinal=len(there)))

    async def load(self, path: str) -> LoadedThread:
        await trio.lowlevel.checkpoint()
        return project(self.files[path])

    async def read(self, path: str, ordinal: int) -> tuple[Record, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(self.records[path][ordinal:])


Script = Callable[["Scene"], Awaitable[None]]


@dataclass
class Scene:
    """One model request, for the script that plays it."""

    request: SampleRequest
    texts: TextTable
    report: Address[StreamEvent]

    async def say(self, text: str, slot: int = 0) -> None:
        """A whole message."""
        growing = await self.begin(text, slot)
        growing.append(text)
        await self.end(text, slot)

    async def begin(self, text: str, slot: int = 0) -> OpenText:
        """A message that has begun; append to the text that is returned."""
        growing = OpenText("text")
        self.texts.open(slot, growing)
        await self.report.send(began(self.request.request_id, slot, message(text)))
        await self.report.send(text_began(self.request.request_id, slot, "text", slot))
        return growing

    async def end(self, text: str, slot: int = 0) -> None:
        await self.give(message(text), slot, begun=True)

    async def give(self, item: Any, slot: int, *, begun: bool = False) -> None:
        """Any item, whole."""
        if not begun:
            await self.report.send(began(self.request.request_id, slot, item))
        await self.report.send(ItemFinished(request_id=self.request.request_id, slot=slot, item=item))

    async def stop(self, stop: Any = "end") -> None:
        await self.report.send(completed(self.request.request_id, stop))


class Terminals:
    def __init__(self, report: Callable[[TerminalEnded], None]) -> None:
        self.report = report
        self.calls: dict[int, ToolCall] = {}
        self.passed: list[int] = []

    def pass_to_thread(self, id_: int) -> None:
        self.passed.append(id_)

    def kill(self, id_: int) -> None:
        self.end(id_)

    def end(self, id_: int) -> None:
        call = self.calls.pop(id_)
        item = command_item(call.item_id, "completed")
        self.report(TerminalEnded(terminal=id_, call_id=call.call_id, turn_id=call.turn_id, item=item))


class Workshop:
    def __init__(self, settings: ThreadSettings, report: Callable[[TerminalEnded], None]) -> None:
        self.settings = settings
        self.handles: HandleStore | None = None
        self.terminals = Terminals(report)

    def turn_over(self, turn_id: TurnId) -> None:
        pass

    async def undo(self, turn_id: TurnId | None) -> TurnUndone:
        await trio.lowlevel.checkpoint()
        raise UndoError("there are no files here")


Tool = Callable[["Theatre", "Bench"], Awaitable[None]]


@dataclass
class Bench:
    """One tool call, for the function that plays its worker."""

    call: ToolCall
    workshop: Workshop
    output: OpenText
    leave: Mailbox[RunTool]
    report: Callable[[ToolEvent], None]

    def prepare(self, *, parallel_safe: bool = True, need: Any = None) -> None:
        self.report(
            ToolPrepared(
                call_id=self.call.call_id,
                item=command_item(self.call.item_id),
                parallel_safe=parallel_safe,
                side_effects=True,
                approval=need,
            )
        )

    def finish(self, output: str = "fine", *, terminal: int | None = None) -> None:
        status = "completed" if terminal is None else "inProgress"
        item = command_item(self.call.item_id, status)
        self.report(
            ToolFinished(call_id=self.call.call_id, outcome="done", output=output, item=item, terminal=terminal)
        )


class Encoder:
    """Frames as JSON of what they say."""

    def event(self, thread_id: ThreadId, epoch: str, seq: int, event: SessionEvent) -> bytes:
        return msgspec.json.encode({"event": type(event).__name__, "seq": seq})

    def delta_head(self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, text: OpenText) -> bytes | None:
        return text.channel.encode()

    def delta(self, head: bytes, delta: str, offset: int) -> bytes:
        if head == b"script":
            return msgspec.json.encode({"event": f"script~{delta}"})
        return msgspec.json.encode({"delta": delta, "offset": offset})

    def live(self, thread_id: ThreadId, epoch: str, seq: int) -> bytes:
        return b"live"

    def account_changed(self, account: AccountUpdated) -> bytes:
        return b"account"

    def limits_changed(self, limits: RateLimitsUpdated) -> bytes:
        return b"account"

    def thread_started(self, view: ThreadView) -> bytes:
        return b"started"

    def thread_status(self, thread_id: ThreadId, status: ThreadStatus) -> bytes:
        return status.kind.encode()

    def thread_closed(self, thread_id: ThreadId) -> bytes:
        return b"closed"


@dataclass
class Theatre:
    host: SessionHost
    log: Log
    system: System
    everywhere: GlobalFeed
    supervisor: DynamicSupervisor
    tree: Context
    scripts: list[Script] = field(default_factory=list)
    tools: dict[str, Tool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    workshops: list[Workshop] = field(default_factory=list)

    async def thread(self, **settings: Any) -> Thread:
        request = NewThread(settings=msgspec.structs.replace(SETTINGS, **settings), source="test", originator="test")
        view, address = await self.host.start_thread(request)
        thread = Thread(self, view.summary.id, address)
        await thread.watch()
        return thread

    async def again(self, thread_id: ThreadId) -> Thread:
        """Load a thread and watch it."""
        thread = Thread(self, thread_id, await self.host.open(thread_id))
        await thread.watch()
        return thread

    async def _sample(
        self,
        ctx: Context,
        request: SampleRequest,
        texts: TextTable,
        report: Address[StreamEvent],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        task_status.started()
        await self.scripts.pop(0)(Scene(request, texts, report))

    async def _work(
        self,
        call: ToolCall,
        workshop: Any,
        output: OpenText,
        leave: Mailbox[RunTool],
        report: Callable[[ToolEvent], None],
    ) -> None:
        await self.tools[call.name](self, Bench(call, workshop, output, leave, report))

    @asynccontextmanager
    async def _open_workshop(
        self, thread_id: ThreadId, settings: ThreadSettings, report: Callable[[TerminalEnded], None]
    ) -> AsyncIterator[Workshop]:
        workshop = Workshop(settings, report)
        self.workshops.append(workshop)
        yield workshop


class Thread:
    """A thread and one who watches it."""

    def __init__(self, theatre: Theatre, thread_id: ThreadId, address: Address[SessionCommand]) -> None:
        self.theatre = theatre
        self.id = thread_id
        self.address = address
        self.frames: list[Any] = []
        self.view: ThreadView | None = None
        self._cursor: Cursor | None = None
        self._news = trio.Event()

    async def watch(self) -> None:
        subscription = await self.address.ask(Subscribe(), Subscription)
        self.view = subscription.view
        self._cursor = subscription.cursor
        self._cursor.start(self._on_dirty)

    def leave(self) -> None:
        assert self._cursor is not None
        self._cursor.close()

    def _on_dirty(self, cursor: Cursor) -> None:
        self._news.set()

    def take(self) -> list[Any]:
        """What is new: names of events, and deltas as ``~text``."""
        assert self._cursor is not None
        new: list[Any] = []
        for frame in self._cursor.take():
            told = msgspec.json.decode(frame)
            new.append(told["event"] if "event" in told else f"~{told['delta']}")
        self.frames.extend(new)
        return new

    async def until(self, name: str) -> list[Any]:
        """Watch until an event of this name; everything told since the last look."""
        seen: list[Any] = []
        with trio.fail_after(5):
            while True:
                seen += self.take()
                if name in seen:
                    return seen
                self._news = trio.Event()
                await self._news.wait()

    async def ask(self, command: SessionCommand, returns: Any = NoneType) -> Any:
        with trio.fail_after(5):
            return await (await self.theatre.host.open(self.id)).ask(command, returns)

    async def start(self, text: str = "hello", submission_id: str = "s1") -> Any:
        return await self.ask(StartTurn(submission_id=submission_id, input=words(text)), (TurnAccepted, Refused))

    @property
    def records(self) -> list[Record]:
        path = next(path for path in self.theatre.log.files if self.id in path)
        return self.theatre.log.records[path]


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class InlineThreads:
    """Blocking work where it is asked for: an autojump clock would run ahead of a real thread."""

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        await trio.lowlevel.checkpoint()
        return work(*args)


@asynccontextmanager
async def open_theatre(
    *,
    unload_delay_seconds: float = 60.0,
    offer: Offer | None = None,
    run_script: ScriptRunner | None = None,
    ids_given: int = 0,
    home: str = "/home",
) -> AsyncIterator[Theatre]:
    """The whole of it, torn down at the end. ``ids_given``: by an earlier life on the same log."""
    system = System(random=random.Random(1), strict=True)
    root = Context(system, "root")
    log = Log(system)
    everywhere = GlobalFeed(Encoder())
    ports = Ports(
        clock=FakeClock(),
        entropy=FakeEntropy(ids_given),
        threads=InlineThreads(),
        files=SystemFiles(),
        network=_no,
        processes=_no,
    )
    theatre = Theatre.__new__(Theatre)
    crew = Crew(
        offer=offer or Offer(),
        run_script=run_script,
        sample=lambda *args, **kwargs: theatre._sample(*args, **kwargs),
        work=lambda *args: theatre._work(*args),
        open_workshop=lambda *args: theatre._open_workshop(*args),
    )
    supervisor = DynamicSupervisor(restart="transient", backoff=Backoff())
    means = Means(
        ports=ports,
        log=system.directory.address(LOG),
        load=log.load,
        records=log.read,
        crew=crew,
        checkpoints=TextCheckpoints(),
    )
    host = SessionHost(
        means=means,
        sessions=supervisor,
        encoder=Encoder(),
        everywhere=everywhere,
        home=home,
        version="0",
        unload_delay_seconds=unload_delay_seconds,
    )
    supervisor.on_gave_up = host.gave_up
    theatre.__init__(host, log, system, everywhere, supervisor, root)  # type: ignore[misc]  # the crew needs it, it needs the host
    async with trio.open_nursery() as nursery:
        await nursery.start(_run_log, log, root)
        await nursery.start(_run, supervisor.run, root.child("sessions"))
        await nursery.start(_run, host.run, root.child("host"))
        yield theatre
        nursery.cancel_scope.cancel()


async def _run_log(log: Log, root: Context, *, task_status: trio.TaskStatus[None]) -> None:
    await log.run(root.child("log"), task_status=task_status)


async def _run(run: Any, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
    await run(ctx, task_status=task_status)


_no: Any = None
