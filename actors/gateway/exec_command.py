"""One-off commands of a client, beside any thread: run contained, buffered or streamed, ended with their connection.

They run in the sandbox that the client or the settings ask for; whoever may connect may ask for none (the capability
token guards the door).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import trio

from actors.gateway.rpc import RpcError
from actors.ports.processes import Confinement, ExitStatus, Process, Processes, SpawnError, SpawnRequest, TerminalSize
from messages.client.command import (
    CommandExecParams,
    CommandExecResponse,
    CommandResizeParams,
    CommandWriteParams,
    OutputDelta,
    TerminalSizeBody,
)
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.client.item import Wire

DEFAULT_TIMEOUT_SECONDS = 10.0
"""As the original: clients run git queries this way and wait for them."""

DEFAULT_OUTPUT_BYTES = 1024 * 1024
"""Of each of stdout and stderr; what comes beyond is read and dropped, so that the command does not hang on a pipe."""

TIMED_OUT = 124
"""The exit code that `timeout(1)` made customary."""

Notify = Callable[[str, Wire], None]


class _Output:
    """One stream of a command."""

    def __init__(self, name: Literal["stdout", "stderr"], cap: int | None) -> None:
        self.name = name
        self._room = cap
        self.kept = bytearray()
        self.capped = False

    def admit(self, data: bytes) -> bytes:
        """What of ``data`` still fits."""
        if self._room is None:
            return data
        admitted = data[: self._room]
        self._room -= len(admitted)
        self.capped = len(admitted) < len(data)
        return admitted


class Commands:
    """The running commands of one connection, by the names the client gave them.

    ``room`` waits while the client has not read what was already sent.
    """

    def __init__(
        self,
        processes: Processes,
        environment: Mapping[str, str],
        cwd: str,
        notify: Notify,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._processes = processes
        self._environment = environment
        self._cwd = cwd
        self._notify = notify
        self._room = room
        self._running: dict[str, Process | None] = {}
        """None: being started."""

    async def run(self, params: CommandExecParams, confinement: Confinement | None = None) -> CommandExecResponse:
        """Run to the end. Raises RpcError; cancelled, the command and all it started are gone."""
        name = params.process_id
        streamed = bool(params.stream_stdout_stderr or params.tty)
        _check(params, streamed)
        if name is not None:
            if name in self._running:
                raise RpcError(INVALID_REQUEST, f"command/exec: a command named {name!r} runs already")
            self._running[name] = None
        try:
            try:
                process = await self._processes.spawn(self._request(params, confinement))
            except SpawnError as error:
                raise RpcError(INVALID_PARAMS, f"command/exec: {error}") from error
            try:
                if name is not None:
                    self._running[name] = process
                return await self._attend(process, params, streamed=streamed)
            finally:
                await process.aclose()
        finally:
            if name is not None:
                del self._running[name]

    async def write(self, params: CommandWriteParams) -> None:
        """Give a command input, or the end of it. Raises RpcError."""
        process = self._named(params.process_id)
        try:
            data = base64.b64decode(params.delta_base64 or "", validate=True)
        except (binascii.Error, ValueError) as error:
            raise RpcError(INVALID_PARAMS, f"command/exec/write: deltaBase64 is not base64: {error}") from error
        try:
            if data:
                await process.write_stdin(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise RpcError(INVALID_REQUEST, "command/exec/write: the command reads no more input") from error
        if params.close_stdin:
            process.close_stdin()

    async def terminate(self, name: str) -> None:
        """End a command; its own request is answered then. Raises RpcError."""
        await self._named(name).stop()

    def resize(self, params: CommandResizeParams) -> None:
        """Raises RpcError."""
        self._named(params.process_id).resize(_size(params.size))

    def _named(self, name: str) -> Process:
        process = self._running.get(name)
        if process is None:
            raise RpcError(INVALID_REQUEST, f"no command named {name!r} runs on this connection")
        return process

    def _request(self, params: CommandExecParams, confinement: Confinement | None) -> SpawnRequest:
        environment = dict(self._environment)
        for variable, value in (params.env or {}).items():
            if value is None:
                environment.pop(variable, None)
            else:
                environment[variable] = value
        terminal = None
        if params.tty:
            terminal = TerminalSize() if params.size is None else _size(params.size)
        return SpawnRequest(
            argv=params.command,
            cwd=params.cwd or self._cwd,
            environment=environment,
            terminal=terminal,
            stdin="pipe" if params.stream_stdin else "closed",
            stderr="merged" if params.tty else "separate",
            confinement=confinement,
        )

    async def _attend(self, process: Process, params: CommandExecParams, *, streamed: bool) -> CommandExecResponse:
        cap = None if params.disable_output_cap else params.output_bytes_cap or DEFAULT_OUTPUT_BYTES
        stdout, stderr = _Output("stdout", cap), _Output("stderr", cap)
        seconds = DEFAULT_TIMEOUT_SECONDS if params.timeout_ms is None else params.timeout_ms / 1000
        status = ExitStatus(code=TIMED_OUT)
        told_as = params.process_id if streamed else None
        with trio.move_on_after(float("inf") if params.disable_timeout else seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, process.read_output, stdout, told_as)
                if not params.tty:
                    nursery.start_soon(self._read, process.read_stderr, stderr, told_as)
            status = await process.wait()
        return CommandExecResponse(
            exit_code=status.code,
            stdout=stdout.kept.decode("utf-8", "replace"),
            stderr=stderr.kept.decode("utf-8", "replace"),
        )

    async def _read(self, read: Callable[[], Awaitable[bytes]], output: _Output, told_as: str | None) -> None:
        while data := await read():
            admitted = output.admit(data)
            if told_as is None:
                output.kept += admitted
            elif admitted:
                await self._room()
                delta = OutputDelta(
                    process_id=told_as,
                    stream=output.name,
                    delta_base64=base64.b64encode(admitted).decode(),
                    cap_reached=output.capped,
                )
                self._notify("command/exec/outputDelta", delta)


def _check(params: CommandExecParams, streamed: bool) -> None:
    if not params.command:
        raise RpcError(INVALID_PARAMS, "command/exec: command is empty")
    if params.process_id is None and (streamed or params.stream_stdin):
        raise RpcError(INVALID_PARAMS, "command/exec: streaming needs a processId to name the command by")
    if params.timeout_ms is not None and params.timeout_ms < 0:
        raise RpcError(INVALID_PARAMS, "command/exec: timeoutMs is negative")
    if params.output_bytes_cap is not None and params.output_bytes_cap < 0:
        raise RpcError(INVALID_PARAMS, "command/exec: outputBytesCap is negative")


def _size(size: TerminalSizeBody) -> TerminalSize:
    if not (0 < size.rows < 65536 and 0 < size.cols < 65536):
        raise RpcError(INVALID_PARAMS, "the terminal's size is out of range")
    return TerminalSize(rows=size.rows, columns=size.cols)
