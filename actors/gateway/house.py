"""What the gateway needs of the rest of the daemon, as narrow protocols: who assembles the daemon hands it a `House`.

Sessions are reached through `SessionHost` only, the log's list of threads through `ThreadLibrary`, the settings through
their actor's address, models and the live tree through a function each. So the gateway never learns how sessions are
supervised, and its tests run against a few lines of fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import msgspec

from actors.kernel import Address, Node, ServiceAddress
from actors.ports import Ports
from actors.session.global_feed import GlobalFeed
from actors.session.threads import NewThread
from actors.tool_worker.rules.book import RuleBook
from messages.base import ThreadId
from messages.client.model import ModelEntry
from messages.credentials import CredentialsRequest
from messages.log import ListThreads, Record, ThreadPage
from messages.session import SessionCommand, ThreadSummary, ThreadView
from messages.settings import SettingsRequest


class SessionHost(Protocol):
    """Whoever keeps the sessions (`actors/session/host.py`)."""

    async def start_thread(self, request: NewThread) -> tuple[ThreadView, Address[SessionCommand]]:
        """Make a thread, on disk unless ephemeral, and load it. Raises UnreadableThreadError (a full disk)."""
        ...

    async def open(self, thread_id: ThreadId) -> Address[SessionCommand]:
        """The thread's session as it lives now, loaded from the log if need be.

        Ask anew for each command: a session that crashed has a successor with another address. Raises
        UnknownThreadError, UnreadableThreadError.
        """
        ...

    def loaded(self) -> Mapping[ThreadId, Address[SessionCommand]]:
        """The threads in memory, oldest first."""
        ...

    def active(self) -> int:
        """In how many of them a turn runs."""
        ...


class ThreadLibrary(Protocol):
    """The threads on disk (`actors/rollout_writer`)."""

    async def page(self, request: ListThreads) -> ThreadPage:
        """One page of the list."""
        ...

    async def find(self, thread_id: ThreadId) -> ThreadSummary | None:
        """One thread; None if there is no rollout of that id."""
        ...

    async def records(self, thread_id: ThreadId, *, first_ordinal: int, limit: int) -> tuple[tuple[int, Record], ...]:
        """Records of a thread's log with their ordinals, from ``first_ordinal`` on and at most about ``limit``; empty
        beyond its end and for a thread without a log. Reads the file, changes nothing. Raises OSError."""
        ...


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the gateway may touch."""

    ports: Ports
    sessions: SessionHost
    library: ThreadLibrary
    everywhere: GlobalFeed
    settings: ServiceAddress[SettingsRequest]
    rules: RuleBook
    credentials: ServiceAddress[CredentialsRequest]
    models: Callable[[], Awaitable[tuple[ModelEntry, ...]]]
    tree: Callable[[], Node]
    home: str
    """``$CALLBOARD_HOME``"""
    cwd: str
    """Where a client that names no folder works."""
    version: str
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What commands run by `command/exec` inherit."""
    providers: Collection[str] = ()
    """The ids of the model providers; empty: not checked here."""
    tool_names: frozenset[str] = frozenset()
    """Of the tools that the daemon itself has: no client's may be called so."""
    system: str = "linux"
    """The platform's name, for the handshake."""
