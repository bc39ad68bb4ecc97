"""The receiving end: two bounded lanes, drained in batches by one task.

Rules
1. A message takes the lane its type names. A batch holds all control messages first, then data; within a lane the
   order is that in which `send` took them. So control waits for at most the batch now in hand, never behind data.
2. Both lanes are bounded. What happens when the data lane is full is declared here, where the mailbox is made, because
   it is a property of what is sent, not of who sends: WAIT (senders wait their turn, first come first served), REJECT,
   COALESCE (the newest waiting message and the new one become one, without loss; what cannot be merged waits).
3. The kernel's own signals and the replies this actor asked for are taken beyond the bound: there are never more of
   them than the actor itself asked for, and losing one would be a lie.
4. A receive is one checkpoint however many messages it brings. A cancelled receive takes nothing out.
5. When the mailbox closes, everybody learns: waiting askers, waiting senders, watchers; what nobody read is counted.

Lists, not deques: a batch is taken by handing out the list itself and putting an empty one in its place, and two empty
deques cost 1.2 KB per idle actor where two lists cost 112 bytes. Rejected: trio's memory channel (one lane, one item
per checkpoint, no way to see or refuse what is queued), an unbounded control lane.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from actors.kernel.address import Address
from actors.kernel.errors import MailboxFullError
from actors.kernel.reply import Reply
from actors.kernel.signals import Down, DownReason
from messages.base import Lane, Message

if TYPE_CHECKING:
    from actors.kernel.system import System
    from actors.kernel.watch import Watch

M = TypeVar("M", bound=Message)

DEFAULT_CAPACITY = 256
"""Data messages. A few milliseconds of work for an actor: more would only hide that it is slow."""

CONTROL_CAPACITY = 1024
"""Control messages: people and supervisors send them, so reaching this means the actor is stuck, not busy."""

MAX_BATCH = 64
"""At some 20 µs each a batch stays near a millisecond, the longest that a control message then waits."""

_CONTROL = Lane.CONTROL
_CLOSED = -1
"""As a lane's limit: never any room, so the fast path of `send_nowait` needs no test of its own for a dead mailbox."""


class Full(enum.Enum):
    """What a full data lane does with one more message."""

    WAIT = "wait"
    REJECT = "reject"
    COALESCE = "coalesce"


