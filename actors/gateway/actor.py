"""The gateway: listens, lets clients in, and keeps one connection actor for each.

A connection is a child of its own: what goes wrong in one is caught there; the others, the sessions and the listener
never hear of it. When the gateway itself is restarted its clients reconnect and resume; no session notices.

Limits, each with its reason where it is declared: handshakes under way (`entrance`), the head of one (`http_head`), its
time, the number of connections, the size of a message (settings); unread answers (`connection`); requests in hand
(settings).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import ssl
from collections.abc import Awaitable

import trio

from actors.gateway import registry
from actors.gateway.address import ListenRefusedError, UnixAddress, check_listen_address
from actors.gateway.audit import Audit
from actors.gateway.capability import load_or_make_token
from actors.gateway.certificate import server_context
from actors.gateway.configuration import Configuration
from actors.gateway.connection import Connection
from actors.gateway.dynamic_tools import Hosts
from actors.gateway.entrance import Entrance
from actors.gateway.house import House
from actors.gateway.http_head import Door
from actors.gateway.methods import ALL
from actors.gateway.notifications import WireEncoder
from actors.gateway.registry import TokenError
from actors.gateway.terms import Terms, with_lists
from actors.gateway.websocket import accept
from actors.kernel import Children, Context, Mailbox, Shutdown
from actors.ports.network import ByteStream, Listener
from messages.rules import RuleTrouble
from messages.settings import ListenSettings, Problem

logger = logging.getLogger(__name__)

PING_SECONDS = 30.0
"""A connection on which nothing was sent for so long gets a ping: home routers forget an idle TCP connection after a
few minutes, and a peer that died without a word is found out by what is sent to it. Nobody is cut for not answering: a
client that sleeps is slow, not dead."""


RECHECK_SECONDS = 5.0
"""How long a connection may outlive the token it came with."""

POLICY_VIOLATION = 1008
"""RFC 6455 §7.4.1."""


class Doorway:
    """The bound address with the rules for who may pass. Made once per daemon by `open_doorway`; `run` may be restarted
    on it, and clients that connect meanwhile wait in the backlog."""

    def __init__(
        self,
        house: House,
        terms: Terms,
        listener: Listener,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._house = house
        self._tls = tls
        self._terms = terms
        self._listener = listener
        self._gateway: Gateway | None = None
        """The one now alive."""

    @property
    def address(self) -> str:
        """``ws://HOST:PORT`` or ``wss://`` as bound (port 0 is resolved), or ``unix:///PATH``."""
        bound = self._listener.address
        scheme = "ws" if self._tls is None else "wss"
        return f"unix://{bound}" if bound.startswith("/") else f"{scheme}://{bound}"

    @property
    def token_required(self) -> bool:
        """Clients must show the token in ``$CALLBOARD_HOME/token``."""
        return self._terms.door.token is not None

    @property
    def connections(self) -> int:
        """How many clients are connected or about to be."""
        return 0 if self._gateway is None else self._gateway.guests

    @property
    def visits(self) -> int:
        """How many clients have come since the gateway (re)started."""
        return 0 if self._gateway is None else self._gateway.visits

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """The gateway actor: let clients in until told to end."""
        mailbox: Mailbox[Shutdown] = ctx.open_mailbox(capacity=8)
        gateway = self._gateway = Gateway(self._house, self._terms, self._tls)
        async with Children(ctx) as children:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(gateway.serve, self._listener, children)
                nursery.start_soon(gateway.ping)
                nursery.start_soon(gateway.follow_settings)
                nursery.start_soon(gateway.tell_of_rules)
                nursery.start_soon(gateway.send_away_the_revoked)
                nursery.start_soon(gateway.audit.run)
                ctx.shutdown_to(mailbox.address)
                ctx.state = f"listening on {self.address}"
                task_status.started()
                await mailbox.receive()  # there is only one thing we are ever told
                nursery.cancel_scope.cancel()
            children.cancel("the daemon is shutting down")

    async def aclose(self) -> None:
        """Listen no more."""
        await self._listener.aclose()


async def open_doorway(
    house: House, options: ListenSettings, *, plaintext_allowed: bool = False, token_file: str | None = None
) -> Doorway:
    """Bind. The token is the one in ``token_file``, or made in the home on first start.

    Raises ListenRefusedError when listening there would not be safe or is not possible; OSError for an unwritable home.
    """
    ports = house.ports
    address = check_listen_address(
        options.address,
        auth=options.auth,
        plaintext_allowed=plaintext_allowed,
        certificate=options.tls_certificate is not None,
    )
    if isinstance(address, UnixAddress):
        listener = await _listen(options.address, ports.network.listen_unix(address.path))
        return Doorway(house, Terms(options, Door(token=None), None), listener)
    token, key = None, None
    if options.auth:
        token = await load_or_make_token(ports, house.home, token_file)
        try:
            key = await ports.threads.run(registry.load_or_make_key, ports.files, ports.entropy, house.home)
        except (TokenError, ValueError) as error:
            raise ListenRefusedError(str(error)) from error
    tls = await ports.threads.run(server_context, options, house.home, ports.files) if address.tls else None
    listener = await _listen(options.address, ports.network.listen(address.host, address.port))
    door = with_lists(Door(token=token, key=key), options, address)
    return Doorway(house, Terms(options, door, address), listener, tls)


