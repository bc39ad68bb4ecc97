"""What every model request shares: the providers, the HTTP client, and where credentials are asked for.

The HTTP client takes 100 ms to import and is not needed before the first request, so it is made then, or by `warm`,
which a daemon calls in the background once it listens.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import trio

from actors.kernel import Address, ServiceAddress
from actors.model_stream.memory import Memory
from actors.ports import Ports
from messages.base import TurnId
from messages.credentials import CredentialsRequest
from messages.model import StreamEvent
from messages.settings import ProviderSettings

if TYPE_CHECKING:
    import httpx2

    from actors.model_stream.http import HttpTransport
    from actors.model_stream.lines import Lines

UNDELIVERED_TEXT_CHARS = 8192
"""Per stream, as `Settings.undelivered_text_bytes`: a screenful or two that the session has not taken over yet."""

TURNS_KEPT = 4096
"""Turns whose providers are remembered, the last to ask: more than can be under way in one daemon. A turn beyond it
takes up a change in its middle, no more."""

_HEAVY = ("actors.model_stream.actor", "httpx2", "actors.model_stream.http", "actors.model_stream.exchange")


class Models:
    """Enter it once, around the daemon; it closes the connections to the providers when it is left."""

    def __init__(
        self,
        ports: Ports,
        credentials: ServiceAddress[CredentialsRequest],
        providers: Mapping[str, ProviderSettings],
        *,
        undelivered_limit: int = UNDELIVERED_TEXT_CHARS,
    ) -> None:
        self.ports = ports
        self.credentials = credentials
        self.providers = providers
        """By id; see `providers.known_providers`. Replaced as a whole when the settings change."""
        self._of_turns: OrderedDict[TurnId, Mapping[str, ProviderSettings]] = OrderedDict()
        self.undelivered_limit = undelivered_limit
        self._warming = trio.Lock()
        self._warm = False
        self._transport: HttpTransport | None = None
        self._client: httpx2.AsyncClient | None = None
        self._lines: Lines | None = None
        self._memories: WeakKeyDictionary[Address[StreamEvent], Memory] = WeakKeyDictionary()

    def memory(self, session: Address[StreamEvent]) -> Memory:
        """What this life of a session has been sent so far; gone with its address."""
        memory = self._memories.get(session)
        if memory is None:
            memory = self._memories[session] = Memory()
        return memory

    def of_turn(self, turn_id: TurnId) -> Mapping[str, ProviderSettings]:
        """The providers as they were when the turn first asked one of them: a change is for the next turn."""
        providers = self._of_turns.setdefault(turn_id, self.providers)
        self._of_turns.move_to_end(turn_id)
        if len(self._of_turns) > TURNS_KEPT:
            self._of_turns.popitem(last=False)
        return providers

    @property
    def transport(self) -> HttpTransport:
        """Of every request to a provider, made at the first use. Its responses can be read in the rounds."""
        if self._transport is None:
            from actors.model_stream.http import HttpTransport

            self._transport = HttpTransport(self.ports.network, self.ports.threads)
        return self._transport

    @property
    def lines(self) -> Lines:
        """The sessions' WebSocket connections, where a provider offers that."""
        if self._lines is None:
            from actors.model_stream.lines import Lines

            self._lines = Lines(self.ports.network.rounds, self.ports.clock.monotonic)
        return self._lines

    @property
    def client(self) -> httpx2.AsyncClient:
        """The same connections with httpx2's comforts, for requests that are no turns: those go by the transport."""
        if self._client is None:
            from actors.model_stream.http import open_client

            self._client = open_client(self.ports, transport=self.transport)
        return self._client

    async def warm(self) -> None:
        """Import what the first request needs, in a thread. Costs nothing when it has been done."""
        if self._warm:
            return  # before the lock, which costs every request a pass of the scheduler
        async with self._warming:
            if not self._warm:
                for module in _HEAVY:
                    await self.ports.threads.run(importlib.import_module, module)
                self._warm = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.close_all()
        if self._transport is not None:
            await self._transport.aclose()
