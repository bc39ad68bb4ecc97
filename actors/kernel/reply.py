"""The right to reply once. Whoever took a request out of its mailbox holds one, now or after ten other messages.

A reply goes straight to who waits for it, never through a queue that could be full:

* `ask` parks the asker's task; the reply wakes it. If the asker has gone (its deadline passed, it was cancelled) the
  reply is dropped and counted.
* `request` has the reply delivered as a message into the asker's own mailbox, beyond its bound: the bound is what the
  asker chose to have outstanding. This is how an actor asks a neighbour without ever awaiting inside its loop.

If the asked actor ends first, the kernel settles the reply with how it ended. A holder that forgets to reply keeps
its asker waiting for no longer than the asker's cancel scope, or the actor's life.

Rejected: a one-shot memory channel per ask (three objects, 12 µs; this is one object).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import trio

from actors.kernel.errors import DownError, SecondReplyError
from actors.kernel.signals import DownReason, Unanswered
from messages.base import Message

if TYPE_CHECKING:
    from actors.kernel.address import Address
    from actors.kernel.mailbox import Mailbox

_WAITING: Final = 0
_SETTLED: Final = 1
_GONE: Final = 2


class Reply(ABC):
    """Reply once with `answer` or `fail`. An opaque, hashable token: a pure core may keep it in its state."""

    __slots__ = ("_box", "_state", "delivered")

    def __init__(self, box: Mailbox[Any]) -> None:
        self._box = box
        self._state = _WAITING
        self.delivered = False
        """Whether the asked actor has taken the request out of its mailbox."""

    def answer(self, value: object = None) -> bool:
        """Reply with ``value``; False if nobody waits for it any more.

        A second reply is our bug: `SecondReplyError` in a strict system, counted in the dead letters otherwise.
        """
        return self._settle() and self._resolve(value)

    def fail(self, error: Exception) -> bool:
        """Reply by raising ``error`` in the asker (of a `request`: an `Unanswered`); False if nobody waits."""
        return self._settle() and self._reject(error)

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it: worth asking before expensive work."""
        return self._state == _WAITING

    def _settle(self) -> bool:
        state = self._state
        if state == _WAITING:
            self._state = _SETTLED
            self._box._asks.pop(self, None)
            return True
        letters = self._box.system.dead_letters
        if state == _GONE:
            letters.late_replies += 1
            self._state = _SETTLED
            return False
        letters.second_replies += 1
        if self._box.system.strict:
            raise SecondReplyError(self._box.name)
        return False

    def _down(self, reason: DownReason, detail: str) -> None:
        """The asked actor ended. The kernel's settling; a reply that its holder tries later counts as late."""
        if self._state == _WAITING:
            self._state = _GONE
            self._end(reason, detail)

    @abstractmethod
    def _resolve(self, value: object) -> bool:
        """Hand over the reply; False if nobody is there to take it."""

    @abstractmethod
    def _reject(self, error: Exception) -> bool:
        """Hand over a refusal; False if nobody is there to take it."""

    @abstractmethod
    def _end(self, reason: DownReason, detail: str) -> None:
        """Hand over that the asked actor ended first."""

    def __repr__(self) -> str:
        return f"<Reply of {self._box.name}#{self._box.incarnation}>"


class AskReply(Reply):
    """Wakes the task that asked."""

    __slots__ = ("_error", "_task", "_value")

    def __init__(self, box: Mailbox[Any]) -> None:
        super().__init__(box)
        self._task: trio.lowlevel.Task | None = None
        self._value: object = None
        self._error: Exception | None = None

    async def wait(self) -> object:
        """The value, or raises what `fail` or the actor's end left."""
        if self._state == _WAITING:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        return self._value

    def abandon(self) -> None:
        """The asker goes away without having waited."""
        if self._state == _WAITING:
            self._state = _GONE
            self._box._asks.pop(self, None)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        self.abandon()
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task)

    def _resolve(self, value: object) -> bool:
        self._value = value
        self._wake()
        return True

    def _reject(self, error: Exception) -> bool:
        self._error = error
        self._wake()
        return True

    def _end(self, reason: DownReason, detail: str) -> None:
        box = self._box
        cause = f"{reason}: {detail}" if detail else reason
        self._error = DownError(box.name, box.incarnation, cause, delivered=self.delivered)
        self._wake()


class RequestReply(Reply):
    """Delivers the reply, or an `Unanswered`, into the asker's mailbox."""

    __slots__ = ("_request", "_to")

    def __init__(self, box: Mailbox[Any], request: Message, to: Address[Any]) -> None:
        super().__init__(box)
        self._request = request
        self._to = to

    @property
    def wanted(self) -> bool:
        return self._state == _WAITING and self._to.alive

    def _resolve(self, value: object) -> bool:
        if not isinstance(value, Message):
            name = type(value).__name__
            return self._reject(TypeError(f"{type(self._request).__name__} wants a Message as its reply, not {name}"))
        return self._hand_over(value)

    def _reject(self, error: Exception) -> bool:
        return self._hand_over(self._unanswered("failed", str(error) or type(error).__name__))

    def _end(self, reason: DownReason, detail: str) -> None:
        self._to._box._deliver(self._unanswered(reason, detail))

    def _hand_over(self, message: Message) -> bool:
        taken = self._to._box._deliver(message)
        if not taken:
            self._box.system.dead_letters.late_replies += 1
        return taken

    def _unanswered(self, reason: Any, detail: str) -> Unanswered:
        return Unanswered(
            request=self._request, name=self._box.name, reason=reason, delivered=self.delivered, detail=detail
        )
