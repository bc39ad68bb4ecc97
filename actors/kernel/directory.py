"""Names that outlive their actors: a service name leads to whichever life of the service goes on now.

A `Service` is a typed key, declared once beside the actor's messages. The actor publishes its address under it just
before it says that it has started; `Directory.address` gives out a `ServiceAddress`, which looks the name up at each
use. While a service is between two lives its callers wait (bounded by their own cancel scope) instead of failing:

* An `ask` or `request` that the dead life never looked at certainly had no effect: it goes to the successor.
* One that it had in hand goes to the successor only if its type is `Delivery.RETRY_SAFE`. For `Delivery.ONCE` the
  asker gets OutcomeUnknownError (a `request`: an `Unanswered`), because it may or may not have taken effect.
* A `send` waits for the successor; what the dead life had queued is a dead letter. A tell promises nothing more.

A name that nobody expects, or whose supervisor has given up (`retire`), fails at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import trio

from actors.kernel.address import A, Address, R, S
from actors.kernel.errors import DownError, NameTakenError, OutcomeUnknownError
from actors.kernel.reply import RequestReply
from actors.kernel.signals import DownReason, Unanswered
from messages.base import Delivery, Message

if TYPE_CHECKING:
    from actors.kernel.system import System

M = TypeVar("M", bound=Message)
M_contra = TypeVar("M_contra", bound=Message, contravariant=True)

PARKED_REQUESTS = 1024
"""Requests that may wait for one service's next life; beyond it the asker keeps them, as with a full mailbox."""


class Service(Generic[M]):
    """A service's name with the type of message it takes: ``CLOCK: Service[ClockCommand] = Service("clock")``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Service({self.name!r})"


class _Entry:
    """What the directory knows of one name."""

    __slots__ = ("address", "parked", "room_callbacks", "waiters")

    def __init__(self) -> None:
        self.address: Address[Any] | None = None
        self.waiters: OrderedDict[trio.lowlevel.Task, None] = OrderedDict()
        self.parked: list[tuple[Message, Address[Any]]] = []
        self.room_callbacks: list[Callable[[], None]] = []

    @property
    def live(self) -> Address[Any] | None:
        address = self.address
        return address if address is not None and address.alive else None


class Directory:
    """The service names of one system."""

    __slots__ = ("_entries", "_system")

    def __init__(self, system: System) -> None:
        self._system = system
        self._entries: dict[str, _Entry] = {}

    def address(self, service: Service[M]) -> ServiceAddress[M]:
        """An address that follows the service through its lives. Needs no live service."""
        return ServiceAddress(self, service.name)

    def resolve(self, service: Service[M]) -> Address[M] | None:
        """The address of the life that goes on now, if one does."""
        entry = self._entries.get(service.name)
        return entry.live if entry else None

    def expect(self, service: Service[Any]) -> None:
        """Say that somebody will publish this name: until then its callers wait rather than fail."""
        self._entry(service.name)

    def publish(self, service: Service[M], address: Address[M]) -> None:
        """Make ``address`` what the name leads to. Raises NameTakenError while another life under it goes on."""
        entry = self._entry(service.name)
        if entry.live is not None and entry.live is not address:
            raise NameTakenError(service.name)
        entry.address = address
        parked, entry.parked = entry.parked, []
        for request, reply_to in parked:
            # They had been accepted once, so they do not compete for room again, and keep their order.
            self._request(service.name, address, request, reply_to, beyond_bound=True)
        self._wake(entry)

    def retire(self, name: str) -> None:
        """No further life will come: whoever waits for one is told, and later callers fail at once."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._wake(entry)
        for request, reply_to in entry.parked:
            reply_to._box._deliver(
                Unanswered(
                    request=request, name=name, reason="noproc", delivered=False, detail="its supervisor gave up"
                )
            )

    def names(self) -> tuple[str, ...]:
        """Every name somebody has published or expects."""
        return tuple(self._entries)

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
        return entry

    def _wake(self, entry: _Entry) -> None:
        waiters, entry.waiters = entry.waiters, OrderedDict()
        for task in waiters:
            trio.lowlevel.reschedule(task)
        callbacks, entry.room_callbacks = entry.room_callbacks, []
        for callback in callbacks:
            if entry.live is not None:
                entry.live.on_room(callback)
            else:
                callback()

    async def _current(self, name: str) -> Address[Any]:
        """The live address, waiting for one. Raises DownError when none will come."""
        while True:
            entry = self._entries.get(name)
            if entry is None:
                raise DownError(name, 0, "noproc", delivered=False)
            live = entry.live
            if live is not None:
                return live
            task = trio.lowlevel.current_task()
            waiters = entry.waiters
            waiters[task] = None

            def abort(
                _: object,
                waiters: OrderedDict[trio.lowlevel.Task, None] = waiters,
                task: trio.lowlevel.Task = task,
            ) -> trio.lowlevel.Abort:
                del waiters[task]
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)

    def _request(
        self, name: str, address: Address[Any], request: Message, reply_to: Address[Any], *, beyond_bound: bool = False
    ) -> bool:
        box = address._box
        reply = _ServiceReply(self, name, address, request, reply_to)
        if beyond_bound and not box.closed:
            box._deliver_request(request, reply)
            return True
        return box._offer(request, reply)

    def _again(self, name: str, request: Message, reply_to: Address[Any]) -> bool:
        """Keep a request for the next life, or give it to one that is already there. False: none will come."""
        entry = self._entries.get(name)
        if entry is None:
            return False
        if entry.live is not None:
            self._request(name, entry.live, request, reply_to, beyond_bound=True)
        else:
            entry.parked.append((request, reply_to))
        return True


