"""A gateway with a scripted house behind it: sessions that say what a test tells them to, in real feeds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio_websocket

from actors.credentials import actor as credentials
from actors.credentials.actor import CREDENTIALS
from actors.credentials.posting import Poster
from actors.credentials.stores.choosing import Chosen
from actors.credentials.stores.memory import MemoryStore
from actors.gateway.actor import open_doorway
from actors.gateway.house import House
from actors.gateway.notifications import WireEncoder
from actors.kernel import Address, Context, Mailbox, Node, System, open_mailbox
from actors.model_stream.providers import known_providers
from actors.ports import Ports
from actors.ports.processes import Processes
from actors.ports.production import production_ports
from actors.session.feed import Feed
from actors.session.global_feed import GlobalFeed
from actors.session.open_text import OpenText
from actors.session.threads import NewThread, UnknownThreadError
from actors.settings import actor as settings
from actors.settings.actor import SETTINGS, load
from actors.settings.core import Sources
from actors.settings.layers import override_layer
from actors.tool_worker.confinement.mechanism import ConfinementReport
from actors.tool_worker.rules import actor as rules
from actors.tool_worker.rules.actor import RULES
from actors.tool_worker.rules.book import RuleBook
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage
from messages.client.model import EffortOption, ModelEntry
from messages.credentials import StoreChoice
from messages.log import ListThreads, Record, ThreadPage
from messages.model import TokenUsage
from messages.session import (
    Approval,
    ApprovalRequested,
    ApprovalResolved,
    CancelToolCall,
    CleanTerminals,
    CompactThread,
    InterruptTurn,
    ItemCompleted,
    ItemStarted,
    ListTerminals,
    NameChanged,
    ReadThread,
    Refused,
    ResolveApproval,
    RunScript,
    RunUserCommand,
    SessionCommand,
    SessionEvent,
    SetThreadName,
    StartTurn,
    SteerTurn,
    Subscribe,
    TerminalView,
    TerminateTerminal,
    ThreadSettings,
    ThreadStatus,
    ThreadSummary,
    ThreadView,
    Turn,
    TurnAccepted,
    TurnStarted,
    UpdateSettings,
)
from messages.settings import Settings
from messages.settings.project import ProjectSettings
from tests.protocol_schema import check_server_frame
from tests.simulation.programs import CONFINEMENT


class NoProcesses:
    """For tests that run no command."""

    def __init__(self) -> None:
        self.report = CONFINEMENT

    async def spawn(self, request: object) -> Any:
        raise AssertionError("this test runs no command")

    async def confinement(self) -> ConfinementReport:
        return self.report


class FakeSession:
    """Answers commands; its feed is real. ``heard`` holds every command."""

    def __init__(self, house: FakeHouse, thread_id: ThreadId, settings: ThreadSettings, source: str) -> None:
        self.thread_id = thread_id
        self.settings = settings
        self.feed = Feed(thread_id, "epoch-1", house.encoder, everywhere=house.everywhere)
        self.mailbox: Mailbox[SessionCommand] = open_mailbox(thread_id, system=house.system)
        self.heard: list[SessionCommand] = []
        self.turns: list[Turn] = []
        self.approvals: dict[str, Approval] = {}
        self.status = ThreadStatus(kind="idle")
        self.log: list[Record] = []
        self.name: str | None = None
        self.refuse: Refused | None = None
        self.hang = False
        self._source = source

    def view(self) -> ThreadView:
        summary = ThreadSummary(
            id=self.thread_id,
            path=f"/home/u/.callboard/sessions/{self.thread_id}.jsonl",
            cwd=self.settings.cwd,
            preview="look",
            name=self.name,
            provider=self.settings.provider,
            model=self.settings.model,
            source=self._source,
            created_at=1_795_179_848.5,
            updated_at=1_795_179_850.5,
            cli_version="0.1.0",
            git_branch="main",
        )
        return ThreadView(
            summary=summary,
            settings=self.settings,
            status=self.status,
            turns=tuple(self.turns),
            usage=TokenUsage(),
            approvals=tuple(self.approvals.values()),
        )

    def put(self, event: SessionEvent) -> None:
        self.feed.put(event, ordinal=len(self.log))

    def say(self, item_id: str, *pieces: str) -> OpenText:
        """Begin a message and stream some of it."""
        self.put(ItemStarted(turn_id=TurnId("turn-1"), item=AgentMessage(id=item_id, text=""), at_ms=1))
        text = OpenText("text")
        self.feed.attach(TurnId("turn-1"), ItemId(item_id), text)
        for piece in pieces:
            text.append(piece)
        return text

    def said(self, item_id: str, text: str) -> None:
        """Complete a message."""
        self.put(ItemCompleted(turn_id=TurnId("turn-1"), item=AgentMessage(id=item_id, text=text), at_ms=2))

    def ask(self, approval: Approval) -> None:
        self.approvals[approval.id] = approval
        self.put(ApprovalRequested(approval=approval))

    async def run(self) -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                for command, reply in await self.mailbox.receive():
                    self.heard.append(command)
                    answer = self._handle(command)
                    if reply is not None and not self.hang:
                        reply.answer(answer)

    def _handle(self, command: SessionCommand) -> object:
        if self.refuse is not None:
            return self.refuse
        match command:
            case Subscribe():
                return self.feed.subscription(self.view(), after_seq=command.after_seq, epoch=command.epoch)
            case ReadThread():
                return self.view()
            case StartTurn():
                turn = Turn(id=TurnId("turn-1"), status="inProgress", started_at=1_795_179_849)
                self.put(TurnStarted(turn=turn))
                return TurnAccepted(turn_id=turn.id)
            case SteerTurn() | InterruptTurn() | RunUserCommand() | RunScript() | CompactThread():
                return TurnAccepted(turn_id=TurnId("turn-1"))
            case ResolveApproval():
                won = self.approvals.pop(command.approval_id, None) is not None
                if won:
                    self.put(
                        ApprovalResolved(approval_id=command.approval_id, decision=command.decision, by=command.by)
                    )
                return won
            case UpdateSettings():
                return self.settings
            case SetThreadName():
                self.name = command.name
                self.put(NameChanged(name=command.name))
                return None
            case ListTerminals():
                return (
                    TerminalView(
                        terminal=7,
                        call_id=CallId("c"),
                        item_id=ItemId("x"),
                        command="make watch",
                        cwd="/w",
                        started_at=1.0,
                    ),
                )
            case TerminateTerminal():
                return command.terminal == 7
            case CancelToolCall():
                return command.call_id == "c"
            case CleanTerminals():
                return 1
            case _:
                return None


class FakeHouse:
    """`SessionHost` and `ThreadLibrary` in one."""

    def __init__(self, home: str, processes: Processes | None = None) -> None:
        self.no_processes = NoProcesses()
        self.ports: Ports = production_ports(self.no_processes if processes is None else processes)
        self.system = System(random=self.ports.entropy.random, strict=True)
        self.encoder = WireEncoder(lambda: 1_795_179_848_417)
        self.everywhere = GlobalFeed(self.encoder)
        self.sessions: dict[ThreadId, FakeSession] = {}
        self.on_disk: dict[ThreadId, ThreadSummary] = {}
        self.home = home
        self.logins = MemoryStore()
        self.nursery: trio.Nursery | None = None
        self.requests: list[ListThreads] = []
        self.system.directory.expect(SETTINGS)
        self.system.directory.expect(CREDENTIALS)
        self.system.directory.expect(RULES)
        self.projects: dict[str, ProjectSettings] = {}

    def credentials_means(self) -> credentials.Means:
        """Logins in memory, for the providers that are built in; no server answers."""
        return credentials.Means(
            ports=self.ports,
            home=self.home,
            providers=known_providers(Settings(), ""),
            services=dict,
            environment={},
            open_store=lambda _: Chosen(store=self.logins, why="Kept in memory."),
            choice=_ephemeral,
            posts=Poster(self.ports),
        )

    def house(self) -> House:
        return House(
            ports=self.ports,
            sessions=self,
            library=self,
            everywhere=self.everywhere,
            settings=self.system.directory.address(SETTINGS),
            rules=RuleBook(self.system.directory.address(RULES), lambda: self.projects),
            credentials=self.system.directory.address(CREDENTIALS),
            models=_models,
            tree=lambda: Node(
                id="root", kind="supervisor", state="running", children=(Node(id="a", kind="b", state="c"),)
            ),
            home=self.home,
            cwd="/w",
            version="0.1.0",
            environment={"PATH": "/usr/bin:/bin", "SECRET": "no"},
            providers=("rehearsal", "openai"),
            tool_names=frozenset(("exec_command",)),
        )

    def new(self, thread_id: str, settings: ThreadSettings | None = None, source: str = "vscode") -> FakeSession:
        session = FakeSession(
            self,
            ThreadId(thread_id),
            settings or ThreadSettings(provider="rehearsal", model="rehearsed-1", cwd="/w"),
            source,
        )
        self.sessions[session.thread_id] = session
        assert self.nursery is not None
        self.nursery.start_soon(session.run)
        return session

    async def start_thread(self, request: NewThread) -> tuple[ThreadView, Address[SessionCommand]]:
        await trio.lowlevel.checkpoint()
        session = self.new(self.ports.entropy.uuid7(), request.settings, request.source)
        return session.view(), session.mailbox.address

    async def open(self, thread_id: ThreadId) -> Address[SessionCommand]:
        await trio.lowlevel.checkpoint()
        if thread_id not in self.sessions:
            raise UnknownThreadError(thread_id)
        return self.sessions[thread_id].mailbox.address

    def loaded(self) -> Mapping[ThreadId, Address[SessionCommand]]:
        return {thread_id: session.mailbox.address for thread_id, session in self.sessions.items()}

    def active(self) -> int:
        return 0

    async def page(self, request: ListThreads) -> ThreadPage:
        await trio.lowlevel.checkpoint()
        self.requests.append(request)
        if request.cursor == "bad":
            raise ValueError("invalid cursor: bad")
        summaries = [*self.on_disk.values(), *(session.view().summary for session in self.sessions.values())]
        return ThreadPage(threads=tuple(summaries), next_cursor="more")

    async def find(self, thread_id: ThreadId) -> ThreadSummary | None:
        await trio.lowlevel.checkpoint()
        return self.on_disk.get(thread_id)

    async def records(self, thread_id: ThreadId, *, first_ordinal: int, limit: int) -> tuple[tuple[int, Record], ...]:
        await trio.lowlevel.checkpoint()
        log = self.sessions[thread_id].log
        return tuple(list(enumerate(log))[first_ordinal : first_ordinal + limit])


async def _models() -> tuple[ModelEntry, ...]:
    return (
        ModelEntry(
            id="rehearsed-1",
            model="rehearsed-1",
            display_name="Rehearsed",
            description="Scripted",
            hidden=False,
            is_default=True,
            default_reasoning_effort="medium",
            supported_reasoning_efforts=(EffortOption(reasoning_effort="medium", description="some"),),
            input_modalities=("text",),
        ),
    )


async def _ephemeral() -> StoreChoice:
    return "ephemeral"


def _rehearsed(given: Settings, listen: dict[str, Any]) -> Settings:
    return msgspec.structs.replace(
        given,
        model=given.model or "rehearsed-1",
        model_provider=given.model_provider or "rehearsal",
        listen=msgspec.structs.replace(given.listen, **listen),
    )


class FakeClient:
    """A client that validates every frame it gets against the schema."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        """Notifications and requests not looked at yet."""
        self._next_id = 0

    async def send(self, frame: object) -> None:
        await self.socket.send_message(frame if isinstance(frame, str) else json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        with trio.fail_after(5):
            frame: dict[str, Any] = json.loads(await self.socket.get_message())
        if "method" in frame or "error" in frame:
            check_server_frame(frame)
        return frame

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result; what came before it is kept in ``told``. Raises CallError."""
        self._next_id += 1
        await self.send({"id": self._next_id, "method": method, "params": {} if params is None else params})
        while True:
            frame = await self.receive()
            if "method" in frame:
                self.told.append(frame)
                continue
            assert frame["id"] == self._next_id
            if "error" in frame:
                raise CallError(frame["error"])
            check_server_frame(frame, answering=method)
            return frame["result"]

    async def next(self, method: str | None = None) -> dict[str, Any]:
        """The next notification or request (of that method)."""
        while True:
            frame = self.told.pop(0) if self.told else await self.receive()
            if method is None or frame.get("method") == method:
                return frame

    async def initialize(self, **capabilities: Any) -> Any:
        result = await self.call(
            "initialize", {"clientInfo": {"name": "probe", "version": "1"}, "capabilities": capabilities}
        )
        await self.send({"method": "initialized"})
        return result


