"""Asking for credentials: ready headers for one request come back, never a token by itself."""

from __future__ import annotations

import msgspec

from messages.base import Delivery, Message
from messages.failure import Failure


class GetHeaders(Message, frozen=True, kw_only=True):
    """Headers that authenticate one request to a provider. The reply is `Headers` or a `Failure`."""

    delivery = Delivery.RETRY_SAFE
    provider: str


class SecretValue:
    """A string that cannot be printed, logged, compared by accident or serialized; `reveal` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where it is put on the wire, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "SecretValue(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be serialized")


class Headers:
    """Header names with secret values, for one request."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[tuple[str, SecretValue], ...]) -> None:
        self.items = items


class CredentialState(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said about a provider's credentials without saying them."""

    provider: str
    needed: bool
    present: bool
    source: str | None = None
    """E.g. ``environment variable OPENAI_API_KEY``."""


class GetCredentialState(Message, frozen=True, kw_only=True):
    """The reply is a `CredentialState`."""

    delivery = Delivery.RETRY_SAFE
    provider: str


CredentialsRequest = GetHeaders | GetCredentialState
CredentialsReply = Headers | Failure | CredentialState
