"""The daemon as an object: for the process (`serving`), for programs that embed it, and for the simulation.

    async with Daemon(DaemonOptions(home="/tmp/cb", listen="ws://127.0.0.1:0")) as daemon:
        ...daemon.address...

`Daemon` is this machine's: it starts the launcher and the real ports. `open_daemon` takes any ports.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Protocol

import msgspec
import trio

from actors.credentials import register
from actors.gateway.actor import Doorway, open_doorway
from actors.kernel import Node, Report, System
from actors.ports import Ports
from actors.ports.files import AppendFile
from actors.ports.production.processes import LauncherProcesses
from actors.ports.scripts import ScriptEngine
from actors.sandbox_pool.actor import RunsEngine
from actors.settings.actor import load
from actors.settings.core import Sources
from actors.settings.layers import Layer
from messages.settings import SettingsSnapshot
from messages.version import VERSION
from supervisors.live import Chooser
from supervisors.names import refuse_name_clashes
from supervisors.parts import Parts, assemble
from supervisors.root import root
from supervisors.tree import Tree, open_tree

LOCK_FILE = "daemon.lock"

logger = logging.getLogger(__name__)


class HomeInUseError(Exception):
    """Another daemon works in this home; two would write the same rollouts."""


class HomeUnusableError(Exception):
    """The home cannot be made or written."""


class DaemonOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to run. ``environment`` is captured once: keys come from it, and tools inherit the rest of it."""

    home: str
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    """Settings above those of the file and the environment."""
    profile: str | None = None
    """A file of settings above the user's: ``NAME.config.toml`` in the home."""
    strict: bool = False
    """Settings that nobody knows are errors."""
    listen: str | None = None
    """``ws://HOST:PORT`` (port 0 takes a free one) or ``unix:///PATH``. None: as the settings say."""
    plaintext_allowed: bool = False
    """Listen beyond loopback without TLS."""
    token_file: str | None = None
    """Where the capability token is, absolute; ``$CALLBOARD_HOME/token`` unless given."""
    cwd: str = "/"
    """Where a client that names no folder works."""
    index_path: str | None = None
    """Of the SQLite index; below the home unless given."""


class Engine(ScriptEngine, RunsEngine, Protocol):
    """What runs scripts."""


class RunningDaemon:
    """What whoever runs it may ask of it."""

    def __init__(self, parts: Parts, tree: Tree, doorway: Doorway) -> None:
        self._parts = parts
        self._tree = tree
        self._doorway = doorway
        self.address = doorway.address
        """``ws://HOST:PORT`` or ``unix:///PATH``, as bound."""
        self.token_required = doorway.token_required
        """Clients must show the token in ``$CALLBOARD_HOME/token``."""

    @property
    def snapshot(self) -> SettingsSnapshot:
        """The settings in force."""
        return self._parts.live.snapshot

    def tree(self) -> Node:
        """The live tree of actors."""
        return self._tree.snapshot()

    def needed(self) -> bool:
        """Somebody is connected, or a turn runs that does not only wait for people."""
        return self._doorway.connections > 0 or self._parts.host.working()

    @property
    def visits(self) -> int:
        """How many clients have come so far."""
        return self._doorway.visits

    async def warm(self) -> None:
        """Import what the first request to a model needs; clients are served meanwhile."""
        await self._parts.models.warm()
        await self._parts.refresh_models()

    async def drain(self, seconds: float | None = None) -> None:
        """Take no more turns; let running ones finish for so long, then interrupt them. Clients hear of each end."""
        await self._parts.host.drain(self.snapshot.settings.drain_seconds if seconds is None else seconds)


@asynccontextmanager
async def open_daemon(
    ports: Ports,
    options: DaemonOptions,
    *,
    launcher: LauncherProcesses | None = None,
    engine: Engine | None = None,
    unconfined: tuple[str, ...] = (),
) -> AsyncIterator[RunningDaemon]:
    """Start everything and enter the block when clients can connect; leaving it drains and stops in order.

    Raises SettingsError, ListenRefusedError (also for a port in use), HomeInUseError, HomeUnusableError,
    StartError when a service cannot start, EscalationError when services crash too often.
    """
    try:
        sources = Sources(
            home=options.home,
            environment=dict(options.environment),
            overrides=options.layers,
            profile=options.profile,
            strict=options.strict,
            register=register.path_in(options.home),
        )
        chooser = Chooser(options.environment, since=ports.clock.now())
        state = await load(sources, ports, chooser)
        lock = await ports.threads.run(_take_home, ports, options.home)
    except OSError as error:
        raise _unusable(options.home, error) from error
    try:
        holder: list[Tree] = []
        system = System(random=ports.entropy.random)
        system.reports.observe(log_report)
        parts = assemble(
            ports=ports,
            system=system,
            state=state,
            chooser=chooser,
            environment=options.environment,
            cwd=options.cwd,
            version=VERSION,
            tree=lambda: holder[0].snapshot(),
            index_path=options.index_path,
            engine=engine,
            unconfined=unconfined,
        )
        listen = state.current.settings.listen
        if options.listen is not None:
            listen = msgspec.structs.replace(listen, address=options.listen)
        try:
            doorway = await open_doorway(
                parts.house, listen, plaintext_allowed=options.plaintext_allowed, token_file=options.token_file
            )
        except OSError as error:  # the token and the key are made at the first start
            raise _unusable(options.home, error) from error
        try:
            async with parts.models, open_tree(root(parts, doorway, launcher, engine).run, system=system) as tree:
                holder.append(tree)
                daemon = RunningDaemon(parts, tree, doorway)
                try:
                    yield daemon
                finally:
                    with trio.CancelScope(shield=True):  # bounded: drain_seconds, then an interrupt of a second
                        await daemon.drain()
        finally:
            with trio.CancelScope(shield=True):
                await doorway.aclose()
    finally:
        lock.close()


def log_report(report: Report) -> None:
    """What supervisors report, with the traceback of a crash."""
    level = logging.INFO if report.context in ("ended", "restarting") else logging.ERROR
    logger.log(
        level,
        "%s: %s %s: %s%s",
        report.supervisor,
        report.offender,
        report.context,
        report.reason,
        "".join(f"\n  {place}" for place in report.stack),
        exc_info=report.error,
    )


def _unusable(home: str, error: OSError) -> HomeUnusableError:
    return HomeUnusableError(
        f"cannot work in {home} ({error.strerror or error}: {error.filename or home}); "
        "set CALLBOARD_HOME to a folder that can be written"
    )


def _take_home(ports: Ports, home: str) -> AppendFile:
    lock = ports.files.lock(posixpath.join(home, LOCK_FILE))
    if lock is None:
        raise HomeInUseError(
            f"another callboard daemon works in {home}; stop it, or give this one its own CALLBOARD_HOME"
        )
    return lock


class Daemon:
    """A daemon on this machine. Enter it in the main thread's trio loop."""

    def __init__(self, options: DaemonOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> RunningDaemon:
        """Raises what `open_daemon` raises."""
        from actors.ports.production import production_ports
        from actors.ports.production.scripts import ZygoteEngine, unconfined
        from actors.tool_worker.launcher import start_launcher

        refuse_name_clashes()
        async with AsyncExitStack() as stack:
            handle = start_launcher()
            stack.callback(handle.release)
            launcher = LauncherProcesses(handle)
            ports = production_ports(launcher)
            daemon = await stack.enter_async_context(
                open_daemon(ports, self._options, launcher=launcher, engine=ZygoteEngine(), unconfined=unconfined())
            )
            self._stack = stack.pop_all()
        return daemon

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)
