"""An actor's place in the tree: what it is called, what it may open there, and what others can see of it.

One context per supervised child, kept through its restarts; each life opens its own mailboxes, and whoever runs the
life ends it (`end_life`), which closes them and so tells every asker and watcher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from actors.kernel.address import Address
from actors.kernel.dead_letters import DeadLetters
from actors.kernel.directory import Directory, M, Service, ServiceAddress
from actors.kernel.mailbox import DEFAULT_CAPACITY, Full, Mailbox
from actors.kernel.poison import Poison
from actors.kernel.signals import Down, DownReason, Shutdown
from actors.kernel.system import System
from actors.kernel.tree import Node
from actors.kernel.watch import Watch, watch

FAILURE_TEXT_CHARS = 500
"""Of an exception's text, in the tree: enough to recognise it; the traceback is in the supervisor's report."""


class Context:
    """Handed to every actor as ``ctx``."""

    __slots__ = (
        "_boxes",
        "_children",
        "_label",
        "_on_stuck",
        "_phase",
        "_poison",
        "_services",
        "_shutdown_to",
        "id",
        "kind",
        "last_failure",
        "parent",
        "restarts",
        "system",
    )

    def __init__(self, system: System, id_: str, *, parent: Context | None = None, kind: str = "actor") -> None:
        self.system = system
        self.id = id_
        self.kind = kind
        self.parent = parent
        self.restarts = 0
        self.last_failure: str | None = None
        self._phase = "starting"
        self._label: str | None = None
        self._boxes: tuple[Mailbox[Any], ...] = ()
        self._children: dict[str, Context] | None = None
        self._shutdown_to: Address[Shutdown] | None = None
        self._services: tuple[str, ...] = ()
        self._poison: Poison | None = None
        self._on_stuck: Callable[[], None] | None = None

    # --- for the actor ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The path in the tree, e.g. ``root/sessions/0196…``: unique, and the default name of its mailboxes."""
        return self.id if self.parent is None else f"{self.parent.name}/{self.id}"

    @property
    def directory(self) -> Directory:
        return self.system.directory

    @property
    def dead_letters(self) -> DeadLetters:
        return self.system.dead_letters

    @property
    def state(self) -> str:
        """What the tree shows: the actor's own word for what it is doing, else its supervisor's."""
        return self._label if self._label is not None and self._phase == "running" else self._phase

    @state.setter
    def state(self, label: str) -> None:
        self._label = label

    def open_mailbox(
        self,
        name: str | None = None,
        *,
        capacity: int = DEFAULT_CAPACITY,
        policy: Full = Full.WAIT,
        coalesce: Callable[[M, M], M | None] | None = None,
    ) -> Mailbox[M]:
        """A mailbox for this life of the actor, closed when it ends: ``inbox: Mailbox[Command] = ctx.open_mailbox()``.

        ``capacity`` bounds its data lane; see `Full` for ``policy`` and `kernel.mailbox.open_mailbox` for ``coalesce``.
        """
        box: Mailbox[M] = Mailbox(
            self.name if name is None else name,
            system=self.system,
            capacity=capacity,
            policy=policy,
            coalesce=coalesce,
        )
        self._boxes = (*(kept for kept in self._boxes if not kept.closed), box)
        return box

    def publish(self, service: Service[M], address: Address[M]) -> None:
        """Make this life what the service's name leads to; the last thing before ``task_status.started``."""
        self.system.directory.publish(service, address)
        if service.name not in self._services:
            self._services = (*self._services, service.name)

    def watch(self, target: Address[Any] | ServiceAddress[Any], *, to: Address[Down]) -> Watch:
        """Have one `Down` sent to ``to`` when the target's (present) life ends; at once if there is none."""
        current = target.current if isinstance(target, ServiceAddress) else target
        return watch(current, to=to, name=target.name)

    def shutdown_to(self, address: Address[Shutdown]) -> None:
        """Be asked to end by a `Shutdown` to ``address`` before being cancelled. Without it: just cancelled."""
        self._shutdown_to = address

    @property
    def poison(self) -> Poison:
        """The inputs that crashed earlier lives of this actor."""
        if self._poison is None:
            self._poison = Poison()
        return self._poison

    # --- for whoever runs it ----------------------------------------------------------------------------------------

    def child(self, id_: str, *, kind: str = "actor") -> Context:
        """A place below this one. Raises ValueError if ``id_`` is taken."""
        if self._children is None:
            self._children = {}
        if id_ in self._children:
            raise ValueError(f"{self.name!r} already has a child {id_!r}")
        context = Context(self.system, id_, parent=self, kind=kind)
        self._children[id_] = context
        return context

    def remove_child(self, id_: str) -> None:
        """The child is gone for good: its place, and the service names it had published."""
        if self._children is not None:
            gone = self._children.pop(id_, None)
            if gone is not None:
                gone.retire()

    def retire(self) -> None:
        """No further life will come: whoever waits for one of its services is told."""
        for name in self._services:
            self.system.directory.retire(name)
        self._services = ()

    def set_phase(self, phase: str) -> None:
        """Where the supervisor has it."""
        self._phase = phase

    def on_stuck(self, callback: Callable[[], None]) -> None:
        """Be told when this child, a supervisor, waits for nothing but stuck children of its own."""
        self._on_stuck = callback

    def say_stuck(self) -> None:
        """Everything here has ended but what cannot be ended."""
        self._phase = "stuck"
        if self._on_stuck is not None:
            self._on_stuck()

    def request_shutdown(self, grace_seconds: float) -> bool:
        """Ask the actor to end. False: it takes no such message and has to be cancelled."""
        to = self._shutdown_to
        return to is not None and to._box._deliver(Shutdown(grace_seconds=grace_seconds))

    def end_life(self, reason: DownReason, error: BaseException | None = None) -> str | None:
        """The actor has ended: close its mailboxes. Returns the key of a message that is now quarantined for it."""
        detail = ""
        quarantined = None
        if error is not None:
            detail = type(error).__name__
            self.last_failure = failure_text(error)
            if self._poison is not None:
                quarantined = self._poison.crashed()
        elif self._poison is not None:
            self._poison.end()
        boxes, self._boxes = self._boxes, ()
        for box in boxes:
            box.close(reason, detail)
        self._shutdown_to = None
        self._label = None
        # The names its children had published come back with its next life, or are retired with its place.
        for child in (self._children or {}).values():
            self._services += tuple(name for name in child._services if name not in self._services)
        self._children = None
        return quarantined

    def snapshot(self) -> Node:
        """This actor and everything below it, now. Call it from a trio task."""
        return self._snapshot(trio.current_time())

    def _snapshot(self, now: float) -> Node:
        ages = [now - box.busy_since for box in self._boxes if box.busy_since is not None]
        return Node(
            id=self.id,
            kind=self.kind,
            state=self.state,
            mailbox_depth=sum(box.depth for box in self._boxes),
            mailbox_peak=max((box.peak for box in self._boxes), default=0),
            message_age_seconds=max(ages, default=None),
            restarts=self.restarts,
            last_failure=self.last_failure,
            children=tuple(child._snapshot(now) for child in (self._children or {}).values()),
        )

    def __repr__(self) -> str:
        return f"<Context {self.name}, {self.state}>"


def failure_text(error: BaseException) -> str:
    """One line for the tree; of a group, its first leaf and how many there are."""
    leaf = error
    leaves = 1
    while isinstance(leaf, BaseExceptionGroup):
        leaves = max(leaves, len(leaf.exceptions))
        leaf = leaf.exceptions[0]
    text = f"{type(leaf).__name__}: {leaf}"[:FAILURE_TEXT_CHARS]
    return text if leaves == 1 else f"{text} (and {leaves - 1} more)"
