"""Where logins are kept: a keyring, a file of the owner's, or only this process's memory.

file.py     `$CALLBOARD_HOME/credentials.json`, 0600, replaced as a whole
keyring.py  the desktop's secret service, through an explicitly named backend
memory.py   nothing survives the daemon
choosing.py which one, and what to say about it

All verbs block: call them in a thread. Two daemons may share one store, so whoever changes it holds the lock and
reads it again first.
"""

from __future__ import annotations

from typing import Protocol

from actors.credentials.entries import Vault
from messages.credentials import StoreKind


class StoreError(Exception):
    """A store cannot be read or written; the text says which, why and what to do. Nothing has been changed."""


class Store(Protocol):
    """What every store can do."""

    @property
    def kind(self) -> StoreKind:
        """Which of the three."""
        ...

    @property
    def where(self) -> str:
        """For people: what it is and where."""
        ...

    def load(self) -> Vault:
        """Everything. Raises StoreError."""
        ...

    def save(self, vault: Vault) -> None:
        """Replace everything, durably. Raises StoreError."""
        ...

    def clear(self) -> None:
        """Leave nothing behind, not even an empty vault. Raises StoreError."""
        ...
