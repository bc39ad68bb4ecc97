"""What can go wrong between two actors, and whose fault it is.

KernelError                abstract
├─ DownError               the asked actor ended before it replied (or was not there at all)
├─ OutcomeUnknownError     the same, for a request that must not be sent twice: it may or may not have taken effect
├─ MailboxFullError        the mailbox's declared policy is to refuse when full
├─ PoisonError             this very message has already crashed its actor twice; it will not be handled again
├─ NameTakenError          our bug: two live actors publish one service name
├─ ReplyTypeError          our bug: the asked actor replied with something the asker did not name
└─ SecondReplyError        our bug: one request was replied to twice (raised in strict systems only, else counted)
"""

from __future__ import annotations


class KernelError(Exception):
    """Abstract: raise one of its subclasses."""


class DownError(KernelError):
    """The asked actor ended before it replied.

    ``delivered`` tells whether it had taken the request out of its mailbox. False means it certainly had no effect.
    """

    def __init__(self, name: str, incarnation: int, reason: str, *, delivered: bool) -> None:
        super().__init__(name, incarnation, reason, delivered)
        self.name = name
        self.incarnation = incarnation
        self.reason = reason
        self.delivered = delivered

    def __str__(self) -> str:
        if self.reason == "noproc":
            return f"{self.name!r} is not running"
        when = "while it had this request in hand" if self.delivered else "before it had looked at this request"
        return f"{self.name}#{self.incarnation} ended ({self.reason}) {when}"


class OutcomeUnknownError(KernelError):
    """The asked actor died with a `Delivery.ONCE` request in hand: it may or may not have taken effect.

    Never send it again; record the outcome as unknown. The `DownError` is the cause.
    """

    def __init__(self, name: str, message_type: str) -> None:
        super().__init__(name, message_type)
        self.name = name
        self.message_type = message_type

    def __str__(self) -> str:
        return (
            f"{self.name!r} went down while it handled {self.message_type}: whether it took effect is unknown, "
            "and it is not sent again"
        )


class MailboxFullError(KernelError):
    """The mailbox holds as much as it may, and its policy is to refuse (`Full.REJECT`)."""

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(name, capacity)
        self.name = name
        self.capacity = capacity

    def __str__(self) -> str:
        return f"the mailbox of {self.name!r} already holds {self.capacity} messages; try again later"


class PoisonError(KernelError):
    """The message has crashed its actor as often as we are ready to see; it stays recorded and is not handled."""

    def __init__(self, name: str, key: str) -> None:
        super().__init__(name, key)
        self.name = name
        self.key = key

    def __str__(self) -> str:
        return f"{self.name!r} will not handle message {self.key}: it crashed on it before and has quarantined it"


class NameTakenError(KernelError):
    """Two live actors publish one service name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"a live actor has already published the service name {self.name!r}; end it before starting another"


class ReplyTypeError(KernelError):
    """The asked actor replied with another type than the asker named."""

    def __init__(self, name: str, message_type: str, wanted: str, got: str) -> None:
        super().__init__(name, message_type, wanted, got)
        self.name = name
        self.message_type = message_type
        self.wanted = wanted
        self.got = got

    def __str__(self) -> str:
        return f"{self.name!r} replied to {self.message_type} with {self.got}, but the asker expects {self.wanted}"


class SecondReplyError(KernelError):
    """One request was replied to twice."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name!r} replied twice to one request"
