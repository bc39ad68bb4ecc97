"""The desktop's secret service (freedesktop.org Secret Service API) through the `keyring` package.

The backend is named, never guessed: `keyring` would otherwise take whatever is installed, and with `keyrings.alt` that
is a file in plain text. Blocking, and D-Bus may hang: call it in a thread.
"""

from __future__ import annotations

from typing import Protocol

from actors.credentials.entries import UnreadableVaultError, Vault, decode, encode
from actors.credentials.stores import StoreError
from messages.credentials import StoreKind

SERVICE = "callboard"
ACCOUNT = "logins"


class Backend(Protocol):
    """As much of `keyring.backend.KeyringBackend` as is used."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class KeyringStore:
    """One secret of the login keyring holds the whole vault. ``account`` tells homes apart."""

    kind: StoreKind = "keyring"

    def __init__(self, backend: Backend, account: str = ACCOUNT) -> None:
        self._backend = backend
        self._account = account

    @property
    def where(self) -> str:
        return "the desktop's keyring (Secret Service)"

    def load(self) -> Vault:
        """See `Store.load`."""
        try:
            found = self._backend.get_password(SERVICE, self._account)
            return Vault() if found is None else decode(found.encode())
        except UnreadableVaultError as error:
            raise StoreError(f"what {self.where} holds under {SERVICE!r}: {error}") from None
        except Exception as error:
            raise StoreError(f"{self.where} cannot be read: {_words(error)}") from None

    def save(self, vault: Vault) -> None:
        """See `Store.save`."""
        try:
            self._backend.set_password(SERVICE, self._account, encode(vault).decode())
        except Exception as error:
            raise StoreError(f"{self.where} cannot be written: {_words(error)}; nothing was changed") from None

    def clear(self) -> None:
        """See `Store.clear`."""
        try:
            if self._backend.get_password(SERVICE, self._account) is not None:
                self._backend.delete_password(SERVICE, self._account)
        except Exception as error:
            raise StoreError(f"{self.where} does not give up what it holds: {_words(error)}") from None


def secret_service() -> Backend | None:
    """The backend, if there is a secret service to talk to; None in a container or without a desktop."""
    try:
        from keyring.backends.SecretService import Keyring

        if Keyring.priority <= 0:
            return None
        backend: Backend = Keyring()  # type: ignore[no-untyped-call]  # the package's backends carry no types
        backend.get_password(SERVICE, "probe")
    except Exception:
        return None
    return backend


def _words(error: Exception) -> str:
    """What went wrong. A backend's exceptions speak of buses and collections, never of what is kept."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
