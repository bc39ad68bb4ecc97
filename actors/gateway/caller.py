"""Who is calling, as the methods see it: the house, the configuration, and what this connection watches and runs."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Protocol, TypeVar

import trio

from actors.gateway.audit import Audit
from actors.gateway.configuration import Configuration, config_warning
from actors.gateway.dynamic_tools import Hosts
from actors.gateway.exec_command import Commands
from actors.gateway.file_search import Searches
from actors.gateway.house import House
from actors.gateway.notifications import WireEncoder
from actors.gateway.rpc import RpcError
from actors.gateway.rule_troubles import RuleWatch
from actors.gateway.sandbox import NO_PROFILES
from actors.gateway.watching import Watched
from actors.session.feed import Subscription
from actors.tool_worker.confinement.profiles import BUILT_IN, Profiles
from messages.base import ThreadId
from messages.client.envelope import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from messages.client.item import Wire
from messages.rules import RuleTrouble
from messages.session import Refused, SessionCommand
from messages.settings import SettingsSnapshot

R = TypeVar("R")


class Gatehouse(Protocol):
    """What all connections share."""

    @property
    def house(self) -> House: ...

    @property
    def configuration(self) -> Configuration: ...

    @property
    def encoder(self) -> WireEncoder: ...

    @property
    def hosts(self) -> Hosts:
        """Who runs clients' tools."""
        ...

    @property
    def audit(self) -> Audit:
        """Who did what."""
        ...

    @property
    def rule_troubles(self) -> tuple[RuleTrouble, ...]:
        """What is wrong with the rules files, as far as they were read."""
        ...

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        ...


class Caller:
    """One connection, for the methods."""

    __slots__ = ("client_name", "commands", "gatehouse", "id", "notify", "nursery", "rules", "searches", "watched")

    def __init__(
        self,
        id_: str,
        gatehouse: Gatehouse,
        nursery: trio.Nursery,
        watched: Watched,
        notify: Callable[[str, Wire], None],
        commands: Commands,
    ) -> None:
        self.id = id_
        self.gatehouse = gatehouse
        self.nursery = nursery
        """Ends with the connection, and what runs in it as well."""
        self.watched = watched
        self.notify = notify
        """Send this client a notification."""
        self.commands = commands
        self.searches = Searches(gatehouse.house, nursery, notify)
        self.rules = RuleWatch(gatehouse.house, nursery, notify)
        self.client_name = "unknown"

    @property
    def house(self) -> House:
        return self.gatehouse.house

    def works_in(self, cwd: str) -> None:
        """This client has a thread there: it is told what is wrong with the rules of that folder."""
        self.rules.concern(cwd, self.gatehouse.rule_troubles)

    def warn_of_thread(self, settings: SettingsSnapshot) -> None:
        """Tell this client what is to be told of a thread's own settings: its project's, and what was asked for it."""
        own = {layer.where for layer in settings.layers if layer.layer in ("project", "client")}
        for problem in settings.warnings:
            if problem.where in own:
                self.notify("configWarning", config_warning(problem))

    async def profiles_for(self, profile: str | None) -> Profiles:
        """The user's own permission profiles, should one of them be asked for by this name."""
        if profile is None or profile in BUILT_IN:
            return NO_PROFILES
        return (await self.gatehouse.configuration.snapshot()).settings.permissions

    async def ask(self, thread_id: str, command: SessionCommand, returns: type[R] | tuple[type[R], ...]) -> R:
        """Ask a thread's session, loading it if need be. Raises RpcError when it refuses, and what `explain` knows."""
        address = await self.house.sessions.open(ThreadId(thread_id))
        wanted = returns if isinstance(returns, tuple) else (returns,)
        reply: Any = await address.ask(command, (*wanted, Refused))  # type: ignore[arg-type]  # more types than two
        if isinstance(reply, Refused):
            raise refusal(reply)
        return reply  # type: ignore[no-any-return]  # `ask` has checked it

    async def tell(self, thread_id: str, command: SessionCommand) -> None:
        """As `ask`, for commands whose reply says nothing a client could use."""
        await self.ask(thread_id, command, (NoneType, bool, int, tuple))

    async def subscribe(self, thread_id: str, command: SessionCommand) -> Subscription:
        return await self.ask(thread_id, command, Subscription)


def refusal(refused: Refused) -> RpcError:
    """What a session's refusal looks like."""
    if refused.reason == "too_large":
        return RpcError(INVALID_PARAMS, refused.message, {"input_error_code": "input_too_large"})
    if refused.reason == "not_steerable":
        info = {"activeTurnNotSteerable": {"turnKind": "compact"}}
        return RpcError(INVALID_REQUEST, refused.message, {"codexErrorInfo": info})
    if refused.reason == "storage":
        return RpcError(INTERNAL_ERROR, refused.message)
    data = None if refused.active_turn_id is None else {"activeTurnId": refused.active_turn_id}
    return RpcError(INVALID_REQUEST, refused.message, data)
