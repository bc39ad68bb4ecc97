"""The daemon's end of the launcher's socket: many requests on their way at once, answered in any order.

A link lives as long as its launcher. It never blocks the loop: packets are sent and read without waiting, a full
socket is waited for, and a launcher that does not answer in time is killed, so that it can be replaced (its calls die
with it, and their owners hear `LauncherLostError`, never a guess).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from pathlib import Path
from typing import NoReturn

import msgspec
import trio

from actors.ports.processes import LauncherLostError, SpawnError, SpawnRequest
from actors.tool_worker.launcher.containment import ContainmentReport
from actors.tool_worker.launcher.outside import wire
from actors.tool_worker.launcher.start import EXIT_SECONDS, START_SECONDS, LauncherHandle, readable, understand_hello
from actors.tool_worker.launcher.wording import explain, shown

ANSWER_SECONDS = 5.0
"""A launcher that owes answers and says nothing at all for so long hangs; it takes a millisecond for each."""

SILENT_WINDOWS = 2
"""That time is waited in two windows: when the daemon itself was stopped (^Z), all its deadlines have passed on its
return, but the answers that came meanwhile are read before a second window ends."""

LOST = "the launcher died while it was starting {program}: whether it ran, and what it did, is unknown"


class Born(msgspec.Struct, frozen=True, kw_only=True):
    """An init that has been given its call. Whoever gets it owns the pidfd."""

    pid: int
    pidfd: int
    mechanism: str


class Container(msgspec.Struct, kw_only=True):
    """A call's init with its line. Its owner closes both ends: the line, which ends it, and the pidfd."""

    number: int
    """The launcher's, of its first call."""
    born: Born
    line: socket.socket
    steps: tuple[str, ...]
    """What it has been confined by: only calls with the same can be made in it."""
    vacant_since: float = 0.0

    def is_gone(self) -> bool:
        """Whether its init has ended."""
        return readable(self.born.pidfd, 0)

    def close(self) -> None:
        """Let it end. For one that is vacant, or has ended."""
        self.line.close()
        os.close(self.born.pidfd)


