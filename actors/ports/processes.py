"""Contained child processes. The production port talks to the launcher (`actors/tool_worker/launcher`)."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from actors.tool_worker.confinement.mechanism import ConfinementReport

TERMINATION_GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL: long enough for a shell to clean up, short enough for an interrupt to feel instant."""


class SpawnError(Exception):
    """The process could not be started; the text names the program or directory and the reason."""


class LauncherLostError(SpawnError):
    """The launcher died under the call: whether the process ran, and what it did, is unknown. It is gone, though."""


class TerminalSize(msgspec.Struct, frozen=True, kw_only=True):
    """Of a pseudo-terminal, in characters."""

    rows: int = 24
    columns: int = 80


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What a process and all its descendants may change and reach; what their user may read, they may read, but for
    what is hidden.

    Paths are absolute; those that do not exist are passed over.
    """

    mode: Literal["read-only", "workspace-write"]
    """Its name to people."""
    workspace: tuple[str, ...] = ()
    """Folders that may be changed, but for the protected names at their top."""
    scratch: tuple[str, ...] = ()
    """Folders that may be changed altogether."""
    untouched: tuple[str, ...] = ()
    """Not to be changed even where they lie in one of these."""
    hidden: tuple[str, ...] = ()
    """Not to be read, nor changed, with all that is in them."""
    network: bool = False
    """Offline there is no socket but one's own: no TCP, no UDP, no Unix socket of another program's."""
    unix_sockets: bool = False
    """Offline, allow Unix sockets all the same."""

    @property
    def writable(self) -> tuple[str, ...]:
        return (*self.workspace, *self.scratch)


class SpawnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. ``environment`` is the whole environment, nothing is inherited."""

    argv: tuple[str, ...]
    cwd: str
    environment: dict[str, str]
    terminal: TerminalSize | None = None
    """A pseudo-terminal of this size; None means plain pipes."""
    stdin: Literal["closed", "pipe"] = "closed"
    """For plain pipes. A terminal always has its input open."""
    stderr: Literal["merged", "separate"] = "merged"
    needs_setuid: bool = False
    """Whether sudo and other setuid programs must work even where that costs a better containment (a daemon that is
    not root contains calls in a user namespace, in which they fail). As root they work anyway."""
    confinement: Confinement | None = None
    """None: the process may do what its user may. A confinement that cannot be enforced is a `SpawnError`."""


class ExitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended."""

    code: int
    """The exit code; 128+n when signal n ended it."""
    signal: int | None = None
    left_behind: int = 0
    """Processes that could not be killed because they run as another user; only where no PID namespace is allowed."""


class Process(Protocol):
    """One started process with everything it started in turn."""

    @property
    def pid(self) -> int:
        """As seen by the daemon; of the containing init."""
        ...

    async def read_output(self, max_bytes: int = 65536) -> bytes:
        """What it wrote (stdout, or stdout and stderr merged, or the terminal), b"" at the end."""
        ...

    async def read_stderr(self, max_bytes: int = 65536) -> bytes:
        """Only when stderr is separate."""
        ...

    async def write_stdin(self, data: bytes) -> None:
        """Raises trio.BrokenResourceError or trio.ClosedResourceError when nobody reads it."""
        ...

    def close_stdin(self) -> None:
        """The reader sees the end of its input. A terminal stays open: there it is the character ^D that says so."""
        ...

    def resize(self, size: TerminalSize) -> None:
        """The terminal's new size; its foreground group gets SIGWINCH. Does nothing for pipes, or after the end."""
        ...

    def signal(self, number: int) -> None:
        """Signal the tool's own process group, not its wrapper. Does nothing after the end."""
        ...

    async def wait(self) -> ExitStatus:
        """Return when the process and all it left in its container are gone. May be awaited by many.

        Raises LauncherLostError when the launcher took it along: then the status is not known.
        """
        ...

    async def stop(self, grace_seconds: float = TERMINATION_GRACE_SECONDS) -> ExitStatus:
        """SIGTERM to the group, then SIGKILL to the whole container; returns when nothing is left. May be repeated.

        Raises LauncherLostError as `wait` does. Cancelled, it leaves the process as it is: then `aclose` ends it.
        """
        ...

    async def aclose(self) -> None:
        """Stop it if it runs, and release its pipes. Shielded: it finishes even under cancellation. May be repeated."""
        ...


class Processes(Protocol):
    """Whoever can start a process."""

    async def spawn(self, request: SpawnRequest) -> Process:
        """Start it in a container of its own; returns when the program is executing. Raises SpawnError.

        The caller owns the process and has to `aclose` it. Cancelled, it leaves nothing running.
        """
        ...

    async def confinement(self) -> ConfinementReport:
        """What enforces a `Confinement` here, and what that leaves open; found out on first use. Raises SpawnError when
        no process can be started at all."""
        ...