class CallError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Stage:
    """A gateway that listens on loopback, and its house."""

    def __init__(self, house: FakeHouse, address: str, ctx: Context) -> None:
        self.house = house
        self.address = address
        self._ctx = ctx

    def shut_down(self) -> None:
        """Ask the gateway to end."""
        assert self._ctx.request_shutdown(5.0)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @asynccontextmanager
    async def client(self, *, initialize: bool = True, **options: Any) -> AsyncIterator[FakeClient]:
        async with trio_websocket.open_websocket_url(
            self.address, max_message_size=1 << 28, disconnect_timeout=1, **options
        ) as socket:
            client = FakeClient(socket)
            try:
                if initialize:
                    await client.initialize()
                yield client
            finally:
                if socket.closed is not None:
                    # The library leaves its socket to the garbage collector when the other side closed first.
                    await trio.aclose_forcefully(socket._stream)


@asynccontextmanager
async def open_stage(
    home: Path,
    *,
    processes: Processes | None = None,
    environment: dict[str, str] | None = None,
    overrides: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Stage]:
    """Everything runs inside the block, the rounds included. The settings are real: a file in ``home``, ``environment``
    and ``-c overrides``."""
    fake = FakeHouse(str(home), processes)
    listen = {"address": "ws://127.0.0.1:0", "auth": False, **options}
    sources = Sources(home=str(home), environment=environment or {}, overrides=tuple(map(override_layer, overrides)))
    state = await load(sources, fake.ports, lambda given, _logins: _rehearsed(given, listen))
    doorway = await open_doorway(fake.house(), state.current.settings.listen)
    async with trio.open_nursery() as nursery:
        fake.nursery = nursery
        await nursery.start(fake.ports.network.rounds.run)
        await nursery.start(partial(settings.run, Context(fake.system, "settings"), fake.ports, state))
        await nursery.start(partial(rules.run, Context(fake.system, "rules"), ports=fake.ports, home=fake.home))
        await nursery.start(credentials.run, Context(fake.system, "credentials"), fake.credentials_means())
        ctx = Context(fake.system, "gateway")
        await nursery.start(partial(doorway.run, ctx))
        try:
            yield Stage(fake, doorway.address, ctx)
        finally:
            await doorway.aclose()
            nursery.cancel_scope.cancel()
