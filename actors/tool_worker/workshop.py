"""What all calls of one thread share: the tools, the running commands, and the ports to the world."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import trio

from actors.hooks.runner import Hooks
from actors.ports import Ports
from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.rollout_writer.handle_store import HandleStore
from actors.tool_worker.confinement.ground import is_below
from actors.tool_worker.confinement.policy import confinement_of, hidden_paths, patch_roots
from actors.tool_worker.needs import command_need, enforced_by
from actors.tool_worker.registry import Registry
from actors.tool_worker.rules.book import no_rules
from actors.tool_worker.shell_snapshot import ShellSnapshots
from actors.tool_worker.snapshots.git import SnapshotError
from actors.tool_worker.snapshots.keeping import Snapshots
from actors.tool_worker.snapshots.thread import ThreadSnapshots
from actors.tool_worker.terminals import Terminals
from actors.tool_worker.tool import Tool, ToolError
from actors.tool_worker.tools import client_tool
from actors.tool_worker.toolset import offers, why_not
from actors.tool_worker.truncation import TruncationPolicy
from actors.tool_worker.veiled import VeiledFiles
from messages.approval import CommandNeed
from messages.approval import Confinement as Enforced
from messages.base import ThreadId, TurnId
from messages.permissions import Permissions
from messages.rules import RuleSet
from messages.session import ThreadSettings, TurnUndone
from messages.tool_set import Abilities
from messages.tools import TerminalEnded, ToolCall

QUIET = {
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLORTERM": "",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GH_PAGER": "cat",
}
"""A model reads plain text: no colours, and no pager that waits for a key."""


def preferred_shell(environment: Mapping[str, str]) -> str:
    """The user's shell if it is one whose scripts we can read; else bash."""
    shell = environment.get("SHELL", "")
    return shell if posixpath.basename(shell) in ("bash", "zsh", "sh") else "/bin/bash"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginRules:
    """Whether commands run as the user's login shell would, and how that is had."""

    allowed: bool = True
    """False: no command reads the user's profile, and asking for it is an error."""
    snapshots: ShellSnapshots | None = None
    """None: each command reads the profile for itself."""


