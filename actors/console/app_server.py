"""``callboard app-server``: where a client wants to start the original binary, this starts instead.

Over standard input and output: one JSON message a line, both ways, bridged to the daemon of this home. If none runs,
one is started that ends when its last client has left. So what a client did over stdio is seen by everybody who is
attached to the daemon, and outlives the client if it has to.

    stdin ──lines──▶ pump ──▶ WebSocket ──▶ daemon
    stdout ◀─lines── pump ◀── WebSocket ◀──

At the end of input every request that came is still answered (bounded in time), then the process ends; turns that run
go on in the daemon. Messages pass as they are, with one exception: a request that begins something in a folder and
names none means the folder in which this process was started, as it would with a server of the client's own.

Rejected: serving the daemon in this process (whoever attached would be cut off when the client that started it leaves;
clients kill it after two seconds, which is no way to end a daemon), and stdin and stdout in non-blocking mode (the
descriptions are shared with whoever started us; and a redirected file cannot be waited for).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import trio
import trio_websocket

from actors.console import home as homes
from actors.console.borrowed import join, not_used
from actors.console.client import NotReachableError, leaves
from actors.console.serve_options import Serve, ServeOptions
from actors.settings.layers import SettingsError, merge, override_layer

READ_BYTES = 256 * 1024

PENDING_BYTES = 1024 * 1024
"""Read from the daemon and not yet written. Beyond it the daemon is not read: it merges what it has not sent yet."""

QUEUE = 64
"""Messages of the daemon that are read ahead, so that a burst leaves in few writes."""

DRAIN_SECONDS = 10.0
"""After the end of input, for the answers to what was asked. Only a slow command takes longer than milliseconds."""

FAREWELL_SECONDS = 1.0
"""For the daemon that was started for us to end, so that whoever waits for us finds nothing left. Longer than it takes
if nobody else needs it, shorter than the two seconds after which clients kill."""

FOLDER_METHODS = frozenset({"thread/start", "command/exec"})
"""Requests whose ``cwd`` is the server's when it is left out."""

OK, FAILED, INTERRUPTED = 0, 1, 130


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a message as the bridge looks at."""

    id: Any = None
    method: str | None = None


_heads: msgspec.json.Decoder[Head] = msgspec.json.Decoder(Head)


class Lines:
    """Splits a stream of bytes into lines; what has no newline yet is kept."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends; empty ones are left out."""
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = b"".join((*self._parts, whole[0]))
            self._parts.clear()
        if rest:
            self._parts.append(rest)
        return [line for each in whole if (line := each.strip())]

    def end(self) -> list[bytes]:
        """What was left without a newline."""
        rest, self._parts = b"".join(self._parts).strip(), []
        return [rest] if rest else []


def in_folder(line: bytes, head: Head, folder: str) -> bytes:
    """The message with ``folder`` as its ``cwd``, if it is one that means a folder and names none."""
    if head.method not in FOLDER_METHODS:
        return line
    try:
        message: dict[str, Any] = msgspec.json.decode(line)
        params = message.get("params") or {}
        if not isinstance(params, dict) or params.get("cwd") is not None:
            return line
        message["params"] = {**params, "cwd": folder}
        return msgspec.json.encode(message)
    except (msgspec.MsgspecError, RecursionError):
        return line  # the daemon says what is wrong with it


