"""Kept in this process only: gone with the daemon."""

from __future__ import annotations

from actors.credentials.entries import Vault
from messages.credentials import StoreKind


class MemoryStore:
    """For tests, and for people who want nothing on disk."""

    kind: StoreKind = "ephemeral"

    def __init__(self) -> None:
        self._vault = Vault()

    @property
    def where(self) -> str:
        return "the daemon's memory: it is gone when the daemon ends"

    def load(self) -> Vault:
        """See `Store.load`."""
        return self._vault

    def save(self, vault: Vault) -> None:
        """See `Store.save`."""
        self._vault = vault

    def clear(self) -> None:
        """See `Store.clear`."""
        self._vault = Vault()
