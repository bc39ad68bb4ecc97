"""The machine a whole daemon is tried on: its disk, its programs, a model server, and a record of what was done.

Everything but the daemon lives outside (`World.outside`) and outlives its deaths.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import trio

from actors.gateway.capability import TOKEN_FILE
from actors.ports import Ports
from actors.ports.network import ByteStream
from actors.rehearsal.actor import Stage
from actors.rehearsal.script import Scene, read_scenes
from actors.rehearsal.server import Request, RequestReader
from actors.rehearsal.wires import Spoken
from actors.rollout_writer.validity import validate_history
from messages.items import HistoryItem
from supervisors.daemon import DaemonOptions, HomeUnusableError, open_daemon
from tests.simulation import Chances, ProgramRun, SimStream, World

HOME = "/home/callboard"
WORKSPACE = "/work"
HOST, PORT, MODEL_PORT = "127.0.0.1", 4600, 8000

DRAIN_SECONDS = 0.5
"""For turns that run when the daemon is asked to stop: some finish, some are interrupted."""

NOTES = b"project: simulated\nbuilt: no\nend\n"

CONFIG = f"""\
drain_seconds = {DRAIN_SECONDS}
shell_snapshot = false
model_provider = "model"
model = "rehearsal"
[model_providers.model]
base_url = "http://{HOST}:{MODEL_PORT}/v1"
""".encode()

FULL_DISK_ECHO_SECONDS = 0.3
"""Until everybody has heard of what failed while the disk was full."""

KEY = "CALLBOARD_IDEMPOTENCY_KEY"

_KINDS = frozenset(
    (
        *("message", "reasoning", "function_call", "function_call_output"),
        *("custom_tool_call", "custom_tool_call_output", "compaction"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Executed:
    """A command that began to run."""

    key: str
    command: str
    life: int
    at: float


class WatchedStage(Stage):
    """A model server that looks at each history it is sent, as a strict provider would."""

    def __init__(self, ports: Ports, scenes: tuple[Scene, ...], complain: Callable[[str], None]) -> None:
        super().__init__(ports, scenes, port=MODEL_PORT)
        self.requests = 0
        self._complain = complain

    async def _respond(self, request: Request, wire: Spoken, stream: ByteStream, reader: RequestReader) -> bool:
        self.requests += 1
        for problem in validate_history(sent_history(request.body)):
            self._complain(f"the model was sent a history that is not valid: {problem}")
        return await super()._respond(request, wire, stream, reader)


def sent_history(body: bytes) -> tuple[HistoryItem, ...]:
    """The history of a request, item by item."""
    items = []
    for raw in msgspec.json.decode(body)["input"]:
        raw.setdefault("type", "message")
        kind: Any = raw["type"] if raw["type"] in _KINDS else "opaque"
        items.append(HistoryItem(kind=kind, raw=msgspec.json.encode(raw), call_id=raw.get("call_id")))
    return tuple(items)


class Machine:
    """One simulated machine, from power on to the end of the trial."""

    def __init__(self, seed: int, *, chances: Chances | None = None, config: str = "") -> None:
        self.seed = seed
        self.world = World(seed, chances=chances)
        self.complaints: list[str] = []
        self.executed: list[Executed] = []
        self.has_room = trio.Event()
        """Unset while the disk is full, and a little longer: only then errors are to be expected."""
        self.has_room.set()
        self._running: dict[int, str] = {}
        self.life = 0
        """Which life of the daemon goes on or ended last."""
        self.stage = WatchedStage(self.world.outside, scenes(), self.complain)
        self.lives_cut = 0
        """How often the daemon was killed, or asked to stop, before everybody was done."""
        self.up = False
        """The daemon has listened in some life."""
        self.struck = ""
        """Where a defect has struck an actor; from then on the daemon may report errors and ask to try again."""
        self.over = False
        """Everybody is done: the daemon may stop in order, and for good."""
        self.stop = trio.Event()
        """Set when the life that goes on is to stop in order, as at SIGTERM."""
        self.asked_to_stop_at = 0.0
        self.reset_at = -1.0
        """When a connection was cut last: whoever had it then may have missed how a daemon stopped."""
        self.workspace_writes: list[str] = []
        disk = self.world.disk
        disk.put(f"{HOME}/config.toml", config.encode() + CONFIG)
        disk.put(f"{WORKSPACE}/notes.txt", NOTES)
        disk.before = self._look_at_file_verb
        self.world.programs.add("/bin/bash", self._shell)

    def complain(self, words: str) -> None:
        """A law is broken."""
        self.complaints.append(words)

    async def daemon(self, ports: Ports) -> None:
        """One life, from start until everybody is done."""
        options = DaemonOptions(
            home=HOME,
            environment={"HOME": "/home", "PATH": "/usr/bin:/bin"},
            listen=f"ws://{HOST}:{PORT}",
            cwd=WORKSPACE,
            index_path=":memory:",
        )
        served = False
        while not served:
            try:
                async with open_daemon(ports, options, engine=self.world.engine()):
                    self.up = served = True
                    await self.stop.wait()
            except HomeUnusableError:
                if self.has_room.is_set():
                    raise
                await self.has_room.wait()  # whoever starts it tries again then

    async def cut_connections(self, gaps: Callable[[], float], count: int) -> None:
        """Reset connections between clients and the daemon, or the daemon and the model, now and then."""
        for _ in range(count):
            await trio.sleep(gaps())
            alive = [stream for stream in self.world.fabric.streams if stream.incoming.room() and not _over(stream)]
            if alive:
                alive[int(gaps() * 1e6) % len(alive)].reset()
                self.reset_at = trio.current_time()

    def _look_at_file_verb(self, verb: str, path: str) -> None:
        if verb == "write" and path.startswith(WORKSPACE):
            self.workspace_writes.append(path)

    def token(self) -> str:
        """What a client on the same machine reads to be let in."""
        return self.world.disk.get(f"{HOME}/{TOKEN_FILE}").decode().strip()

    def rollout(self, thread_id: str) -> str | None:
        """The path of a thread's log."""
        return next((path for path in self.world.disk.paths(HOME) if path.endswith(f"{thread_id}.jsonl")), None)

    def rollouts(self) -> list[str]:
        """The paths of all logs that hold anything."""
        disk = self.world.disk
        paths = (path for path in disk.paths(HOME) if path.endswith(".jsonl") and "rollout-" in path)
        return [path for path in paths if b"\n" in disk.get(path)]

    def durable_log(self, thread_id: str) -> bytes:
        """What power loss would leave of a thread's log."""
        path = self.rollout(thread_id)
        node = None if path is None else self.world.disk.durable_names.get(path)
        return b"" if node is None else node.durable

    def running_keys(self) -> set[str]:
        """The calls whose commands run now."""
        return set(self._running.values())

    async def fill_disk(self, gaps: Callable[[], float], count: int) -> None:
        """Let the disk be full for a while, now and then; some bytes still fit, so that writes are cut."""
        disk = self.world.disk
        for _ in range(count):
            await trio.sleep(gaps())
            used = sum(len(node.data) for node in set(disk.names.values()))
            has_room = self.has_room = trio.Event()
            disk.capacity = used + int(gaps() * 1000)
            await trio.sleep(gaps())
            disk.capacity = None
            await trio.sleep(FULL_DISK_ECHO_SECONDS)
            has_room.set()

    # --- programs ---------------------------------------------------------------------------------------------------

    async def _shell(self, run: ProgramRun) -> int:
        """`/bin/bash -lc COMMAND` for the few commands there are."""
        command = run.argv[-1]
        executed = Executed(key=run.environment[KEY], command=command, life=self.life, at=trio.current_time())
        if any(executed.key == earlier.key for earlier in self.executed):
            self.complain(f"{command!r} ran twice for one call ({executed.key})")
        turn = executed.key.rpartition("/")[0]
        if any((turn, command) == (earlier.key.rpartition("/")[0], earlier.command) for earlier in self.executed):
            self.complain(f"{command!r} ran twice in one turn ({executed.key}), which no scene says")
        self.executed.append(executed)
        if executed.key.encode() not in self.durable_log(executed.key.partition("/")[0]):
            self.complain(f"{command!r} started, and power loss would take the record of that ({executed.key})")
        self._running[id(run)] = executed.key
        try:
            return await self._perform(command, run)
        finally:
            del self._running[id(run)]

    async def _perform(self, command: str, run: ProgramRun) -> int:
        match command.split():
            case ["work", name, seconds]:
                await trio.sleep(float(seconds) / 2)
                await run.write(f"{name}: half\n".encode())
                await trio.sleep(float(seconds) / 2)
                await run.write(f"{name}: done\n".encode())
                return 0
            case ["chatter", lines]:
                for number in range(int(lines)):
                    await run.write(f"line {number}\n".encode())
                    await trio.sleep(0.1)
                return 0
            case ["flood", kilobytes]:
                for number in range(int(kilobytes)):
                    await run.write(b"%1023d\n" % number)
                return 0
            case ["stubborn"]:
                run.traps = True
                await run.write(b"you cannot stop me\n")
                await trio.sleep_forever()
            case ["serve"]:
                await run.write(b"ready\n")
                while data := await run.read_stdin():
                    await run.write(b"heard " + data)
                return 0
        await run.write(f"bash: {command}: command not found\n".encode())
        return 127


def scenes() -> tuple[Scene, ...]:
    """What the model plays."""
    folder = Path(__file__).parent / "scenes"
    return read_scenes({path.name: path.read_bytes() for path in folder.glob("*.toml")})


def _over(stream: SimStream) -> bool:
    return stream.incoming.broken or stream.outgoing.broken or stream.incoming.ended or stream.outgoing.ended


@contextlib.asynccontextmanager
async def powered(machine: Machine) -> AsyncIterator[trio.Nursery]:
    """The machine is on, and its model server serves."""
    async with machine.world.powered(), trio.open_nursery() as nursery:
        await nursery.start(machine.stage.serve)
        yield nursery
        nursery.cancel_scope.cancel()
