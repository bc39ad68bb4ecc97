"""Asking for credentials: ready headers for one request come back, never a token by itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.base import Delivery, Message
from messages.failure import Failure

StoreKind = Literal["keyring", "file", "ephemeral"]
"""Where a login is kept: the desktop's keyring, a file of the home, the daemon's memory."""

StoreChoice = Literal["auto", "keyring", "file", "ephemeral"]
"""What `cli_auth_credentials_store` may say."""


class GetHeaders(Message, frozen=True, kw_only=True):
    """Headers that authenticate one request to a provider. The reply is `Headers` or a `Failure`."""

    delivery = Delivery.RETRY_SAFE
    provider: str
    rejected: int | None = None
    """The generation of the headers that the provider has just refused (401): get others, if there can be any."""


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
    """Header names with secret values, for one request. ``generation``: which life of a login they come from; None: a
    fixed key, of which there is no other."""

    __slots__ = ("generation", "items")

    def __init__(self, items: tuple[tuple[str, SecretValue], ...], generation: int | None = None) -> None:
        self.items = items
        self.generation = generation


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


class SaveKey(Message, frozen=True, kw_only=True):
    """Keep an API key for a provider. The reply is `LoginEnded`."""

    provider: str
    key: SecretValue


class SaveToken(Message, frozen=True, kw_only=True):
    """Keep an access token that another program asked for and renews. The reply is `LoginEnded`."""

    provider: str
    token: SecretValue
    account_id: str | None = None
    plan: str | None = None


LoginMethod = Literal["browser", "device", "paste"]


class StartLogin(Message, frozen=True, kw_only=True):
    """Begin a login. The reply is `LoginStarted`, or a `Failure` that says what is missing."""

    provider: str
    method: LoginMethod


class LoginStarted(msgspec.Struct, frozen=True, kw_only=True):
    """What people have to do: open ``url``; for a device, and type ``user_code`` there; for `paste`, bring back what it
    shows."""

    login_id: str
    url: str
    user_code: str | None = None


class PasteCode(Message, frozen=True, kw_only=True):
    """What the page of a `paste` login showed. The reply is False if there is no such login."""

    login_id: str
    code: SecretValue


class AwaitLogin(Message, frozen=True, kw_only=True):
    """Wait for a login's end. The reply is `LoginEnded`."""

    delivery = Delivery.RETRY_SAFE
    login_id: str


class CancelLogin(Message, frozen=True, kw_only=True):
    """Give a login up. The reply is False if there is no such login."""

    login_id: str


class LoginEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A login came to its end. ``error`` None: it is stored, in ``store``."""

    login_id: str | None = None
    error: str | None = None
    store: str = ""


class EndLogin(Message, frozen=True, kw_only=True):
    """Log out of a provider: forget the login, and tell its server. The reply is `LoggedOut`."""

    provider: str


class MoveLogins(Message, frozen=True, kw_only=True):
    """Bring the logins of all other stores into this one; None: into the one the settings choose. Also what changes the
    store of a daemon that runs. The reply is `LoginsMoved`."""

    to: StoreKind | None = None


class LoginsMoved(msgspec.Struct, frozen=True, kw_only=True):
    """``error`` None: all logins are in ``store`` and nowhere else. Else what was moved before stays moved, and nothing
    is lost."""

    moved: tuple[str, ...] = ()
    """Providers whose login lay elsewhere."""
    replaced: tuple[str, ...] = ()
    """Of these, those that had one in both places: the older one is gone."""
    store: str = ""
    error: str | None = None


class LoggedOut(msgspec.Struct, frozen=True, kw_only=True):
    """``was_in`` False: there was nothing to forget. ``warning``: what did not work besides."""

    was_in: bool
    warning: str | None = None


class GetAccounts(Message, frozen=True, kw_only=True):
    """The reply is `Accounts`."""

    delivery = Delivery.RETRY_SAFE


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A login, without its secrets."""

    provider: str
    kind: Literal["api_key", "oauth"]
    masked: str | None = None
    """The beginning and the end of a key, so that its owner knows it."""
    service: str | None = None
    email: str | None = None
    plan: str | None = None
    account_id: str | None = None
    expires_at: float | None = None
    borrowed: bool = False
    """Its token is another program's to renew."""
    trouble: str | None = None
    """Why it cannot be used any more."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """That there is a login, and where; nothing of it."""

    provider: str
    kind: Literal["api_key", "oauth"]
    store: StoreKind
    at: float
    """When it was made, in Unix seconds; renewing its token does not change that."""


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """All logins, and where they are kept."""

    accounts: tuple[Account, ...]
    store: str
    elsewhere: str | None = None
    """What lies in another store than this one, and what to do about that; for people."""


CredentialsRequest = (
    GetHeaders
    | GetCredentialState
    | SaveKey
    | SaveToken
    | StartLogin
    | PasteCode
    | AwaitLogin
    | CancelLogin
    | EndLogin
    | GetAccounts
    | MoveLogins
)
CredentialsReply = (
    Headers | Failure | CredentialState | LoginStarted | LoginEnded | LoggedOut | Accounts | LoginsMoved | bool
)