class _ServiceReply(RequestReply):
    """The reply to a request sent to a name: if its actor ends, it may move to the successor."""

    __slots__ = ("_directory", "_name")

    def __init__(
        self, directory: Directory, name: str, address: Address[Any], request: Message, to: Address[Any]
    ) -> None:
        super().__init__(address._box, request, to)
        self._directory = directory
        self._name = name

    def _end(self, reason: DownReason, detail: str) -> None:
        may_repeat = not self.delivered or type(self._request).delivery is Delivery.RETRY_SAFE
        if not (may_repeat and self._to.alive and self._directory._again(self._name, self._request, self._to)):
            super()._end(reason, detail)


class ServiceAddress(Generic[M_contra]):
    """The sending end of a service, through all its lives. Same verbs as `Address`."""

    __slots__ = ("_directory", "name")

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self.name = name

    @property
    def current(self) -> Address[M_contra] | None:
        """The life that goes on now; to watch it, or to hold to it."""
        entry = self._directory._entries.get(self.name)
        return entry.live if entry else None

    async def wait_current(self) -> Address[M_contra]:
        """The life that goes on, or the next. Raises DownError when none will come."""
        await trio.lowlevel.checkpoint()
        return await self._directory._current(self.name)

    def send_nowait(self, message: M_contra) -> bool:
        """As `Address.send_nowait`; between two lives False: the sender keeps the message and may use `on_room`."""
        entry = self._directory._entries.get(self.name)
        if entry is None:
            self._directory._system.dead_letters.add(self.name, 0, message, "nobody")
            return True
        live = entry.live
        return live.send_nowait(message) if live is not None else False

    async def send(self, message: M_contra) -> None:
        """As `Address.send`; between two lives it waits for the next one. Raises DownError when none will come."""
        address = self.current or await self.wait_current()
        await address.send(message)

    def has_room(self) -> bool:
        """Whether `send_nowait` would keep nothing back."""
        entry = self._directory._entries.get(self.name)
        return entry is None or (entry.live is not None and entry.live.has_room())

    def on_room(self, callback: Callable[[], None]) -> None:
        """As `Address.on_room`; between two lives ``callback`` waits for the next one."""
        entry = self._directory._entries.get(self.name)
        if entry is None:
            callback()
        elif entry.live is not None:
            entry.live.on_room(callback)
        else:
            entry.room_callbacks.append(callback)

    @overload
    async def ask(self, message: M_contra) -> None: ...
    @overload
    async def ask(self, message: M_contra, returns: type[R]) -> R: ...
    @overload
    async def ask(self, message: M_contra, returns: tuple[type[R], type[S]]) -> R | S: ...

    async def ask(self, message: M_contra, returns: Any = NoneType) -> Any:
        """As `Address.ask`, but it survives the service's restart where that is safe (see the module's head).

        Raises OutcomeUnknownError when a life ended with a `Delivery.ONCE` request in hand; DownError when no further
        life will come.
        """
        while True:
            address = self.current or await self.wait_current()
            try:
                return await address.ask(message, returns)
            except DownError as down:
                if down.incarnation != address.incarnation:
                    raise  # the service itself failed the request because another actor was down
                if down.delivered and type(message).delivery is Delivery.ONCE:
                    raise OutcomeUnknownError(self.name, type(message).__name__) from down

    def request_nowait(self, message: M_contra, *, reply_to: Address[A | Unanswered]) -> bool:
        """As `Address.request_nowait`; between two lives it is kept for the next one (at most `PARKED_REQUESTS`)."""
        entry = self._directory._entries.get(self.name)
        if entry is None:
            reply_to._box._deliver(Unanswered(request=message, name=self.name, reason="noproc", delivered=False))
            return True
        live = entry.live
        if live is not None:
            return self._directory._request(self.name, live, message, reply_to)
        if len(entry.parked) >= PARKED_REQUESTS:
            return False
        entry.parked.append((message, reply_to))
        return True

    def __repr__(self) -> str:
        return f"<ServiceAddress {self.name}>"
