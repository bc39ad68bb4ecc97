"""Processes: scripted programs that produce their output over virtual time, each execution on record."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import trio

from actors.ports.processes import (
    TERMINATION_GRACE_SECONDS,
    ExitStatus,
    SpawnError,
    SpawnRequest,
    TerminalSize,
)
from actors.tool_worker.confinement.mechanism import ConfinementReport
from tests.simulation.life import Chances, Life, digest
from tests.simulation.pipes import Pipe

FIRST_PID = 1000

CONFINEMENT = ConfinementReport(mechanism="bubblewrap", program="/bin/bwrap", landlock=7, own_mounts=True)
"""Of the simulated machine: its programs do only what they are scripted to."""

Program = Callable[["ProgramRun"], Awaitable[int]]
"""What a program does: it gets its run and returns its exit code. It is cancelled when a signal ends it."""

Matcher = Callable[[tuple[str, ...]], bool]


@dataclass(eq=False, kw_only=True)
class Execution:
    """One program that was started; what a tester counts."""

    argv: tuple[str, ...]
    cwd: str
    life: int
    pid: int
    started_at: float
    outcome: Literal["running", "exited", "killed"] = "running"
    status: ExitStatus | None = None
    left_running: bool = False
    """The daemon ended before it, and it died of that."""


class ProgramRun:
    """The world as the program sees it."""

    def __init__(self, process: SimProcess) -> None:
        self._process = process
        self.request = process.request
        self.argv = process.request.argv
        self.cwd = process.request.cwd
        self.environment = process.request.environment
        self.size = process.request.terminal
        self.terminated = trio.Event()
        """Set by a SIGTERM or SIGINT that the program `traps`."""
        self.traps = False
        """Whether the program handles SIGTERM and SIGINT itself; otherwise they end it."""

    async def write(self, data: bytes) -> None:
        """To stdout. Waits while nobody reads; raises BrokenPipeError when nobody ever will."""
        await _write(self._process.output, data)

    async def write_stderr(self, data: bytes) -> None:
        """To stderr, which may be merged into stdout."""
        await _write(self._process.errors, data)

    async def read_stdin(self, max_bytes: int = 65536) -> bytes:
        """b"" at the end."""
        return await _read(self._process.input, max_bytes)


async def _write(pipe: Pipe, data: bytes) -> None:
    await trio.lowlevel.checkpoint()
    while data:
        if pipe.broken:
            raise BrokenPipeError
        room = pipe.room()
        if room == 0:
            await pipe.wait_writable()
            continue
        pipe.put(data[:room])
        data = data[room:]


async def _read(pipe: Pipe, max_bytes: int) -> bytes:
    await trio.lowlevel.checkpoint()
    while not pipe.readable:
        await pipe.wait_readable()
    return pipe.take(max_bytes)


class Programs:
    """The programs of the machine, and what was run."""

    def __init__(self) -> None:
        self.history: list[Execution] = []
        self._programs: list[tuple[Matcher, Program]] = []
        self._next_pid = FIRST_PID

    def add(self, match: str | Matcher, program: Program) -> None:
        """``match`` is a program's name (argv[0]) or a function of argv; the last added wins."""
        if isinstance(match, str):
            name = match
            self._programs.insert(0, (lambda argv: argv[0] == name, program))
        else:
            self._programs.insert(0, (match, program))

    def add_output(self, match: str | Matcher, output: bytes, *, code: int = 0, seconds: float = 0.0) -> None:
        """A program that takes its time, writes, and exits."""

        async def program(run: ProgramRun) -> int:
            await trio.sleep(seconds)
            await run.write(output)
            return code

        self.add(match, program)

    def executions(self, match: str | Matcher) -> tuple[Execution, ...]:
        """All runs of a program, in all lives."""
        fits: Matcher = (lambda argv: argv[0] == match) if isinstance(match, str) else match
        return tuple(execution for execution in self.history if fits(execution.argv))

    def running(self) -> tuple[Execution, ...]:
        """What has not ended."""
        return tuple(execution for execution in self.history if execution.outcome == "running")

    def find(self, argv: tuple[str, ...]) -> Program | None:
        """The program for an argv."""
        return next((program for fits, program in self._programs if fits(argv)), None)

    def new_pid(self) -> int:
        """Never given twice."""
        self._next_pid += 1
        return self._next_pid


