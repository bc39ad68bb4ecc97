"""Workers for scripts, forked by a zygote (`actors/sandbox_pool/inside/zygote.py`).

    daemon ──"fork 7" + a socket's other end──▶ zygote ──fork──▶ worker 7, confined
       ▲◀──"forked 7 PID" + a pidfd, "gone 7 STATUS"──┘             │
       └──────────────── that socket: frames ───────────────────────┘

The daemon ends a worker through its pidfd, so no number can have been given to somebody else. A zygote that dies takes
its workers along (parent-death signals); those that use them hear `WorkerLostError`, and another zygote is started. One
that has forked often enough is let go once its last worker is gone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path

import msgspec
import trio

from actors.ports.scripts import Confinement, EngineUnavailableError, WorkerLostError
from actors.sandbox_pool.inside.protocol import LENGTH, PACKET_BYTES, PROTOCOL, REQUIRED
from actors.sandbox_pool.limits import CPU_SECONDS, FORKS_PER_ZYGOTE

START_SECONDS = 10.0
"""Until a zygote must have said hello: 50 ms, on an overloaded machine a second."""

READY_SECONDS = 10.0
"""Until a worker must be ready: a millisecond or two, when the machine has time for it."""

GONE_SECONDS = 1.0
"""How long the zygote has to say how a worker ended whose socket has closed. Then it is simply gone."""

RESTARTS_MAX, RESTARTS_SECONDS = 5, 30.0
"""A zygote that dies more often than this is a defect that starting another does not cure."""

BOOT = "import sys; sys.path += sys.argv[1:3]; from inside.zygote import main; main(sys.argv[3:])"
"""Imported, not run as a script: a script is compiled at each start, a module once."""

READ_BYTES = 1 << 16
"""At once. Most frames come with one read."""

NATIVE_PACKAGES = ("_quickjs", "tree_sitter", "tree_sitter_typescript")
"""What the zygote needs beside the standard library, all in one folder."""

ENVIRONMENT = {"TZ": "UTC0", "LC_ALL": "C.UTF-8"}
"""All that a script could learn of it, if it could learn of it: no name, no path, no key."""

_PACKET_FDS = 1
_EMFILE = 24


def unconfined() -> tuple[str, ...]:
    """Which of the required layers this kernel does not have, as far as asking it can tell: in microseconds, without a
    process. A worker finds out for certain, before it reads any script."""
    from actors.sandbox_pool.inside.confinement import lacking

    return lacking()


class _Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    layers: dict[str, int]


_READY: msgspec.json.Decoder[_Ready] = msgspec.json.Decoder(_Ready)


class ForkedWorker:
    """The `ScriptWorker` port: one forked process."""

    def __init__(self, zygote: _Zygote, number: int, pid: int, pidfd: int, line: socket.socket) -> None:
        """``line``: not blocking, and ours from here on. A script of a hundred calls uses it two hundred times, so
        nothing is tried on it that is known to have to wait."""
        self._zygote = zygote
        self._number = number
        self._pid = pid
        self._pidfd = pidfd
        self._line = line
        self._read = bytearray()
        self._sent = 0
        """Of the frame that is being sent, in bytes."""

    @property
    def pid(self) -> int:
        """See `actors.ports.scripts.ScriptWorker`."""
        return self._pid

    def send_now(self, frame: bytes) -> bool:
        """See `actors.ports.scripts.ScriptWorker`."""
        data = LENGTH.pack(len(frame)) + frame
        try:
            self._sent = self._line.send(data)
        except BlockingIOError:
            self._sent = 0
        except OSError:
            self._sent = len(data)  # nobody reads it any more
        if self._sent < len(data):
            return False
        self._sent = 0
        return True

    async def send(self, frame: bytes) -> None:
        """See `actors.ports.scripts.ScriptWorker`."""
        rest = memoryview(LENGTH.pack(len(frame)) + frame)[self._sent :]
        self._sent = 0
        try:
            while rest:
                await trio.lowlevel.wait_writable(self._line)
                with contextlib.suppress(BlockingIOError):
                    rest = rest[self._line.send(rest) :]
        except (OSError, trio.ClosedResourceError):
            raise await self._lost() from None

    async def receive(self, max_bytes: int) -> bytes:
        """See `actors.ports.scripts.ScriptWorker`."""
        await trio.lowlevel.checkpoint_if_cancelled()  # it may have sent many at once
        await self._fill(LENGTH.size)
        (length,) = LENGTH.unpack_from(self._read)
        if length > max_bytes:
            self.kill()
            raise WorkerLostError(f"its process sent a frame of {length} bytes; {max_bytes} are allowed")
        end = LENGTH.size + length
        await self._fill(end)
        frame = bytes(self._read[LENGTH.size : end])
        del self._read[:end]
        return frame

    async def _fill(self, length: int) -> None:
        """Read until there are so many bytes; never more than a piece beyond them."""
        try:
            while len(self._read) < length:
                await trio.lowlevel.wait_readable(self._line)
                with contextlib.suppress(BlockingIOError):
                    part = self._line.recv(READ_BYTES)
                    if not part:
                        raise await self._lost()
                    self._read += part
        except (OSError, trio.ClosedResourceError):
            raise await self._lost() from None

    async def _lost(self) -> WorkerLostError:
        """How it ended, as far as that can be known."""
        self.kill()  # a socket may be closed by a process that goes on
        status = await self._zygote.status(self._number)
        if status is None:
            return WorkerLostError("its process is gone, and the process that started it as well")
        if status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
            return WorkerLostError(f"its process was ended by {name}", signal=-status)
        return WorkerLostError(f"its process ended with status {status}")

    def kill(self) -> None:
        """See `actors.ports.scripts.ScriptWorker`."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def aclose(self) -> None:
        """See `actors.ports.scripts.ScriptWorker`."""
        if self._pidfd < 0:
            return
        self.kill()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.wait_readable(self._pidfd)
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            os.close(pidfd)
            trio.lowlevel.notify_closing(self._line)
            self._line.close()
            self._zygote.forget(self._number)


