"""The sending end. It names one life of one actor: a stale address never reaches a successor.

`Address` is contravariant: an ``Address[StartTurn | InterruptTurn]`` is an ``Address[InterruptTurn]``, so an actor can
be handed just the part of another that it may use.

A *tell* (`send`) promises nothing but order: to a dead actor it goes to the dead letters. Who must know, asks.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import trio

from actors.kernel.errors import ReplyTypeError
from actors.kernel.reply import AskReply, RequestReply
from actors.kernel.signals import Unanswered
from messages.base import Lane, Message

if TYPE_CHECKING:
    from actors.kernel.mailbox import Mailbox

M_contra = TypeVar("M_contra", bound=Message, contravariant=True)
R = TypeVar("R")
S = TypeVar("S")
A = TypeVar("A", bound=Message)

_DATA = Lane.DATA


class Address(Generic[M_contra]):
    """Where one actor can be reached, in one of its lives. Made with its mailbox; compared by identity."""

    __slots__ = ("__weakref__", "_box")

    def __init__(self, box: Mailbox[Any]) -> None:
        self._box = box

    @property
    def name(self) -> str:
        """The actor's name, shared by all its lives."""
        return self._box.name

    @property
    def incarnation(self) -> int:
        """Which life; unique in the system."""
        return self._box.incarnation

    @property
    def alive(self) -> bool:
        """Whether this life still goes on."""
        return not self._box.closed

    # --- tell -------------------------------------------------------------------------------------------------------

    def send_nowait(self, message: M_contra) -> bool:
        """Put ``message`` into the mailbox. False, and only then, the lane is full and the sender keeps the message.

        True also when the actor is dead: the message is then a dead letter, and trying again would not help. A full
        mailbox whose policy is REJECT raises MailboxFullError.
        """
        box = self._box
        if type(message).lane is _DATA and len(box._data) < box._limit:
            box._data.append((message, None))
            if box._receiver is not None:
                box._wake()
            return True
        return box._offer(message, None)

    async def send(self, message: M_contra) -> None:
        """Put ``message`` into the mailbox, waiting for room. Cancelled, it was not sent. Raises MailboxFullError."""
        await trio.lowlevel.checkpoint_if_cancelled()
        box = self._box
        if box._offer(message, None):
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await box._offer_or_wait(message, None)

    def has_room(self) -> bool:
        """Whether one more data message would be taken now (by a dead actor: yes, as a dead letter)."""
        return self._box._has_room()

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when `has_room`: at once if it has, also when the actor ends.

        It runs in the receiver's task: it must not raise or block, and may `send_nowait`.
        """
        self._box._on_room(callback)

    # --- ask --------------------------------------------------------------------------------------------------------

    @overload
    async def ask(self, message: M_contra) -> None: ...
    @overload
    async def ask(self, message: M_contra, returns: type[R]) -> R: ...
    @overload
    async def ask(self, message: M_contra, returns: tuple[type[R], type[S]]) -> R | S: ...

    async def ask(self, message: M_contra, returns: type[Any] | tuple[type[Any], ...] = NoneType) -> Any:
        """Send ``message`` and wait for its reply, which is one of the types ``returns`` names (default: None).

        The deadline is the caller's cancel scope; cancelled, the reply will be dropped. Raises what the actor chose
        to `fail` with; DownError when it ends first (its ``delivered`` tells whether the request was looked at);
        MailboxFullError; ReplyTypeError, a bug, for a reply of another type.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        box = self._box
        reply = AskReply(box)
        await box._offer_or_wait(message, reply)
        value = await reply.wait()
        if not isinstance(value, returns):
            wanted = returns.__name__ if isinstance(returns, type) else " or ".join(kind.__name__ for kind in returns)
            raise ReplyTypeError(box.name, type(message).__name__, wanted, type(value).__name__)
        return value

    def request_nowait(self, message: M_contra, *, reply_to: Address[A | Unanswered]) -> bool:
        """Ask without waiting: the reply, or one `Unanswered`, comes as a message to ``reply_to``.

        False, and only then, the lane is full and nothing was sent. Raises MailboxFullError.
        """
        box = self._box
        return box._offer(message, RequestReply(box, message, reply_to))

    async def request(self, message: M_contra, *, reply_to: Address[A | Unanswered]) -> None:
        """`request_nowait`, waiting for room. Cancelled, it was not sent."""
        await trio.lowlevel.checkpoint_if_cancelled()
        box = self._box
        reply = RequestReply(box, message, reply_to)
        if box._offer(message, reply):
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await box._offer_or_wait(message, reply)

    def __repr__(self) -> str:
        return f"<Address {self._box.name}#{self._box.incarnation}{'' if self.alive else ', dead'}>"
