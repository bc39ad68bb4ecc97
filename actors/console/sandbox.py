"""``callboard sandbox -- CMD``: a command in the sandbox that a thread's commands run in, for trying it out.

The same launcher, the same plan, the same mechanism; no daemon takes part. Its input and output are ours, as a terminal
if ours are one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import trio

from actors.console import home as homes
from actors.ports.processes import ExitStatus, Process, SpawnError, SpawnRequest, TerminalSize
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.confinement.denial import TAIL_CHARS, denial_note, denied_words
from actors.tool_worker.confinement.policy import confinement_of
from actors.tool_worker.launcher import start_launcher
from messages.session import ThreadSettings
from messages.settings import SandboxMode

NOT_STARTED = 1
CHUNK_BYTES = 65_536


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What ``callboard sandbox`` was told."""

    mode: SandboxMode
    cwd: str
    command: tuple[str, ...]
    writable: tuple[str, ...] = ()
    network: bool = False


def run(options: SandboxOptions) -> int:
    """The command's exit code; 1 with the reason on standard error when it could not be started."""
    handle = start_launcher()
    try:
        return trio.run(_run, options, LauncherProcesses(handle))
    finally:
        handle.release()


async def _run(options: SandboxOptions, processes: LauncherProcesses) -> int:
    settings = ThreadSettings(
        provider="",
        model="",
        cwd=options.cwd,
        sandbox_mode=options.mode,
        writable_roots=options.writable,
        network_access=options.network,
    )
    environment = dict(os.environ)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    request = SpawnRequest(
        argv=options.command,
        cwd=options.cwd,
        environment=environment,
        terminal=_size() if on_terminal else None,
        stdin="pipe",
        stderr="merged" if on_terminal else "separate",
        needs_setuid=options.mode == "danger-full-access",
        confinement=confinement_of(settings, environment, home=str(homes.home())),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(processes.run)
        try:
            process = await processes.spawn(request)
        except SpawnError as error:
            print(f"callboard sandbox: {error}", file=sys.stderr)
            nursery.cancel_scope.cancel()
            return NOT_STARTED
        with _raw() if on_terminal else contextlib.nullcontext():
            status, tail = await _attend(process, separate=not on_terminal)
        words = denied_words(status, tail, request.confinement)
        if words is not None and request.confinement is not None:
            print(f"callboard sandbox: {denial_note(words, request.confinement)}", file=sys.stderr)
        nursery.cancel_scope.cancel()
    return status.code


async def _attend(process: Process, *, separate: bool) -> tuple[ExitStatus, str]:
    """Pass on what goes in and out until it ends; its status, and the last it said."""
    tail = bytearray()

    async def copy(read: Callable[[], Awaitable[bytes]], fd: int) -> None:
        while data := await read():
            tail.extend(data)
            del tail[:-TAIL_CHARS]
            rest = memoryview(data)
            while rest:
                rest = rest[await trio.to_thread.run_sync(os.write, fd, rest) :]

    async def feed() -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            while data := await trio.to_thread.run_sync(os.read, 0, CHUNK_BYTES, abandon_on_cancel=True):
                await process.write_stdin(data)
            process.close_stdin()

    async def forward() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                process.signal(number)

    try:
        async with trio.open_nursery() as beside:
            beside.start_soon(feed)
            beside.start_soon(forward)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(copy, process.read_output, 1)
                if separate:
                    nursery.start_soon(copy, process.read_stderr, 2)
            status = await process.wait()
            beside.cancel_scope.cancel()
    finally:
        await process.aclose()
    return status, tail.decode(errors="replace")


def _size() -> TerminalSize:
    columns, rows = os.get_terminal_size()
    return TerminalSize(rows=rows, columns=columns)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Keys go to the command's terminal, which gives them their meaning."""
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
