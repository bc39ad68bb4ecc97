"""Which store is used, and what people are told about it.

`auto` never leaves logins behind: it takes the keyring where one answers, but a file that holds logins while the
keyring holds none stays in use until they are moved (`callboard login migrate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from actors.credentials.stores import Store, StoreError
from actors.credentials.stores.file import FileStore
from actors.credentials.stores.keyring import ACCOUNT, Backend, KeyringStore
from actors.credentials.stores.memory import MemoryStore
from actors.ports import Files
from messages.credentials import StoreChoice, StoreKind


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The store in use."""

    store: Store
    why: str
    """One sentence for people."""

    @property
    def kind(self) -> StoreKind:
        """Which of the three."""
        return self.store.kind


def choose(kind: StoreChoice, files: Files, home: str, secret_service: Callable[[], Backend | None]) -> Chosen:
    """Open a store. Blocking. Raises StoreError."""
    if kind == "ephemeral":
        return Chosen(store=MemoryStore(), why="Logins are kept in memory, as the settings say.")
    file = FileStore(files, home)
    if kind == "file":
        return Chosen(store=file, why=f"Logins are kept in {file.where}, as the settings say.")
    backend = secret_service()
    if backend is None:
        if kind == "keyring":
            raise StoreError(
                "no Secret Service answers here, so there is no keyring; start one, or keep logins in the file: "
                "callboard config set cli_auth_credentials_store file"
            )
        return Chosen(store=file, why=f"Logins are kept in {file.where}, because no Secret Service answers here.")
    keyring = KeyringStore(backend, account_of(home))
    if kind == "auto" and not keyring.load().entries and file.load().entries:
        return Chosen(
            store=file,
            why=f"Logins are kept in {file.where}, where they have been so far. A keyring answers here; to move them "
            "there: callboard login migrate --to keyring",
        )
    return Chosen(store=keyring, why=f"Logins are kept in {keyring.where}.")


def account_of(home: str) -> str:
    """Under which name a home's logins lie in a keyring that other homes share."""
    return f"{ACCOUNT}-{hashlib.sha256(home.encode()).hexdigest()[:12]}"
