"""Contained child processes, through the launcher.

The daemon makes pipes and pseudo-terminals, keeps its ends, and has the launcher hand the child's ends to the init of
a new container, or of one that an earlier call has left empty. Of a running call it holds a pidfd of that init
(readable = the container is empty, because the kernel reports an init only after all that was in its namespace), and
the *line*, on which the init reports the exit code and takes signals for the tool's group. Nothing here waits for the
launcher but the start itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import termios
from collections.abc import Callable

import msgspec
import trio

from actors.ports.processes import (
    TERMINATION_GRACE_SECONDS,
    ExitStatus,
    LauncherLostError,
    SpawnError,
    SpawnRequest,
    TerminalSize,
)
from actors.tool_worker.confinement.mechanism import ConfinementReport
from actors.tool_worker.launcher import ContainmentReport, LauncherHandle, start_launcher
from actors.tool_worker.launcher.confiner import FREE, TRIAL, Confined, Confiner
from actors.tool_worker.launcher.link import Container, Link
from actors.tool_worker.launcher.outside import wire
from actors.tool_worker.launcher.vacant import Vacancies
from actors.tool_worker.launcher.wording import explain, shown, write_specification

CONNECT_SECONDS = 5.0
"""How long a spawn waits for a launcher that is being (re)started; nothing has begun then, so waiting is safe."""

EXEC_SECONDS = 30.0
"""From an init's call to its program executing: a millisecond, but for a program on a file system that hangs, or a
tool that stops the wrapper in its first moment, where there is no namespace to hide the wrapper from it."""

SWEEP_SECONDS = 3.0
"""A wrapper that does not end its sweep in this time (it gives up on what it may not kill after 2 s) is killed."""

VANISH_SECONDS = 2.0
"""How long the end of the launcher waits for the ends of its containers: the kernel needs a millisecond for each."""

OFFLINE_VARIABLE = "CODEX_SANDBOX_NETWORK_DISABLED"
"""Set for confined programs without a network, under the name that test suites in the field look for."""

LINGER_SECONDS = 2.0
"""How long placeholders of confined calls wait for the next call: commands of a turn follow each other closely."""

KILLED = ExitStatus(code=128 + signal.SIGKILL, signal=int(signal.SIGKILL))
"""Of an init that was killed, by us or by somebody else: it took the tool along and could not say more."""


class Ends(msgspec.Struct, kw_only=True):
    """The descriptors of one call: ours; and the child's (specification, 0, 1, 2), to be closed once sent."""

    output: int
    errors: int | None
    stdin: int | None
    theirs: tuple[int, ...]


def open_ends(request: SpawnRequest, specification: bytes) -> Ends:
    """Pipes or a pseudo-terminal, and the specification in a memfd. Raises OSError, and leaves none open."""
    with contextlib.ExitStack() as undo:

        def kept(*fds: int) -> tuple[int, ...]:
            for fd in fds:
                undo.callback(os.close, fd)
            return fds

        (memory,) = kept(os.memfd_create("callboard-call", os.MFD_CLOEXEC))
        rest = memoryview(specification)
        while rest:
            rest = rest[os.write(memory, rest) :]
        stdin: int | None = None
        errors: int | None = None
        if request.terminal is not None:
            output, slave = kept(*os.openpty())
            termios.tcsetwinsize(output, (request.terminal.rows, request.terminal.columns))
            stdio = (slave, slave, slave)
        else:
            output, writing = kept(*os.pipe())
            their_errors = writing
            if request.stderr == "separate":
                errors, their_errors = kept(*os.pipe())
            if request.stdin == "pipe":
                their_stdin, stdin = kept(*os.pipe())
            else:
                (their_stdin,) = kept(os.open(os.devnull, os.O_RDONLY))
            stdio = (their_stdin, writing, their_errors)
        undo.pop_all()
    return Ends(output=output, errors=errors, stdin=stdin, theirs=(memory, *stdio))


