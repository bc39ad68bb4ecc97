"""The running commands of one thread (unified exec): started by a call, perhaps outliving it.

A command belongs to the call that started it until the session has logged the output that carries its id; from then
on to the thread (`pass_to_thread`). Whoever owns it, one task reads its output: into a buffer that keeps head and
tail, into what is new since the last poll, and into the text that clients watch.

At most `TERMINALS_MAX` live at once. When another is wanted, the one used longest ago is ended, but never one of the
`PROTECTED` used last.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

import msgspec
import trio

from actors.ports import Ports
from actors.ports.processes import ExitStatus, Process, SpawnRequest
from actors.session.open_text import OpenText
from actors.tool_worker.confinement.denial import denial_note, denied_words
from actors.tool_worker.head_tail import OUTPUT_BYTES_MAX, HeadTail
from messages.client.item import CommandExecution
from messages.tools import TerminalEnded, ToolCall

TERMINALS_MAX = 64
"""Live commands per thread: more is a leak, not a workflow."""

PROTECTED = 8
"""Of those, the most recently used are never ended to make room."""

FIRST_ID, LAST_ID = 10_000, 99_999
"""Session ids are five digits, as models know them."""

RESERVED_MAX = 1_000
"""Ids promised to commands that have not started: more than one turn can have prepared. Declined ones never start."""

LIVE_CHARS_MAX = OUTPUT_BYTES_MAX
"""Of one command's output streamed to clients as it comes; beyond it the finished item's head and tail must do."""

SCRIPT_OUTPUT_BYTES_MAX = 4 * 1024 * 1024
"""Kept for a script, which reads it and need not show it: a large log. Eight commands at once, so it is not more."""

LIVE_CUT = "\n[more output follows; it is not shown live]\n"


class Terminal:
    """One command, from its start until its end was reported."""

    def __init__(
        self, id_: int, call: ToolCall, item: CommandExecution, request: SpawnRequest, output: OpenText
    ) -> None:
        self.id = id_
        self.call = call
        self.item = item
        self.request = request
        self.buffer = HeadTail()
        """All it wrote."""
        self.fresh = HeadTail(SCRIPT_OUTPUT_BYTES_MAX if call.by == "script" else OUTPUT_BYTES_MAX)
        """What it wrote since the last poll."""
        self.process: Process | None = None
        self.status: ExitStatus | None = None
        self.ended = trio.Event()
        self.named = False
        """A finished call's output names it: its end is reported as an event of its own."""
        self.passed = False
        self.denied: str | None = None
        """It failed, and probably because its sandbox denied it something: the words that say so."""
        self.used_at = 0.0
        self.started_at = 0.0
        self.ended_at = 0.0
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def interactive(self) -> bool:
        """Whether its input is open."""
        return self.request.terminal is not None

    def take_in(self, chunk: bytes) -> None:
        """What it wrote, to everybody who wants it."""
        self.buffer.append(chunk)
        self.fresh.append(chunk)
        room = LIVE_CHARS_MAX - self._output.chars
        if room > 0:
            text = self._decoder.decode(chunk)
            self._output.append(text if len(text) < room else text[:room] + LIVE_CUT)

    def explain(self) -> None:
        """Under the output of a command that its sandbox has probably denied something, say so."""
        assert self.status is not None
        confinement = self.request.confinement
        if confinement is None or self.status.code == 0:
            return
        text = self.buffer.output().text
        self.denied = denied_words(self.status, text, confinement)
        if self.denied is not None:
            note = denial_note(self.denied, confinement)
            self.take_in(f"{'' if text.endswith(chr(10)) else chr(10)}{note}\n".encode())

    def finished_item(self) -> CommandExecution:
        """Its item, done."""
        code = None if self.status is None else self.status.code
        return msgspec.structs.replace(
            self.item,
            status="completed" if code == 0 else "failed",
            aggregated_output=self.buffer.output().text,
            exit_code=code,
            duration_ms=round((self.ended_at - self.started_at) * 1000),
        )


