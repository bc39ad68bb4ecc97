"""One client: what it says is read, dispatched and answered; what it watches is sent by its outlet.

Each request runs as a task of its own, so a slow one holds up no other; they start in the order in which they came,
because the reader lets each begin before it reads the next (a checkpoint per message). A bounded number is in hand;
what comes beyond is refused at once. Answers to our questions and notifications are handled on the spot.

Nothing a client sends can harm more than itself: what cannot be read is answered with an error, a method that fails is
answered and logged, and whatever else goes wrong ends this connection only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import trio

from actors.gateway import scopes
from actors.gateway.caller import Caller, Gatehouse
from actors.gateway.configuration import config_warning
from actors.gateway.dynamic_tools import read_answer
from actors.gateway.exec_command import Commands
from actors.gateway.handshake import initialize
from actors.gateway.resolution import resolution
from actors.gateway.rpc import (
    Answer,
    Method,
    RpcError,
    error_response,
    explain,
    internal_error,
    overloaded,
    read_message,
    response,
    unknown_method,
)
from actors.gateway.transport import PeerGoneError, Transport
from actors.gateway.watching import Watched
from actors.kernel import KernelError
from messages.access import Identity
from messages.base import ThreadId
from messages.client.envelope import ABSENT, FORBIDDEN, INVALID_REQUEST, Incoming, RequestId
from messages.client.item import Wire
from messages.rules import RuleTrouble
from messages.session import AnswerClientCall, ResolveApproval, Unsubscribe
from messages.settings import Problem

logger = logging.getLogger(__name__)

UNREAD_BYTES = 4 * 1024 * 1024
"""Answers and notices a client has not read yet. Beyond it nothing more is read of what it asks, until it has."""

LAST_WORDS_SECONDS = 1.0
"""For a client that is sent away to take what there still is. One that does not read finds it in the log."""

GOING_AWAY = 1001
NORMAL = 1000


class Connection:
    """One client, from the handshake of its transport to its end."""

    def __init__(
        self,
        id_: str,
        transport: Transport,
        gatehouse: Gatehouse,
        methods: Mapping[str, Method[Any]],
        *,
        identity: Identity,
        max_in_flight: int,
    ) -> None:
        self.id = id_
        self.identity = identity
        """Who it is, and what it may do."""
        self.transport = transport
        self._gatehouse = gatehouse
        self._methods = methods
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._caller: Caller | None = None
        self._nursery: trio.Nursery | None = None
        self._initialized = False
        self._goodbye = (GOING_AWAY, "the daemon is shutting down")

    @property
    def client(self) -> str:
        """The name it gave itself."""
        return "?" if self._caller is None else self._caller.client_name

    @property
    def in_flight(self) -> int:
        """Requests in hand."""
        return self._in_flight

    async def run(self) -> None:
        """Serve until the client goes, or `send_away`. Closes the transport."""
        outlet = self.transport.outlet
        house = self._gatehouse.house
        try:
            async with trio.open_nursery() as nursery:
                watched = Watched(
                    outlet, self._gatehouse.encoder, house.library, nursery, self._on_left, self._gatehouse.hosts
                )
                commands = Commands(
                    house.ports.processes, house.environment, house.cwd, self._notify, self._wait_for_room
                )
                self._nursery = nursery
                self._caller = Caller(self.id, self._gatehouse, nursery, watched, self._notify, commands)
                outlet.source = watched.take
                try:
                    await self._read()
                finally:
                    if self._goodbye[0] == GOING_AWAY:
                        with trio.move_on_after(LAST_WORDS_SECONDS, shield=True):
                            await self._send_last_words(watched)
                    watched.close()
                    nursery.cancel_scope.cancel()
        finally:
            await self.transport.close(*self._goodbye)

    def send_away(self, code: int, reason: str) -> None:
        """End the connection, with a reason for the client."""
        self._goodbye = (code, reason)
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def _send_last_words(self, watched: Watched) -> None:
        """How the last turns ended: what the client can still be told before it is sent away."""
        outlet = self.transport.outlet
        while not outlet.broken and (outlet.pending or watched.has_news()):
            outlet.flush()
            await outlet.wait_below(0)
            await trio.lowlevel.checkpoint()

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            try:
                data = await self.transport.receive()
            except PeerGoneError as gone:
                logger.debug("connection %s: %s", self.id, gone)
                self._goodbye = (NORMAL, "")
                return
            await self._wait_for_room()
            self._hear(data)
            await trio.lowlevel.checkpoint()

    async def _wait_for_room(self) -> None:
        if self.transport.outlet.pending > UNREAD_BYTES:
            await self.transport.outlet.wait_below(UNREAD_BYTES)

    def _hear(self, data: str | bytes) -> None:
        try:
            message = read_message(data)
        except RpcError as error:
            self._send(error_response(None, error))
            return
        if message.method is not None:
            if isinstance(message.id, msgspec.UnsetType):
                self._notified(message.method)
            elif message.id is None:
                self._send(
                    error_response(
                        None, RpcError(INVALID_REQUEST, "Invalid request: id must be a string or an integer")
                    )
                )
            else:
                self._request(message.id, message.method, message.params)
        elif message.result is not ABSENT or message.error is not ABSENT:
            self._answered(message)
        else:
            id_ = None if isinstance(message.id, msgspec.UnsetType) else message.id
            self._send(error_response(id_, RpcError(INVALID_REQUEST, "Invalid request: there is no method")))

    # --- requests ---------------------------------------------------------------------------------------------------

    def _request(self, id_: RequestId, name: str, params: msgspec.Raw) -> None:
        assert self._nursery is not None
        try:
            if name == "initialize":
                self._send(response(id_, self._initialize(params)))
            else:
                found = self._method(name)
                given = found.read(params)
                self._check_allowed(name, given)
                self._in_flight += 1
                self._nursery.start_soon(self._answer, id_, found, given, name=f"{self.id} {name}")
        except RpcError as error:
            self._send(error_response(id_, error))

    def _method(self, name: str) -> Method[Any]:
        """Raises RpcError when it cannot be called (now)."""
        if not self._initialized:
            raise RpcError(INVALID_REQUEST, "Not initialized")
        found = self._methods.get(name)
        if found is None:
            raise unknown_method(name)
        if self._in_flight >= self._max_in_flight:
            raise overloaded(self._max_in_flight)
        return found

    def _check_allowed(self, name: str, params: Wire) -> None:
        """Raises RpcError when this client's token does not reach so far. What changes something is written down."""
        thread = getattr(params, "thread_id", None)
        audit = self._gatehouse.audit
        lacking = scopes.missing(self.identity, name, params)
        if lacking is not None:
            audit.note(
                "denied", self.id, who=self.identity, client=self.client, method=name, thread=thread, reason=lacking
            )
            raise RpcError(
                FORBIDDEN,
                f"{name}: your token does not allow this; it needs the scope {lacking!r}",
                {"missingScope": lacking},
            )
        if name not in scopes.OBSERVE:
            audit.note("request", self.id, who=self.identity, client=self.client, method=name, thread=thread)

    async def _answer(self, id_: RequestId, found: Method[Any], params: Wire) -> None:
        assert self._caller is not None
        try:
            try:
                answer = await found.handle(self._caller, params)
            finally:
                self._in_flight -= 1
        except Exception as error:
            told = explain(found.name, error)
            if told is None:
                logger.exception("connection %s: %s failed", self.id, found.name)
                told = internal_error(found.name)
            self._send(error_response(id_, told))
            return
        if isinstance(answer, Answer):
            self._send(response(id_, answer.result))
            answer.then()
        else:
            self._send(response(id_, answer))

    # --- the handshake ----------------------------------------------------------------------------------------------

    def _initialize(self, params: msgspec.Raw) -> Wire:
        assert self._caller is not None
        assert self._nursery is not None
        if self._initialized:
            raise RpcError(INVALID_REQUEST, "Already initialized")
        result = initialize(self._caller, params)
        self._initialized = True
        self._caller.watched.hear_everywhere(self._gatehouse.house.everywhere)
        return result

    def _notified(self, method: str) -> None:
        """Of all notifications only one says something to us; the others are for extensions we do not have."""
        if method == "initialized" and self._initialized and self._nursery is not None:
            self._nursery.start_soon(self._warn)

    async def _warn(self) -> None:
        try:
            snapshot = await self._gatehouse.configuration.snapshot()
        except KernelError as error:
            logger.warning("connection %s: the settings cannot be asked for their warnings: %s", self.id, error)
            return
        self.warn((*snapshot.broken, *snapshot.warnings))
        if self._caller is not None:
            self._caller.rules.begin(self._gatehouse.rule_troubles)

    def warn(self, problems: Iterable[Problem]) -> None:
        """Tell the client what is wrong with the settings."""
        if self._initialized:
            for problem in problems:
                self._notify("configWarning", config_warning(problem))

    def warn_of_rules(self, troubles: tuple[RuleTrouble, ...]) -> None:
        """Tell the client what of this is new to it and of its concern."""
        if self._caller is not None:
            self._caller.rules.tell(troubles)

    # --- answers to our questions -----------------------------------------------------------------------------------

    def _answered(self, message: Incoming) -> None:
        assert self._caller is not None
        assert self._nursery is not None
        if not isinstance(message.id, str):
            return
        if self._answered_call(self._caller.watched, message.id, message):
            return
        thread_id = self._caller.watched.asked_in(message.id)
        if thread_id is None:
            logger.debug("connection %s: an answer to nothing we ask (any more)", self.id)
            return
        if not self.identity.may("approve"):
            self._gatehouse.audit.note(
                "denied", self.id, who=self.identity, client=self.client, method="answer", thread=thread_id
            )
            return  # the question stays open for those who may
        self._gatehouse.audit.note("answer", self.id, who=self.identity, client=self.client, thread=thread_id)
        answer = resolution(message, message.id, by=self.id)
        address = self._gatehouse.house.sessions.loaded().get(thread_id)
        if address is not None and address.alive:
            address.send_nowait(answer)
        elif self._in_flight < self._max_in_flight:
            self._nursery.start_soon(self._resolve, thread_id, answer)

    def _answered_call(self, watched: Watched, id_: str, message: Incoming) -> bool:
        """Hand over what this client made of a call that it was asked to run. False: it is no such answer."""
        thread_id = watched.called_in(id_)
        if thread_id is None:
            return False
        # A session between two lives has given the call up: there is nobody to tell.
        address = self._gatehouse.house.sessions.loaded().get(thread_id)
        if address is not None and address.alive:
            address.send_nowait(AnswerClientCall(client_call_id=id_, answer=read_answer(message), by=self.id))
        return True

    async def _resolve(self, thread_id: ThreadId, answer: ResolveApproval) -> None:
        """The session is between two lives: the question is in the log, and so will be the answer."""
        self._in_flight += 1
        try:
            address = await self._gatehouse.house.sessions.open(thread_id)
            await address.send(answer)
        except Exception as error:
            if explain("approval", error) is None:
                raise
            logger.warning("connection %s: an approval's answer could not be delivered: %s", self.id, error)
        finally:
            self._in_flight -= 1

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        self.transport.outlet.send(frame)

    def _notify(self, method: str, params: Wire) -> None:
        if self._caller is not None and self._caller.watched.wants(method):
            self._send(self._gatehouse.encoder.notice(method, params))

    def _on_left(self, thread_id: ThreadId) -> None:
        address = self._gatehouse.house.sessions.loaded().get(thread_id)
        if address is not None and address.alive:
            address.send_nowait(Unsubscribe())