class ContainedProcess:
    """The `Process` port: one call, from its start until its container is empty."""

    def __init__(
        self, request: SpawnRequest, ends: Ends, on_end: Callable[[ContainedProcess, Container | None], None]
    ) -> None:
        self._request = request
        self._output = trio.lowlevel.FdStream(ends.output)
        self._errors = None if ends.errors is None else trio.lowlevel.FdStream(ends.errors)
        self._stdin = None if ends.stdin is None else trio.lowlevel.FdStream(ends.stdin)
        self._on_end = on_end
        self._watching = trio.Lock()  # one at a time reads the line; whoever comes next finds the result
        self._end: ExitStatus | str | None = None  # a text: the status is unknown, and why
        self._stopping = False
        self._killed = False
        self._link: Link | None = None
        self._container: Container | None = None
        """Ours until its end; then that of whoever was told."""
        self._pid = 0
        self._last_words: list[bytes] | None = None
        """Of the init; empty when it ended without any."""

    @property
    def pid(self) -> int:
        """See `actors.ports.processes.Process`."""
        return self._pid

    # ── its birth ──

    def adopt(self, link: Link, container: Container) -> None:
        """There is an init now, and it is ours to end."""
        self._link, self._container, self._pid = link, container, container.born.pid

    async def started(self) -> None:
        """Return when the program is executing. Raises SpawnError."""
        packet = b"late"
        assert self._container is not None
        self._watching.acquire_nowait()  # nobody waits yet; whoever does when the launcher dies comes after us
        try:
            with trio.move_on_after(EXEC_SECONDS):
                packet = await self._next_packet(self._container.line)
        finally:
            self._watching.release()
        match packet.split():
            case [b"started", _]:
                return
            case [b"late"]:
                program = shown(self._request.argv[0])
                text = f"{program} did not begin within {EXEC_SECONDS:g} s, and was ended (a file system that hangs?)"
                raise SpawnError(text)
            case [b"failed", stage, number]:
                raise SpawnError(explain(stage.decode(), int(number), self._request))
            case _ if self._link is not None and self._link.lost:
                raise LauncherLostError(self._lost_text())
            case _:
                raise SpawnError(f"the container of {shown(self._request.argv[0])} was killed before it could start")

    @staticmethod
    async def _next_packet(line: socket.socket) -> bytes:
        while True:
            try:
                return line.recv(wire.PACKET_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(line)
            except ConnectionResetError:
                return b""

    # ── its input and output ──

    async def read_output(self, max_bytes: int = 65536) -> bytes:
        """See `actors.ports.processes.Process`."""
        try:
            return bytes(await self._output.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            if self._request.terminal and isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO:
                return b""  # how a terminal says that nobody holds its other end any more
            raise

    async def read_stderr(self, max_bytes: int = 65536) -> bytes:
        """See `actors.ports.processes.Process`. Raises ValueError when stderr is merged."""
        if self._errors is None:
            raise ValueError("stderr is merged into the output of this process")
        return bytes(await self._errors.receive_some(max_bytes))

    async def write_stdin(self, data: bytes) -> None:
        """See `actors.ports.processes.Process`."""
        stream = self._output if self._request.terminal else self._stdin
        if stream is None:
            raise trio.ClosedResourceError("this process was started with its input closed")
        await stream.send_all(data)

    def close_stdin(self) -> None:
        """See `actors.ports.processes.Process`."""
        if self._stdin is not None:
            self._stdin.close()

    def resize(self, size: TerminalSize) -> None:
        """See `actors.ports.processes.Process`."""
        if self._request.terminal and (fd := self._output.fileno()) >= 0:
            with contextlib.suppress(OSError):
                termios.tcsetwinsize(fd, (size.rows, size.columns))

    # ── its end ──

    def signal(self, number: int) -> None:
        """See `actors.ports.processes.Process`."""
        self._say(b"signal %d" % number)

    def _say(self, packet: bytes) -> None:
        if self._container is not None:
            with contextlib.suppress(OSError):  # the init is gone; or stopped, with its line full
                self._container.line.send(packet)

    async def wait(self) -> ExitStatus:
        """See `actors.ports.processes.Process`."""
        async with self._watching:
            if (container := self._container) is not None:
                if self._last_words is None:
                    self._last_words = (await self._next_packet(container.line)).split()
                vacant = self._last_words[-1:] == [b"vacant"] and not self._killed
                if not vacant:
                    await trio.lowlevel.wait_readable(container.born.pidfd)
                self._end = await self._conclude(container)
                self._container = None
                self._on_end(self, container if vacant else None)
                if not vacant:
                    container.close()
        if isinstance(self._end, ExitStatus):
            return self._end
        raise LauncherLostError(self._end)

    async def _conclude(self, container: Container) -> ExitStatus | str:
        """The container is empty: what did its init say last?"""
        assert self._link is not None
        said = self._last_words if self._last_words and self._last_words[0] == b"exited" else None
        left = int(said[2]) if said else 0
        if container.born.mechanism == "subreaper":
            if not said:
                left = await self._link.swept(container.number)
            self._link.forget(container.number)
        if said:
            code = int(said[1])
            number = -code if code < 0 else None
            return ExitStatus(code=128 - code if code < 0 else code, signal=number, left_behind=left)
        if self._link.lost and not self._stopping:
            return self._lost_text()
        return ExitStatus(code=KILLED.code, signal=KILLED.signal, left_behind=left)

    def _lost_text(self) -> str:
        program = shown(self._request.argv[0])
        return f"the launcher died, and took {program} along: how far it had come is unknown"

    async def stop(self, grace_seconds: float = TERMINATION_GRACE_SECONDS) -> ExitStatus:
        """See `actors.ports.processes.Process`."""
        if self._end is None:
            self._stopping = True
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a stopped process would not see it
            with trio.move_on_after(grace_seconds):
                return await self.wait()
            if self._contained():
                self._kill()
            else:
                self._say(b"end")
                with trio.move_on_after(SWEEP_SECONDS):
                    return await self.wait()
                self._kill()  # the tool has stopped it, for example; then the launcher sweeps
        return await self.wait()

    def _contained(self) -> bool:
        return self._container is not None and self._container.born.mechanism != "subreaper"

    def _kill(self) -> None:
        if self._container is not None:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._container.born.pidfd, signal.SIGKILL)

    async def aclose(self) -> None:
        """See `actors.ports.processes.Process`."""
        with trio.CancelScope(shield=True):
            if self._container is not None:
                with contextlib.suppress(LauncherLostError):
                    await self.stop()
        for stream in (self._output, self._errors, self._stdin):
            if stream is not None:
                stream.close()


class LauncherProcesses:
    """The `Processes` port. Its `run` serves one launcher; run again, it starts another in the place of a lost one."""

    def __init__(self, handle: LauncherHandle, *, confiner: Confiner | None = None) -> None:
        self._handle = handle
        self._confiner = Confiner() if confiner is None else confiner
        self._confinement: ConfinementReport | None = None
        self._exploring = trio.Lock()
        self._serving = trio.CancelScope()
        """Left for a moment when placeholders or vacant containers are to be tidied."""
        self._vacancies = Vacancies()
        self._link: Link | None = None
        self._ready = trio.Event()
        self._report: ContainmentReport | None = None
        self._live: set[ContainedProcess] = set()

    @property
    def report(self) -> ContainmentReport | None:
        """How calls are contained; None before the first launcher has said hello."""
        return self._report

    @property
    def live(self) -> int:
        """How many containers are not known to be empty."""
        return len(self._live)

    @property
    def launcher_pid(self) -> int:
        """Of the one that is served, or was."""
        return self._handle.pid

    @property
    def vacant(self) -> int:
        """How many empty containers are kept for the next calls."""
        return len(self._vacancies)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the launcher; ready when it has said hello. To be supervised: start it again when it has crashed.

        Raises LauncherLostError when the launcher dies; its calls are then gone, and `wait` says that their status is
        unknown. Cancelled, it ends the launcher and with it all calls. Returns or raises when none of them is left.
        """
        if self._handle.is_gone():
            self._handle = self._handle.start_another()
        link = Link(self._handle)
        try:
            self._report = await link.open()
            self._link = link
            self._ready.set()
            task_status.started()
            while True:
                with trio.CancelScope(deadline=self._vacancies.deadline) as self._serving:
                    await link.serve()
                self._confiner.placeholders.tidy()
                self._vacancies.tidy(trio.current_time())
        finally:
            self._link = None
            self._ready = trio.Event()
            self._vacancies.clear()
            await link.close()
            with trio.move_on_after(VANISH_SECONDS) as scope:
                scope.shield = True
                for process in tuple(self._live):
                    with contextlib.suppress(LauncherLostError):
                        await process.wait()
            self._confiner.placeholders.tidy()

    async def confinement(self) -> ConfinementReport:
        """How confined calls are confined; tried out on first use. Raises SpawnError when no call can be started."""
        async with self._exploring:
            if self._confinement is None:
                await self._connect(TRIAL)
                assert self._report is not None
                self._confinement = await self._confiner.explore(self._report, self._try)
        return self._confinement

    async def _try(self, request: SpawnRequest, confined: Confined) -> str | None:
        try:
            process = await self._start(request, confined)
        except LauncherLostError:
            raise
        except SpawnError as error:
            return str(error)
        try:
            status = await process.wait()
            words = (await process.read_stderr()).decode(errors="replace").strip()
            return None if status.code == 0 else words or f"exit code {status.code}"
        finally:
            await process.aclose()

    async def spawn(self, request: SpawnRequest) -> ContainedProcess:
        """See `actors.ports.processes.Processes`."""
        if request.confinement is None:
            return await self._start(request, FREE)
        if not request.confinement.network:
            environment = {**request.environment, OFFLINE_VARIABLE: "1"}
            request = msgspec.structs.replace(request, environment=environment)
        report = await self.confinement()
        assert request.confinement is not None
        confined = await trio.to_thread.run_sync(self._confiner.prepare, report, request, request.confinement)
        return await self._start(request, confined)

    async def _start(self, request: SpawnRequest, confined: Confined) -> ContainedProcess:
        with contextlib.ExitStack() as undo:
            undo.callback(self._release, confined)
            process = await self._begin(request, confined, undo)
            undo.pop_all()
        return process

    async def _begin(self, request: SpawnRequest, confined: Confined, undo: contextlib.ExitStack) -> ContainedProcess:
        """``undo`` is closed by whoever called, unless the process gets to end by itself."""
        specification = write_specification(request, steps=confined.steps, command=confined.command)
        link = await self._connect(request)
        try:
            ends = open_ends(request, specification)
        except OSError as error:
            raise SpawnError(explain("container", error.errno or 0, request)) from error

        def over(process: ContainedProcess, vacant: Container | None) -> None:
            self._live.discard(process)
            self._release(confined)
            if vacant is not None:
                self._keep(vacant, link)

        process = ContainedProcess(request, ends, over)
        try:
            try:
                process.adopt(link, await self._occupy(link, request, confined.steps, ends.theirs))
                self._live.add(process)
                undo.pop_all()  # from here on its end does it
            finally:
                for fd in set(ends.theirs):
                    os.close(fd)
            await process.started()
            await trio.lowlevel.checkpoint_if_cancelled()  # it may have begun so fast that nothing waited
        except BaseException:
            await process.aclose()
            raise
        return process

    async def _occupy(
        self, link: Link, request: SpawnRequest, steps: tuple[str, ...], theirs: tuple[int, ...]
    ) -> Container:
        """Give ``theirs`` to the init of a vacant container, else to a new one. Raises SpawnError."""
        while link.suits(request) and (container := self._vacancies.take(steps)) is not None:
            try:
                wire.send(container.line, b"run", theirs)
            except OSError:  # it has just ended, and nothing has begun
                container.close()
            else:
                return container
        try:
            line, their_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SpawnError(explain("container", error.errno or 0, request)) from error
        with their_line:
            try:
                line.setblocking(False)
                number, born = await link.launch(request, (their_line.fileno(), *theirs))
            except BaseException:
                line.close()
                raise
        return Container(number=number, born=born, line=line, steps=steps)

    def _keep(self, container: Container, link: Link) -> None:
        if link is not self._link:  # it is being ended, and this with it
            container.close()
            return
        self._vacancies.put(container, trio.current_time())
        self._serving.deadline = min(self._serving.deadline, self._vacancies.deadline)

    def _release(self, confined: Confined) -> None:
        self._confiner.placeholders.release(confined.placeholders)
        if confined.placeholders:
            self._serving.deadline = min(self._serving.deadline, trio.current_time() + LINGER_SECONDS)

    async def _connect(self, request: SpawnRequest) -> Link:
        if self._link is None:
            with trio.move_on_after(CONNECT_SECONDS):
                await self._ready.wait()
        if self._link is None:
            raise SpawnError(f"{shown(request.argv[0])} was not started: there is no launcher (it is being restarted)")
        return self._link


def confinement_report() -> ConfinementReport:
    """Try out what enforces a sandbox here: starts a launcher and a few calls, and ends them. Blocks for about a tenth
    of a second; not to be called from a running loop. Raises SpawnError, OSError."""
    handle = start_launcher()

    async def explore() -> ConfinementReport:
        async with trio.open_nursery() as nursery:
            processes = LauncherProcesses(handle)
            await nursery.start(processes.run)
            report = await processes.confinement()
            nursery.cancel_scope.cancel()
        return report

    try:
        return trio.run(explore)
    finally:
        handle.release()
