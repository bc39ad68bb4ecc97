"""Which store is used, and what people are told about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import msgspec

from actors.credentials.stores import Store, StoreError
from actors.credentials.stores.file import FileStore
from actors.credentials.stores.keyring import ACCOUNT, Backend, KeyringStore
from actors.credentials.stores.memory import MemoryStore
from actors.ports import Files

StoreKind = Literal["auto", "keyring", "file", "ephemeral"]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The store in use."""

    store: Store
    kind: StoreKind
    why: str
    """One sentence for people."""


def choose(kind: StoreKind, files: Files, home: str, secret_service: Callable[[], Backend | None]) -> Chosen:
    """Open a store. `auto` takes the keyring where there is one, else the file. Raises StoreError."""
    if kind == "ephemeral":
        return Chosen(store=MemoryStore(), kind=kind, why="Logins are kept in memory, as the settings say.")
    if kind in ("auto", "keyring"):
        backend = secret_service()
        if backend is not None:
            store = KeyringStore(backend, account_of(home))
            return Chosen(store=store, kind="keyring", why=f"Logins are kept in {store.where}.")
        if kind == "keyring":
            raise StoreError(
                'cli_auth_credentials_store is "keyring", but no Secret Service answers here; '
                'start one, or set it to "file"'
            )
    file = FileStore(files, home)
    because = ", because no Secret Service answers here" if kind == "auto" else ", as the settings say"
    return Chosen(store=file, kind="file", why=f"Logins are kept in {file.where}{because}.")


def account_of(home: str) -> str:
    """Under which name a home's logins lie in a keyring that other homes share."""
    return f"{ACCOUNT}-{hashlib.sha256(home.encode()).hexdigest()[:12]}"