class _Question:
    """One request until its answer: a Born, or an errno, or nothing (the launcher was lost)."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.answer: Born | int | None = None


class Link:
    """Speaks to one launcher until it is lost or let go."""

    def __init__(self, handle: LauncherHandle) -> None:
        self.handle = handle
        self._lost = False
        self._breaks_setuid = False
        self._numbers = itertools.count(1)
        self._questions: dict[int, _Question] = {}
        self._wrappers: dict[int, _Question] = {}
        self._sending = trio.Lock()
        self._heard = 0

    async def open(self) -> ContainmentReport:
        """Wait for the hello. Raises LauncherLostError."""
        with trio.move_on_after(START_SECONDS):
            packet, _, _ = await self._receive()
            report = understand_hello(packet)
            self._breaks_setuid = report.mechanism == "userns"
            return report
        raise LauncherLostError(f"the launcher said nothing for {START_SECONDS:g} s")

    async def serve(self) -> NoReturn:
        """Deliver answers until the launcher is gone. Raises LauncherLostError then; everybody who waits hears it."""
        while True:
            packet, fds, _ = await self._receive()
            self._heard += 1
            match packet.split():
                case [b"spawned", number, pid, mechanism] if fds:
                    self._answer(number, Born(pid=int(pid), pidfd=fds[0], mechanism=mechanism.decode()))
                case [b"spawned", number, *_]:  # our table is full: the pidfd was dropped on the way
                    self._answer(number, wire.EMFILE)
                case [b"refused", number, error]:
                    self._answer(number, int(error))
                case [b"gone", number, left]:
                    if (wrapper := self._wrappers.get(int(number))) is not None:
                        wrapper.answer = int(left)
                        wrapper.answered.set()
                case _:
                    raise LauncherLostError("the launcher has died; its calls died with it")

    def _answer(self, number: bytes, answer: Born | int) -> None:
        question = self._questions.pop(int(number), None)
        if question is not None:
            question.answer = answer
            question.answered.set()
        elif isinstance(answer, Born):  # its line is closed, so it ends by itself
            os.close(answer.pidfd)

    async def _receive(self) -> tuple[bytes, tuple[int, ...], bool]:
        while True:
            try:
                return wire.receive(self.handle.socket)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.handle.socket)
            except OSError:
                return b"", (), False

    def suits(self, request: SpawnRequest) -> bool:
        """Whether an ordinary container is one for this request."""
        return not (request.needs_setuid and self._breaks_setuid)

    async def launch(self, request: SpawnRequest, fds: tuple[int, ...]) -> tuple[int, Born]:
        """Have ``fds`` (the line, the specification, 0, 1, 2) given to a new init; the call's number, and the init.

        Raises SpawnError, or LauncherLostError, also when there is no answer in time. Not to be cancelled: whoever
        asked must learn what there is to be stopped.
        """
        number, question = next(self._numbers), _Question()
        self._questions[number] = question
        wanted = b"default" if self.suits(request) else b"subreaper"
        with trio.CancelScope(shield=True):
            try:
                await self._send(b"spawn %d %s" % (number, wanted), fds)
            except (BrokenPipeError, ConnectionResetError, trio.ClosedResourceError) as error:
                del self._questions[number]
                text = f"{shown(request.argv[0])} was not started: the launcher has just died; it is being replaced"
                raise SpawnError(text) from error
            except OSError as error:
                del self._questions[number]
                raise SpawnError(explain("container", error.errno or 0, request)) from error
            if not await self._settled(question):
                self._questions.pop(number, None)
                self.handle.kill()
        match question.answer:
            case Born() as born:
                if born.mechanism == "subreaper":
                    self._wrappers[number] = _Question()
                return number, born
            case int() as error_number:
                raise SpawnError(explain("container", error_number, request))
            case None:
                raise LauncherLostError(LOST.format(program=shown(request.argv[0])))

    async def _settled(self, question: _Question) -> bool:
        """Return True once there is an answer or none can come any more; False when the launcher hangs."""
        silent = 0
        while silent < SILENT_WINDOWS:
            heard = self._heard
            with trio.move_on_after(ANSWER_SECONDS / SILENT_WINDOWS):
                await question.answered.wait()
                return True
            silent = silent + 1 if self._heard == heard else 0
        return False

    async def _send(self, packet: bytes, fds: tuple[int, ...]) -> None:
        """Raises OSError; or trio.ClosedResourceError when the link is closed meanwhile."""
        async with self._sending:
            while True:
                if self.handle.socket.fileno() < 0:
                    raise trio.ClosedResourceError
                try:
                    return wire.send(self.handle.socket, packet, fds)
                except BlockingIOError:  # it hangs: whoever waits for its answer ends that, and us
                    await trio.lowlevel.wait_writable(self.handle.socket)

    @property
    def lost(self) -> bool:
        """Whether the launcher has ended. Exact: true before any of its inits can be seen to have died of it."""
        return self._lost or self.handle.is_gone()

    async def swept(self, number: int) -> int:
        """After the wrapper of a call without a namespace was killed: wait until the launcher has swept what it left.

        How many processes could not be killed; 0 also when the launcher is lost as well: that is the known gap.
        """
        wrapper = self._wrappers[number]
        with trio.move_on_after(ANSWER_SECONDS):
            await wrapper.answered.wait()
        return wrapper.answer if isinstance(wrapper.answer, int) else 0

    def forget(self, number: int) -> None:
        """The call is over."""
        self._wrappers.pop(number, None)

    async def close(self) -> None:
        """End the launcher, and with it all its calls; returns when it is reaped. Everybody who waits is told."""
        if self.handle.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.handle.socket)
        self.handle.let_go()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(EXIT_SECONDS):
                await trio.lowlevel.wait_readable(self.handle.pidfd)
            self.handle.kill()  # a no-op when it has ended
            await trio.lowlevel.wait_readable(self.handle.pidfd)
        self.handle.release()
        self._lost = True
        await reap_adopted()
        for question in (*self._questions.values(), *self._wrappers.values()):
            question.answered.set()
        self._questions.clear()


async def reap_adopted() -> None:
    """Reap the inits that a lost launcher has left to *us*: a daemon that is PID 1 (or a subreaper) inherits them.

    They are known by their name. Children of the program that embeds us are not touched: it may want their status.
    """
    for pid in adopted_inits():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            pidfd = os.pidfd_open(pid)
            try:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + EXIT_SECONDS):
                    await trio.lowlevel.wait_readable(pidfd)
                    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)  # noqa: ASYNC222  # WNOHANG
            finally:
                os.close(pidfd)


def adopted_inits() -> tuple[int, ...]:
    """Children of ours that call themselves an init."""
    found = []
    with contextlib.suppress(OSError):  # no such listing in this kernel
        for listing in Path("/proc/self/task").glob("*/children"):
            for pid in map(int, listing.read_text().split()):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_bytes().strip() == wire.INIT_NAME:
                        found.append(pid)
    return tuple(found)