class Bridge:
    """Lines on one side, a WebSocket on the other. ``read`` and ``write`` block; they run in threads."""

    def __init__(self, socket: Any, read: Callable[[], bytes], write: Callable[[bytes], None], folder: str) -> None:
        self._socket = socket
        self._read = read
        self._write = write
        self._folder = folder
        self._asked: set[int | str] = set()
        """Ids of requests that are not answered yet."""
        self._pending = bytearray()
        self._news = trio.Event()
        self._room = trio.Event()
        self._answered = trio.Event()
        self._input_ended = False

    async def run(self) -> None:
        """Carry messages until the input ends and what was asked is answered, or until the output is closed.

        Raises NotReachableError when the daemon ends the connection first.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_out, nursery.cancel_scope)
            nursery.start_soon(self._carry_back)
            await self._carry_in()
            self._input_ended = True
            with trio.move_on_after(DRAIN_SECONDS):
                while self._asked or self._pending:
                    self._answered = trio.Event()
                    await self._answered.wait()
            nursery.cancel_scope.cancel()

    async def _carry_in(self) -> None:
        lines = Lines()
        while data := await trio.to_thread.run_sync(self._read, abandon_on_cancel=True):
            for line in lines.feed(data):
                await self._say(line)
        for line in lines.end():
            await self._say(line)

    async def _say(self, line: bytes) -> None:
        try:
            head = _heads.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            head = Head()
        if head.method is not None and isinstance(head.id, (int, str)):
            self._asked.add(head.id)
        line = in_folder(line, head, self._folder)
        try:
            message: str | bytes = line.decode()
        except UnicodeDecodeError:
            message = line  # a text frame must be UTF-8; the daemon answers that this is not
        try:
            await self._socket.send_message(message)
        except trio_websocket.ConnectionClosed as closed:
            raise _gone(closed) from closed

    async def _carry_back(self) -> None:
        while True:
            try:
                message = await self._socket.get_message()
            except trio_websocket.ConnectionClosed as closed:
                raise _gone(closed) from closed
            data = message.encode() if isinstance(message, str) else message
            if self._asked:
                head = _heads.decode(data)
                if head.method is None and isinstance(head.id, (int, str)):
                    self._asked.discard(head.id)
            self._pending += data
            self._pending += b"\n"
            self._news.set()
            while len(self._pending) > PENDING_BYTES:
                self._room = trio.Event()
                await self._room.wait()

    async def _carry_out(self, scope: trio.CancelScope) -> None:
        while True:
            if not self._pending:
                self._answered.set()
                self._news = trio.Event()
                await self._news.wait()
            data = bytes(self._pending)
            try:
                await trio.to_thread.run_sync(self._write, data, abandon_on_cancel=True)
            except BrokenPipeError:
                scope.cancel()  # whoever read our output has gone, and with it whoever we serve
                return
            del self._pending[: len(data)]
            self._room.set()


def _gone(closed: trio_websocket.ConnectionClosed) -> NotReachableError:
    reason = closed.reason
    why = "" if reason is None else f" ({reason.code} {reason.reason or reason.name})"
    return NotReachableError(f"The daemon closed the connection{why}.")


def accepted_overrides(overrides: Sequence[str], *, strict: bool) -> list[str]:
    """Those of ``-c KEY=VALUE`` that callboard's settings take; the others are named on standard error, for clients
    pass on what the original knows. Raises SettingsError for the first of them with ``strict``."""
    taken: list[str] = []
    for override in overrides:
        try:
            complaints = merge("", (override_layer(override),)).warnings
        except SettingsError as error:
            complaints = error.problems
        if not complaints:
            taken.append(override)
        elif strict:
            raise SettingsError(*complaints)
        else:
            _note(f"{complaints[0]} (not taken)")
    return taken


def serve_stdio(overrides: Sequence[str], *, strict: bool = False, profile: str | None = None) -> int:
    """Bridge standard input and output until the input ends; the exit code: 0, or 1 when there is no daemon to be had
    or it went away."""
    try:
        flags = [word for override in accepted_overrides(overrides, strict=strict) for word in ("-c", override)]
        flags += ["-p", profile] if profile is not None else []
        flags += ["--strict-config"] if strict else []
        return trio.run(_serve, flags)
    except SettingsError as error:
        words = [str(error)]
    except BaseExceptionGroup as group:
        known, rest = group.split(NotReachableError)
        if known is None or rest is not None:
            raise
        words = [str(leaf) for leaf in leaves(known)]
    for each in dict.fromkeys(words):
        _note(each)
    return FAILED


def serve_socket(
    serve: Serve,
    listen: str,
    overrides: Sequence[str],
    *,
    strict: bool,
    profile: str | None,
    auth: bool,
    token_file: str | None,
) -> int:
    """Be the daemon, in the foreground; the exit code. On loopback no token is asked unless ``auth``, as clients of the
    original expect; `serve` refuses that for any other address."""
    try:
        taken = tuple(accepted_overrides(overrides, strict=strict))
    except SettingsError as error:
        _note(str(error))
        return FAILED
    if not auth and listen.startswith("ws:"):
        _note("no token is asked: whoever can run a program on this machine can connect (--ws-auth capability-token)")
    return serve(
        ServeOptions(
            listen=listen,
            overrides=taken,
            profile=profile,
            strict=strict,
            no_auth=not auth,
            token_file=token_file,
            stand_in=True,
        )
    )


async def _serve(flags: list[str]) -> int:
    code = OK
    child: trio.Process | None = None
    async with trio.open_nursery() as nursery:
        told = _Told()
        nursery.start_soon(told.listen, nursery.cancel_scope)
        socket, child = await join(nursery, homes.home(), flags, queue=QUEUE)
        if child is None and flags:
            _note(not_used(homes.home(), flags))
        try:
            await Bridge(socket, _read_stdin, _write_stdout, os.getcwd()).run()
        finally:
            with trio.move_on_after(FAREWELL_SECONDS, shield=True):
                await socket.aclose()
                if child is not None:
                    await child.wait()
        nursery.cancel_scope.cancel()
    return told.code or code


class _Told:
    """Listens for SIGTERM and Ctrl-C: both end the process in order."""

    def __init__(self) -> None:
        self.code = OK

    async def listen(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                self.code = INTERRUPTED if number == signal.SIGINT else OK
                scope.cancel()
                return


def _read_stdin() -> bytes:
    return os.read(0, READ_BYTES)


def _write_stdout(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


def _note(text: str) -> None:
    print(f"callboard app-server: {text}", file=sys.stderr, flush=True)