class Mailbox(Generic[M]):
    """One actor's inbox, in one of its lives. Made by `Context.open_mailbox`; closed when the actor ends.

    ``mailbox.address`` is its sending end.
    """

    __slots__ = (
        "_asks",
        "_busy_since",
        "_coalesce",
        "_control",
        "_control_limit",
        "_control_senders",
        "_data",
        "_data_senders",
        "_limit",
        "_peak",
        "_policy",
        "_receiver",
        "_room_callbacks",
        "_watchers",
        "_watching",
        "address",
        "capacity",
        "incarnation",
        "name",
        "received",
        "system",
    )

    def __init__(
        self, name: str, *, system: System, capacity: int, policy: Full, coalesce: Callable[[M, M], M | None] | None
    ) -> None:
        if capacity < 1:
            raise ValueError(f"the mailbox of {name!r} needs a capacity of at least 1, not {capacity}")
        if (policy is Full.COALESCE) != (coalesce is not None):
            raise ValueError(f"the mailbox of {name!r}: Full.COALESCE and a coalesce function go together")
        self.name = name
        self.system = system
        self.incarnation = system.next_incarnation()
        """Unique in the system and growing: no two lives of any actor share one."""
        self.address: Address[M] = Address(self)
        self.capacity = capacity
        self.received = 0
        """How many messages were taken out, ever."""
        self._policy = policy
        self._coalesce = coalesce
        self._limit = capacity
        self._control_limit = CONTROL_CAPACITY
        self._control: list[tuple[M, Reply | None]] = []
        self._data: list[tuple[M, Reply | None]] = []
        self._receiver: trio.lowlevel.Task | None = None
        self._data_senders: OrderedDict[trio.lowlevel.Task, tuple[M, Reply | None]] | None = None
        self._control_senders: OrderedDict[trio.lowlevel.Task, tuple[M, Reply | None]] | None = None
        self._room_callbacks: list[Callable[[], None]] | None = None
        self._asks: dict[Reply, None] = {}
        self._watchers: dict[Watch, None] | None = None
        self._watching: dict[Watch, None] | None = None
        self._peak = 0
        self._busy_since: float | None = None

    # --- receiving --------------------------------------------------------------------------------------------------

    async def receive(self) -> list[tuple[M, Reply | None]]:
        """Wait for messages and take up to `MAX_BATCH` of them: control first, then data, each in order.

        Each comes with the right to reply if it was asked, with None if it was told. One checkpoint; cancelled, it
        takes nothing. Raises trio.ClosedResourceError after `close`.
        """
        self._busy_since = None
        if self._control or self._data:
            await trio.lowlevel.checkpoint()
        else:
            if self._receiver is not None:
                raise trio.BusyResourceError(f"two tasks receive from the mailbox of {self.name!r}; only its actor may")
            if self._limit == _CLOSED:
                raise trio.ClosedResourceError(f"the mailbox of {self.name!r} is closed")
            self._receiver = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_receive)
            if self._limit == _CLOSED:
                raise trio.ClosedResourceError(f"the mailbox of {self.name!r} was closed")
        self._busy_since = trio.current_time()
        return self._drain()

    def receive_nowait(self) -> list[tuple[M, Reply | None]]:
        """What is there now, as `receive` would give it; empty if nothing is."""
        return self._drain() if self._control or self._data else []

    def _abort_receive(self, _: object) -> trio.lowlevel.Abort:
        self._receiver = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _drain(self) -> list[tuple[M, Reply | None]]:
        control, data = self._control, self._data
        depth = len(control) + len(data)
        # Between two drains the depth only grows, so its peaks are all seen here and `send` need not look.
        if depth > self._peak:
            self._peak = depth
        if depth <= MAX_BATCH:
            if not control:
                batch = data
                self._data = []
            else:
                batch = control
                batch.extend(data)
                self._control = []
                data.clear()
        else:
            batch = control[:MAX_BATCH]
            del control[:MAX_BATCH]
            # At least one data message even then, so that a flood of control cannot starve data.
            take = max(1, MAX_BATCH - len(batch))
            batch.extend(data[:take])
            del data[:take]
        self.received += len(batch)
        if self._asks:
            for _, reply in batch:
                if reply is not None:
                    reply.delivered = True
        if self._control_senders:
            self._admit(self._control_senders, self._control, self._control_limit)
        if self._data_senders:
            self._admit(self._data_senders, self._data, self._limit)
        if self._room_callbacks:
            self._tell_of_room()
        return batch

    # --- taking in --------------------------------------------------------------------------------------------------

    def _offer(self, message: M, reply: Reply | None) -> bool:
        """Take a message in if its lane has room. False: it has none, the caller may wait. Raises MailboxFullError."""
        if type(message).lane is _CONTROL:
            lane, limit = self._control, self._control_limit
        else:
            lane, limit = self._data, self._limit
        if len(lane) < limit:
            self._put(lane, message, reply)
            return True
        if limit == _CLOSED:
            self._refuse_dead(message, reply)
            return True
        if self._policy is Full.REJECT:
            raise MailboxFullError(self.name, limit)
        # Behind senders that wait it waits too: merged into the lane it would overtake them.
        if self._coalesce is not None and reply is None and lane is self._data and not self._data_senders:
            newest, asked = lane[-1]
            if asked is None:
                merged = self._coalesce(newest, message)
                if merged is not None:
                    lane[-1] = (merged, None)
                    return True
        return False

    def _put(self, lane: list[tuple[M, Reply | None]], message: M, reply: Reply | None) -> None:
        lane.append((message, reply))
        if reply is not None:
            self._asks[reply] = None
        self._wake()

    def _deliver(self, message: Any) -> bool:
        """Take in a signal or a reply, beyond the bound. False if the mailbox is closed (then it is dropped)."""
        if self._limit == _CLOSED:
            return False
        lane = self._control if type(message).lane is _CONTROL else self._data
        lane.append((message, None))
        self._wake()
        return True

    def _deliver_request(self, message: Any, reply: Reply) -> None:
        """Take in a request that an earlier life had accepted already, beyond the bound."""
        self._put(self._control if type(message).lane is _CONTROL else self._data, message, reply)

    async def _offer_or_wait(self, message: M, reply: Reply | None) -> None:
        """Take a message in, waiting for room if need be. Cancelled, it has not been taken in."""
        if self._offer(message, reply):
            return
        task = trio.lowlevel.current_task()
        if type(message).lane is _CONTROL:
            if self._control_senders is None:
                self._control_senders = OrderedDict()
            senders = self._control_senders
        else:
            if self._data_senders is None:
                self._data_senders = OrderedDict()
            senders = self._data_senders
        senders[task] = (message, reply)

        def abort(_: object) -> trio.lowlevel.Abort:
            del senders[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _admit(
        self,
        senders: OrderedDict[trio.lowlevel.Task, tuple[M, Reply | None]],
        lane: list[tuple[M, Reply | None]],
        limit: int,
    ) -> None:
        """Take in what waiting senders hold, first come first served; newcomers cannot overtake a full lane."""
        while senders and len(lane) < limit:
            task, (message, reply) = senders.popitem(last=False)
            lane.append((message, reply))
            if reply is not None:
                self._asks[reply] = None
            trio.lowlevel.reschedule(task)

    def _wake(self) -> None:
        task = self._receiver
        if task is not None:
            self._receiver = None
            trio.lowlevel.reschedule(task)

    def _refuse_dead(self, message: M, reply: Reply | None) -> None:
        if reply is None:
            self.system.dead_letters.add(self.name, self.incarnation, message, "dead")
        else:
            reply._down("noproc", "")

    def _has_room(self) -> bool:
        return len(self._data) < self._limit or self._limit == _CLOSED

    def _on_room(self, callback: Callable[[], None]) -> None:
        if self._has_room():
            callback()
        elif self._room_callbacks is None:
            self._room_callbacks = [callback]
        else:
            self._room_callbacks.append(callback)

    def _tell_of_room(self) -> None:
        callbacks = self._room_callbacks
        self._room_callbacks = None
        while callbacks and self._has_room():
            callbacks.pop(0)()
        if callbacks:  # one of them used up the room: the rest go on waiting, ahead of whoever registered meanwhile
            self._room_callbacks = callbacks + (self._room_callbacks or [])

    # --- the end ----------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether this life is over."""
        return self._limit == _CLOSED

    def close(self, reason: DownReason = "normal", detail: str = "") -> None:
        """End this life: tell waiting askers and watchers, count what nobody read. May be called twice."""
        if self._limit == _CLOSED:
            return
        self._limit = self._control_limit = _CLOSED
        unread = self._control + self._data
        self._control, self._data = [], []
        letters = self.system.dead_letters
        for message, reply in unread:
            if reply is None and type(message) is not Down:
                letters.add(self.name, self.incarnation, message, "unread")
        asks, self._asks = self._asks, {}
        for reply in asks:
            reply._down(reason, detail)
        for senders in (self._control_senders, self._data_senders):
            while senders:
                task, (message, reply) = senders.popitem(last=False)
                if reply is None:
                    letters.add(self.name, self.incarnation, message, "dead")
                else:
                    reply._down(reason, detail)
                trio.lowlevel.reschedule(task)
        callbacks, self._room_callbacks = self._room_callbacks, None
        for callback in callbacks or ():
            callback()
        watching, self._watching = self._watching, None
        for watch in watching or ():
            watch._forget()
        watchers, self._watchers = self._watchers, None
        for watch in watchers or ():
            watch._fire(reason, detail)
        self._wake()

    # --- for the tree -----------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Messages waiting now, both lanes."""
        return len(self._control) + len(self._data)

    @property
    def peak(self) -> int:
        """The most that ever waited."""
        return max(self._peak, self.depth)

    @property
    def busy_since(self) -> float | None:
        """When the batch now in hand was taken (trio's clock), None while the actor waits for messages."""
        return self._busy_since

    def __repr__(self) -> str:
        return f"<Mailbox {self.name}#{self.incarnation}, {self.depth} waiting>"


def open_mailbox(
    name: str,
    *,
    system: System,
    capacity: int = DEFAULT_CAPACITY,
    policy: Full = Full.WAIT,
    coalesce: Callable[[M, M], M | None] | None = None,
) -> Mailbox[M]:
    """A mailbox that belongs to no actor of the tree (a test, a client); whoever opens it closes it.

    ``capacity`` bounds the data lane, in messages. ``coalesce(newest_waiting, new)`` returns both as one message, or
    None if they cannot be merged without loss. Actors use `Context.open_mailbox`, which closes it when they end.
    """
    return Mailbox(name, system=system, capacity=capacity, policy=policy, coalesce=coalesce)