async def _become_ready(worker: ForkedWorker) -> dict[str, int]:
    """Its layers. Raises EngineUnavailableError or WorkerLostError."""
    with trio.move_on_after(READY_SECONDS):
        frame = await worker.receive(PACKET_BYTES)
        try:
            return _READY.decode(frame).layers
        except msgspec.MsgspecError as error:
            raise EngineUnavailableError("a worker did not say that it was ready") from error
    raise EngineUnavailableError(f"a worker was not ready within {READY_SECONDS:g} s")


class _Fork:
    """One request for a worker, until it is answered."""

    __slots__ = ("answered", "error", "pid", "pidfd")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.pid = 0
        self.pidfd = -1
        self.error: int | None = None


class _Zygote:
    """One zygote process, and the daemon's end of its socket."""

    def __init__(self, cpu_seconds: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = Path(__file__).resolve().parents[2] / "sandbox_pool"
        try:
            self._process = subprocess.Popen(
                (
                    *(sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, folder, _native_folder()),
                    *(str(theirs.fileno()), str(os.getpid()), str(cpu_seconds)),
                ),
                cwd="/",
                env=ENVIRONMENT | {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a Ctrl-C in the daemon's terminal is the daemon's business
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        self._pidfd = os.pidfd_open(self._process.pid)
        self._numbers = itertools.count(1)
        self._forks: dict[int, _Fork] = {}
        self._ends: dict[int, trio.Event] = {}
        self._statuses: dict[int, int] = {}
        self._idle = trio.Event()
        self.forked = 0
        self.retired = False

    @property
    def pid(self) -> int:
        return self._process.pid

    async def open(self) -> None:
        """Wait for its hello. Raises EngineUnavailableError."""
        with trio.move_on_after(START_SECONDS):
            packet, _ = await self._receive()
            if packet.split() == [b"hello", b"%d" % PROTOCOL]:
                return
            raise EngineUnavailableError("the script engine did not start; the daemon's standard error says why")
        raise EngineUnavailableError(f"the script engine said nothing for {START_SECONDS:g} s")

    async def serve(self) -> None:
        """Deliver its answers until it is gone, or is retired and its last worker gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_idleness, nursery.cancel_scope)
            await self._answer()
            nursery.cancel_scope.cancel()

    async def _watch_idleness(self, scope: trio.CancelScope) -> None:
        await self._idle.wait()
        scope.cancel()

    async def _answer(self) -> None:
        while True:
            packet, fds = await self._receive()
            match packet.split():
                case [b"forked", number, pid] if fds:
                    fork = self._forks.pop(int(number))
                    fork.pid, fork.pidfd = int(pid), fds[0]
                    fork.answered.set()
                case [b"failed" | b"forked", number, *rest]:
                    fork = self._forks.pop(int(number))
                    fork.error = int(rest[0]) if packet.startswith(b"failed") else _EMFILE
                    fork.answered.set()
                case [b"gone", number, status]:
                    if (end := self._ends.get(int(number))) is not None:
                        self._statuses[int(number)] = int(status)
                        end.set()
                case _:
                    return

    async def _receive(self) -> tuple[bytes, list[int]]:
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(self._socket, PACKET_BYTES, _PACKET_FDS)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
            except OSError:
                return b"", []
            else:
                return packet, fds

    async def fork(self) -> tuple[ForkedWorker, Confinement]:
        """Raises EngineUnavailableError, or WorkerLostError when the worker did not become ready."""
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        fork = self._forks[number] = _Fork()
        self._ends[number] = trio.Event()
        try:
            with theirs:
                await self._send(b"fork %d" % number, theirs.fileno())
            self.forked += 1
            with trio.CancelScope(shield=True):  # whoever asked must learn what there is to be ended
                await fork.answered.wait()
        except BaseException:
            ours.close()
            self._forks.pop(number, None)
            self.forget(number)
            raise
        if fork.pidfd < 0:
            ours.close()
            self.forget(number)
            reason = "it has just died" if fork.error is None else os.strerror(fork.error)
            raise EngineUnavailableError(f"the script engine could not start a worker: {reason}")
        worker = ForkedWorker(self, number, fork.pid, fork.pidfd, ours)
        try:
            layers = await _become_ready(worker)
        except BaseException:
            await worker.aclose()
            raise
        missing = tuple(name for name in REQUIRED if layers.get(name, -1) < 0)
        return worker, Confinement(layers=layers, missing=missing)

    async def _send(self, packet: bytes, fd: int) -> None:
        while True:
            try:
                socket.send_fds(self._socket, [packet], [fd])
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError:
                raise EngineUnavailableError("the script engine has just died; another is being started") from None
            else:
                return

    async def status(self, number: int) -> int | None:
        """How a worker ended: an exit status, or minus a signal. None when nobody can say."""
        end = self._ends.get(number)
        if end is not None:
            with trio.move_on_after(GONE_SECONDS) as scope:
                scope.shield = True
                await end.wait()
        return self._statuses.get(number)

    def forget(self, number: int) -> None:
        """The worker is gone, and nobody will ask how."""
        self._ends.pop(number, None)
        self._statuses.pop(number, None)
        self._look_whether_idle()

    def retire(self) -> None:
        """Fork no more; end when the last worker is gone."""
        self.retired = True
        self._look_whether_idle()

    def _look_whether_idle(self) -> None:
        if self.retired and not self._ends:
            self._idle.set()

    async def close(self) -> None:
        """End it, and with it its workers; whoever waits for an answer of it is told."""
        self._socket.close()  # it ends at this; its workers at its end
        with trio.CancelScope(shield=True):
            with trio.move_on_after(GONE_SECONDS):
                await trio.lowlevel.wait_readable(self._pidfd)
            self._process.kill()
            await trio.lowlevel.wait_readable(self._pidfd)
        self._process.wait()
        os.close(self._pidfd)
        for fork in self._forks.values():
            fork.answered.set()
        for end in self._ends.values():
            end.set()


class ZygoteEngine:
    """The `ScriptEngine` port. `run` keeps a zygote alive; it must be running for `worker` to give any."""

    def __init__(self, *, cpu_seconds: int = int(CPU_SECONDS), forks_per_zygote: int = FORKS_PER_ZYGOTE) -> None:
        self._cpu_seconds = cpu_seconds
        self._forks_per_zygote = forks_per_zygote
        self._current: _Zygote | None = None
        self._available = trio.Event()
        self._wanted = trio.Event()
        self._confinement: Confinement | None = None

    @property
    def confinement(self) -> Confinement | None:
        """See `actors.ports.scripts.ScriptEngine`."""
        return self._confinement

    @property
    def pid(self) -> int | None:
        """Of the zygote that forks now."""
        return None if self._current is None else self._current.pid

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a zygote alive; ready when the first one is. Raises EngineUnavailableError when they keep dying.

        Cancelled, it ends them all, and with them all workers. To be run in a task of the main thread: a zygote dies
        with the thread that has started it.
        """
        deaths: deque[float] = deque(maxlen=RESTARTS_MAX)
        ready = False
        async with trio.open_nursery() as nursery:
            while True:
                self._wanted = trio.Event()
                zygote = _Zygote(self._cpu_seconds)
                await nursery.start(self._serve, zygote)
                if not ready:
                    ready = True
                    task_status.started()
                await self._wanted.wait()
                if zygote.retired:
                    continue
                now = trio.current_time()
                if len(deaths) == RESTARTS_MAX and now - deaths[0] < RESTARTS_SECONDS:
                    raise EngineUnavailableError(f"the script engine died {RESTARTS_MAX + 1} times in a row")
                deaths.append(now)

    async def _serve(self, zygote: _Zygote, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await zygote.open()
            self._current = zygote
            self._available.set()
            task_status.started()
            await zygote.serve()
        finally:
            self._replace(zygote)
            await zygote.close()

    def _replace(self, zygote: _Zygote) -> None:
        if self._current is zygote:
            self._current = None
            self._available = trio.Event()
            self._wanted.set()

    async def worker(self) -> ForkedWorker:
        """See `actors.ports.scripts.ScriptEngine`."""
        with trio.move_on_after(START_SECONDS):
            await self._available.wait()
        zygote = self._current
        if zygote is None:
            raise EngineUnavailableError("there is no script engine: it is being started")
        try:
            worker, self._confinement = await zygote.fork()
        except WorkerLostError as error:
            raise EngineUnavailableError(f"a worker could not be started: {error}") from error
        if zygote.forked >= self._forks_per_zygote:
            zygote.retire()
            self._replace(zygote)
        return worker


def _native_folder() -> str:
    """The folder that holds what the zygote imports, found without importing it here. Raises EngineUnavailableError."""
    folders = set()
    for name in NATIVE_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise EngineUnavailableError(f"scripts need the package that holds {name}; it is not installed")
        folders.add(Path(spec.origin).parents[1] if spec.submodule_search_locations else Path(spec.origin).parent)
    if len(folders) > 1:
        raise EngineUnavailableError(f"scripts need {', '.join(NATIVE_PACKAGES)} in one folder; install them together")
    return str(folders.pop())


async def try_confinement() -> Confinement:
    """Start an engine and one worker, and say what holds around it. Raises EngineUnavailableError."""
    engine = ZygoteEngine()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            await (await engine.worker()).aclose()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        unavailable, rest = group.split(EngineUnavailableError)
        if unavailable is None or rest is not None:
            raise
        raise EngineUnavailableError(f"the script engine does not start: {_first(unavailable)}") from group
    assert engine.confinement is not None, "a worker has said what holds"
    return engine.confinement


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