class SimProcess:
    """See `actors.ports.processes.Process`."""

    def __init__(self, life: Life, request: SpawnRequest, execution: Execution, chances: Chances) -> None:
        self.request = request
        self.execution = execution
        self.input = Pipe(chances.pipe_bytes)
        self.output = Pipe(chances.pipe_bytes)
        self.errors = Pipe(chances.pipe_bytes) if request.stderr == "separate" else self.output
        self._life = life
        self._run = ProgramRun(self)
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._stdin_closed = request.stdin == "closed" and request.terminal is None
        if self._stdin_closed:
            self.input.end()
        life.on_unplug[self] = self._kill

    async def run(self, program: Program) -> None:
        """The life of the process; a task of the world, not of the daemon."""
        code: int | None = None
        with self._scope:
            try:
                code = await program(self._run)
            except BrokenPipeError:
                code = 128 + signal.SIGPIPE
        if code is not None:
            self._end("exited", ExitStatus(code=code, signal=signal.SIGPIPE if code == 128 + signal.SIGPIPE else None))
        elif self.execution.outcome == "running":
            # The whole world is being torn down.
            self._end("killed", ExitStatus(code=128 + signal.SIGKILL, signal=signal.SIGKILL))

    @property
    def pid(self) -> int:
        return self.execution.pid

    async def read_output(self, max_bytes: int = 65536) -> bytes:
        self._life.check()
        data = await _read(self.output, max_bytes)
        self._life.check()
        return data

    async def read_stderr(self, max_bytes: int = 65536) -> bytes:
        self._life.check()
        if self.errors is self.output:
            raise ValueError("stderr is merged into the output of this process")
        data = await _read(self.errors, max_bytes)
        self._life.check()
        return data

    async def write_stdin(self, data: bytes) -> None:
        self._life.check()
        if self._stdin_closed:
            raise trio.ClosedResourceError("stdin of this process is closed")
        if self.execution.outcome != "running":
            raise trio.BrokenResourceError("the process has ended")
        self._life.effect("stdin", f"{self.pid} {digest(data)}")
        try:
            await _write(self.input, data)
        except BrokenPipeError:
            raise trio.BrokenResourceError("the process has ended") from None

    def close_stdin(self) -> None:
        self._life.check()
        if not self._stdin_closed and self.request.terminal is None:
            self._stdin_closed = True
            self.input.end()

    def resize(self, size: TerminalSize) -> None:
        self._life.check()
        if self.request.terminal is not None and self.execution.outcome == "running":
            self._run.size = size

    def signal(self, number: int) -> None:
        self._life.check()
        if self.execution.outcome != "running":
            return
        self._life.effect("signal", f"{self.pid} {number}")
        if self._run.traps and number in (signal.SIGTERM, signal.SIGINT):
            self._run.terminated.set()
        elif number not in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT, 0):
            self._end("killed", ExitStatus(code=128 + number, signal=number))

    async def wait(self) -> ExitStatus:
        self._life.check()
        await self._ended.wait()
        self._life.check()
        assert self.execution.status is not None, "set when it ended"
        return self.execution.status

    async def stop(self, grace_seconds: float = TERMINATION_GRACE_SECONDS) -> ExitStatus:
        self.signal(signal.SIGTERM)
        with trio.move_on_after(grace_seconds):
            await self._ended.wait()
        self.signal(signal.SIGKILL)
        return await self.wait()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self.stop()
        self.output.break_off()
        self.errors.break_off()

    def _kill(self) -> None:
        """The daemon is gone; its containers die with it."""
        if self.execution.outcome == "running":
            self.execution.left_running = True
            self._end("killed", ExitStatus(code=128 + signal.SIGKILL, signal=signal.SIGKILL))

    def _end(self, outcome: Literal["exited", "killed"], status: ExitStatus) -> None:
        self.execution.outcome = outcome
        self.execution.status = status
        self._life.on_unplug.pop(self, None)
        self._life.note("exit", f"{self.pid} {outcome} {status.code}")
        self._scope.cancel()
        self.output.end()
        self.errors.end()
        self.input.break_off()
        self._ended.set()


class SimProcesses:
    """See `actors.ports.processes.Processes`."""

    def __init__(
        self, life: Life, programs: Programs, chances: Chances, start: Callable[[Callable[[], Awaitable[None]]], None]
    ) -> None:
        self._life = life
        self._programs = programs
        self._chances = chances
        self._start = start

    async def confinement(self) -> ConfinementReport:
        await trio.lowlevel.checkpoint()
        self._life.check()
        return CONFINEMENT

    async def spawn(self, request: SpawnRequest) -> SimProcess:
        await trio.lowlevel.checkpoint()
        self._life.check()
        program = self._programs.find(request.argv)
        if program is None:
            raise SpawnError(f"cannot run {request.argv[0]!r}: no such program on the simulated machine")
        pid = self._programs.new_pid()
        self._life.effect("spawn", f"{pid} {' '.join(request.argv)!r} in {request.cwd}")
        execution = Execution(
            argv=request.argv, cwd=request.cwd, life=self._life.number, pid=pid, started_at=trio.current_time()
        )
        self._programs.history.append(execution)
        process = SimProcess(self._life, request, execution, self._chances)
        self._start(lambda: process.run(program))
        return process