class Workshop:
    """One thread's. ``settings`` is set by the session before it starts a call."""

    def __init__(
        self,
        *,
        thread_id: ThreadId,
        ports: Ports,
        registry: Registry,
        terminals: Terminals,
        settings: ThreadSettings,
        environment: Mapping[str, str],
        truncation: TruncationPolicy,
        abilities: Callable[[str, str], Abilities],
        snapshots: ThreadSnapshots | None = None,
        hooks: Hooks | None = None,
        login: LoginRules = LoginRules(),
        home: str = "",
        rules: Callable[[str], Awaitable[RuleSet]] = no_rules,
    ) -> None:
        self.thread_id = thread_id
        self._ports = ports
        self.registry = registry
        self.terminals = terminals
        self.settings = settings
        self.truncation = truncation
        self.handles: HandleStore | None = None
        """Where large values of scripts are kept; None: nowhere."""
        self.hooks = hooks
        """Programs of the user's that hear of calls; None: there are none."""
        self.snapshots = snapshots
        """None: they are switched off."""
        self.login = login
        self.rules = rules
        """The user's rules on commands, by the folder a thread works in."""
        self._environment = environment
        self._abilities = abilities
        self.home = home
        """The daemon's own folder."""

    @property
    def ports(self) -> Ports:
        """The world, as far as the thread may see it."""
        hidden = hidden_paths(self.settings)
        return (
            msgspec.structs.replace(self._ports, files=VeiledFiles(self._ports.files, hidden))
            if hidden
            else self._ports
        )

    def tool(self, name: str) -> Tool:
        """The tool of that name. Raises ToolError if the thread does not have it."""
        settings = self.settings
        tool = self.registry.find(name)
        clients = client_tool.find(settings.dynamic_tools, name)
        if clients is not None:
            return clients
        if tool is None or tool.spec.hosted is not None:
            raise ToolError(f"unsupported call: {name}")
        if not offers(tool.spec, settings, self._abilities(settings.provider, settings.model)):
            raise ToolError(why_not(tool.spec, settings))
        return tool

    def environment(self, call: ToolCall, *, terminal: bool = False) -> dict[str, str]:
        """The whole environment of a call's process."""
        quiet = {**QUIET, "TERM": "xterm-256color"} if terminal else QUIET
        return {
            **self._environment,
            **quiet,
            "CALLBOARD_THREAD_ID": self.thread_id,
            "CALLBOARD_CALL_ID": call.call_id,
            "CALLBOARD_IDEMPOTENCY_KEY": call.idempotency_key,
        }

    async def logged_in(self, request: SpawnRequest) -> SpawnRequest:
        """The same command, without reading the user's profile once more if what it leads to is known."""
        snapshots = self.login.snapshots
        if snapshots is None or request.argv[1:2] != ("-lc",):
            return request
        path = await snapshots.path(request.argv[0], self._environment)
        if path is None:
            return request
        return msgspec.structs.replace(
            request,
            argv=(request.argv[0], "-c", *request.argv[2:]),
            environment={**request.environment, "BASH_ENV": path},
        )

    async def about_to_change(self, turn_id: TurnId) -> None:
        """Called before a call of this turn runs that may change something: the first waits for a snapshot."""
        if self.snapshots is not None:
            await self.snapshots.before(turn_id, self.settings.cwd)

    def turn_over(self, turn_id: TurnId) -> None:
        """Called when nothing of the turn is left."""
        if self.snapshots is not None:
            self.snapshots.over(turn_id)

    async def undo(self, turn_id: TurnId | None) -> TurnUndone:
        """Take back what a turn, or the last one, changed in the worktree. Raises SnapshotError."""
        if self.snapshots is None:
            raise SnapshotError("snapshots are switched off (ghost_snapshots = false), so there is none to go back to")
        return await self.snapshots.undo(turn_id, self.settings.cwd)

    def resolve(self, path: str | None) -> str:
        """A path of a call, relative to the thread's folder."""
        return posixpath.normpath(posixpath.join(self.settings.cwd, path or ""))

    @property
    def shell(self) -> str:
        return preferred_shell(self._environment)

    def writable_roots(self) -> tuple[str, ...]:
        """What the thread's sandbox leaves writable. What lies beyond it is asked about before it is patched."""
        return patch_roots(self.settings, self._environment)

    def reading(self) -> Confinement | None:
        """For programs of ours that only read: what hides from them what the thread may not see. None: nothing does."""
        hidden = hidden_paths(self.settings)
        return Confinement(mode="read-only", hidden=hidden) if hidden else None

    def kept_paths(self) -> tuple[str, ...]:
        """What a permission profile keeps as it is inside these."""
        profile = self.settings.profile
        return () if profile is None else (*profile.read, *profile.none)

    def confinement(self) -> Confinement | None:
        """The thread's sandbox for a command that was not allowed to run outside of it; None: all may run free."""
        return confinement_of(self.settings, self._environment, home=self.home)

    def confined(self, request: SpawnRequest) -> SpawnRequest:
        """The request in the sandbox as it is now: since it was prepared, people may have granted more."""
        return msgspec.structs.replace(request, confinement=self.confinement())

    async def covers(self, wanted: Permissions) -> bool:
        """Whether the sandbox gives these rights already. Paths are resolved."""
        confinement = self.confinement()
        if confinement is None:
            return True
        files = self.ports.files
        roots = await self.ports.threads.run(lambda: [files.resolve(root) for root in confinement.writable])
        writes = all(any(is_below(path, root) for root in roots) for path in wanted.write)
        return writes and (confinement.network or not wanted.network)

    async def fixed(self, path: str) -> str | None:
        """The path that a permission profile keeps as it is and this one is in, if there is one. Resolved."""
        files, kept = self.ports.files, self.kept_paths()
        found = await self.ports.threads.run(lambda: [files.resolve(each) for each in kept])
        return next((each for each in found if is_below(path, each)), None)

    async def command_need(
        self,
        argv: Sequence[str],
        cwd: str,
        *,
        justification: str | None = None,
        escalated: bool = False,
        suggested_prefix: Sequence[str] | None = None,
    ) -> CommandNeed:
        """What a command needs people's word for, by the rules and the sandbox of the thread."""
        return command_need(
            argv,
            cwd,
            justification=justification,
            escalated=escalated,
            confinement=await self._enforced(),
            rules=await self.rules(self.settings.cwd),
            suggested_prefix=suggested_prefix,
        )

    async def _enforced(self) -> Enforced:
        """How much of the thread's sandbox is enforced here."""
        if self.confinement() is None:
            return "none"
        try:
            return enforced_by(await self.ports.processes.confinement())
        except SpawnError:
            return "none"  # nothing can be started at all: the call itself will say so


@asynccontextmanager
async def open_workshop(
    *,
    thread_id: ThreadId,
    ports: Ports,
    registry: Registry,
    settings: ThreadSettings,
    environment: Mapping[str, str],
    truncation: TruncationPolicy,
    abilities: Callable[[str, str], Abilities],
    snapshots: Snapshots | None = None,
    hooks: Hooks | None = None,
    login: LoginRules = LoginRules(),
    report: Callable[[TerminalEnded], None],
    home: str = "",
    rules: Callable[[str], Awaitable[RuleSet]] = no_rules,
) -> AsyncIterator[Workshop]:
    """A workshop; leaving it ends every command that still runs and returns when none is left."""
    async with trio.open_nursery() as nursery:
        terminals = Terminals(ports=ports, nursery=nursery, report=report)
        try:
            yield Workshop(
                thread_id=thread_id,
                ports=ports,
                registry=registry,
                terminals=terminals,
                settings=settings,
                environment=environment,
                truncation=truncation,
                abilities=abilities,
                snapshots=None if snapshots is None else ThreadSnapshots(snapshots, thread_id, nursery),
                hooks=hooks,
                login=login,
                home=home,
                rules=rules,
            )
        finally:
            with trio.CancelScope(shield=True):
                await terminals.aclose()