class Terminals:
    """Of one thread."""

    def __init__(self, *, ports: Ports, nursery: trio.Nursery, report: Callable[[TerminalEnded], None]) -> None:
        self._ports = ports
        self._nursery = nursery
        self._report = report
        self._all: dict[int, Terminal] = {}
        self._reserved: dict[int, None] = {}
        """In the order they were promised."""

    def reserve_id(self) -> int:
        """An id nobody has or was promised."""
        while True:
            id_ = self._ports.entropy.random.randint(FIRST_ID, LAST_ID)
            if id_ not in self._all and id_ not in self._reserved:
                self._reserved[id_] = None
                if len(self._reserved) > RESERVED_MAX:
                    del self._reserved[next(iter(self._reserved))]
                return id_

    def find(self, id_: int) -> Terminal | None:
        """A command that runs, or whose end nobody has been told yet."""
        return self._all.get(id_)

    async def start(
        self,
        id_: int,
        call: ToolCall,
        item: CommandExecution,
        request: SpawnRequest,
        output: OpenText,
        *,
        preface: str = "",
    ) -> Terminal:
        """Start a command under a reserved id. ``preface``: what its output begins with. Raises SpawnError."""
        await self._make_room()
        terminal = Terminal(id_, call, item, request, output)
        terminal.started_at = terminal.used_at = self._ports.clock.monotonic()
        terminal.process = await self._ports.processes.spawn(request)
        self._reserved.pop(id_, None)
        self._all[id_] = terminal
        if preface:
            terminal.take_in(preface.encode())
        self._nursery.start_soon(self._attend, terminal, terminal.process)
        return terminal

    def touch(self, terminal: Terminal) -> None:
        """It was used just now."""
        terminal.used_at = self._ports.clock.monotonic()

    def pass_to_thread(self, id_: int) -> None:
        """The output that names it is in the log."""
        terminal = self._all.get(id_)
        if terminal is not None:
            terminal.passed = True

    def forget(self, terminal: Terminal) -> None:
        """Its exit has been told to the model."""
        self._all.pop(terminal.id, None)

    def name(self, terminal: Terminal) -> None:
        """A call was answered with its id: from here on its end is reported."""
        terminal.named = True

    async def stop(self, terminal: Terminal) -> None:
        """End a command and everything it started; returns when nothing is left."""
        assert terminal.process is not None
        with trio.CancelScope(shield=True):
            await terminal.process.stop()
            await terminal.ended.wait()

    def kill(self, id_: int) -> None:
        """Begin to end a command; `TerminalEnded` follows."""
        terminal = self._all.get(id_)
        if terminal is not None:
            self._nursery.start_soon(self.stop, terminal)

    async def aclose(self) -> None:
        """End all; returns when nothing is left."""
        async with trio.open_nursery() as nursery:
            for terminal in list(self._all.values()):
                if not terminal.ended.is_set():
                    nursery.start_soon(self.stop, terminal)

    async def _attend(self, terminal: Terminal, process: Process) -> None:
        """Read a command's output until it is over. Cancelled only when the thread closes: then it is ended first."""
        try:
            with trio.CancelScope(shield=True):
                while chunk := await process.read_output():
                    terminal.take_in(chunk)
                terminal.status = await process.wait()
                terminal.explain()
        finally:
            with trio.CancelScope(shield=True):
                await process.aclose()
            terminal.ended_at = self._ports.clock.monotonic()
            terminal.ended.set()
            if terminal.named:
                self._report(
                    TerminalEnded(
                        terminal=terminal.id,
                        call_id=terminal.call.call_id,
                        turn_id=terminal.call.turn_id,
                        item=terminal.finished_item(),
                    )
                )

    async def _make_room(self) -> None:
        over = [terminal for terminal in self._all.values() if terminal.ended.is_set()]
        for terminal in over[: max(len(over) - PROTECTED, 0)]:
            self.forget(terminal)  # nobody has asked how it ended, and its item has told
        running = [terminal for terminal in self._all.values() if not terminal.ended.is_set()]
        if len(running) < TERMINALS_MAX:
            return
        running.sort(key=lambda terminal: terminal.used_at)
        oldest = running[: len(running) - PROTECTED]
        passed = next((terminal for terminal in oldest if terminal.passed), None)
        if passed is not None:
            await self.stop(passed)