async def _listen(address: str, listening: Awaitable[Listener]) -> Listener:
    try:
        return await listening
    except OSError as error:
        who = " by another program or another callboard" if error.errno == errno.EADDRINUSE else ""
        raise ListenRefusedError(
            f"{error.strerror or f'cannot listen on {address}: {error}'}{who}; choose another address with --listen, "
            "for example ws://127.0.0.1:0 for any free port"
        ) from error


class Gateway:
    """What all connections share (`actors.gateway.caller.Gatehouse`)."""

    def __init__(self, house: House, terms: Terms, tls: ssl.SSLContext | None = None) -> None:
        self._terms = terms
        self.audit = Audit(house.ports, house.home)
        self._entrance = Entrance(house.ports, house.home, terms, self.audit, tls=tls)
        self._connections: dict[str, Connection] = {}
        self.visits = 0
        self.guests = 0
        """Clients that are connected or shaking hands."""
        self.house = house
        self.configuration = Configuration(house)
        self.hosts = Hosts()
        self.rule_troubles: tuple[RuleTrouble, ...] = ()
        self.encoder = WireEncoder(lambda: round(house.ports.clock.now() * 1000))

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def serve(self, listener: Listener, children: Children) -> None:
        """Let clients in, until the listener is closed."""
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                stream = await listener.accept()
                self.visits += 1
                id_ = f"connection-{self.visits}"
                guest = _Guest(self, id_, stream)
                children.start(id_, guest.run, kind="connection")

    async def ping(self) -> None:
        """Keep idle connections alive, until cancelled."""
        while True:
            await trio.sleep(PING_SECONDS)
            for connection in self._connections.values():
                outlet = connection.transport.outlet
                if not outlet.sent_since_ping and not outlet.pending:
                    connection.transport.ping()
                outlet.sent_since_ping = False

    async def follow_settings(self) -> None:
        """Take a change of the settings, and tell every client what is wrong with it, as soon as it is made; until
        cancelled."""
        told: frozenset[Problem] | None = None
        version = ""
        while True:
            snapshot = await self.configuration.after(version)
            version = snapshot.version
            self._terms.adopt(snapshot.settings.listen)
            problems = (*snapshot.broken, *snapshot.warnings)
            if told is not None:  # what was wrong before they came, clients are told when they come
                for connection in self._connections.values():
                    connection.warn(problem for problem in problems if problem not in told)
            told = frozenset(problems)

    async def tell_of_rules(self) -> None:
        """Tell every client what is wrong with the rules files, as soon as they are read; until cancelled."""
        while True:
            self.rule_troubles = await self.house.rules.troubles(self.rule_troubles)
            for connection in self._connections.values():
                connection.warn_of_rules(self.rule_troubles)

    async def attend(self, id_: str, stream: ByteStream, ctx: Context) -> None:
        """One connection, from its first byte to its last."""
        ctx.state = "handshake"
        self.guests += 1
        # A connection that is cancelled still says its last words through its carriers: they end when it is done, not
        # when it is cancelled. However it is done, also before it knows of them.
        carrying = trio.CancelScope(shield=True)
        try:
            with self.audit.visit(id_, stream.peer):
                async with trio.open_nursery() as nursery:
                    try:
                        carriers: trio.Nursery = await nursery.start(_carry, carrying)
                        connection = await self._shake_hands(id_, stream, carriers)
                        if connection is not None:
                            self._connections[id_] = connection
                            ctx.state = "connected"
                            await connection.run()
                    finally:
                        left = self._connections.pop(id_, None)
                        if left is not None:
                            self.audit.note("left", id_, who=left.identity, client=left.client)
                        carrying.cancel()
        finally:
            self.guests -= 1
            stream.close_now()

    async def _shake_hands(self, id_: str, stream: ByteStream, carriers: trio.Nursery) -> Connection | None:
        admitted = await self._entrance.admit(
            id_, stream, room=lambda: len(self._connections) < self._terms.options.max_connections
        )
        if admitted is None:
            return None
        with trio.move_on_after(self._terms.options.handshake_seconds):
            transport = await accept(
                carriers,
                admitted.stream,
                self.house.ports.network.rounds,
                admitted.head,
                max_message_bytes=self._terms.options.max_frame_bytes,
                peer=id_,
            )
            who = admitted.identity
            self.audit.note("connected", id_, who=who)
            return Connection(
                id_, transport, self, ALL, identity=who, max_in_flight=self._terms.options.max_requests_in_flight
            )
        return None

    async def send_away_the_revoked(self) -> None:
        """End the connections whose token counts no more, until cancelled."""
        while True:
            await trio.sleep(RECHECK_SECONDS)
            for id_, connection in tuple(self._connections.items()):
                if not await self._entrance.valid(connection.identity):
                    self.audit.note("refused", id_, who=connection.identity, reason="its token counts no more")
                    connection.send_away(POLICY_VIOLATION, "your token has expired or was revoked")


async def _carry(scope: trio.CancelScope, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """A nursery for the tasks that carry a transport's bytes, until ``scope`` is cancelled."""
    # Whoever was cancelled before we began never hears of the nursery, and waits for us: the shield must not hide that.
    await trio.lowlevel.checkpoint_if_cancelled()
    with scope:
        async with trio.open_nursery() as carriers:
            task_status.started(carriers)
            await trio.sleep_forever()


class _Guest:
    """One connection as a child."""

    def __init__(self, gateway: Gateway, id_: str, stream: ByteStream) -> None:
        self._gateway = gateway
        self._id = id_
        self._stream = stream

    async def run(self, ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await self._gateway.attend(self._id, self._stream, ctx)
        except Exception:
            logger.exception("%s ended by a defect", self._id)
            raise
