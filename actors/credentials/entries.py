"""What a store holds: one entry for each provider that somebody has logged in to.

Secrets are `SecretValue`s in memory. Only `encode` and `decode` turn them into text and back, and only the stores call
these.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from messages.credentials import SecretValue


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, tag="api_key", tag_field="kind"):
    """An API key that was typed in."""

    key: SecretValue
    saved_at: float


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True, tag="oauth", tag_field="kind"):
    """The tokens of a login. ``expires_at`` is Unix seconds; None: the server did not say."""

    service: str
    client_id: str
    access_token: SecretValue
    refresh_token: SecretValue | None = None
    id_token: SecretValue | None = None
    expires_at: float | None = None
    obtained_at: float
    logged_in_at: float | None = None
    """When the login was made that these tokens descend from; None: they are its first."""
    account_id: str | None = None
    email: str | None = None
    plan: str | None = None
    scopes: tuple[str, ...] = ()
    borrowed: bool = False
    """The token was given to another program, which renews it; here it is used until it ends, and never revoked."""
    refreshing_since: float | None = None
    """A refresh was under way and its answer has not been stored. Only a crash leaves this behind."""


Entry: TypeAlias = KeyEntry | TokenEntry


def made_at(entry: Entry) -> float:
    """When the key was typed in or the tokens came, in Unix seconds."""
    return entry.saved_at if isinstance(entry, KeyEntry) else entry.obtained_at


def same(one: Entry, other: Entry) -> bool:
    """Whether they hold the same."""
    return encode(Vault(entries={"": one})) == encode(Vault(entries={"": other}))


def since(entry: TokenEntry) -> float:
    """When the login was made, in Unix seconds."""
    return entry.obtained_at if entry.logged_in_at is None else entry.logged_in_at


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a store, by provider id."""

    version: int = 1
    entries: dict[str, Entry] = {}

    def with_entry(self, provider: str, entry: Entry | None) -> Vault:
        """The same with one entry replaced; None: without it."""
        entries = {name: each for name, each in self.entries.items() if name != provider}
        if entry is not None:
            entries[provider] = entry
        return Vault(entries=entries)

    def joined(self, other: Vault) -> tuple[Vault, tuple[str, ...]]:
        """The entries of both, the younger where both have one; and the providers of which they had different ones."""
        both = {
            name
            for name in self.entries.keys() & other.entries.keys()
            if not same(self.entries[name], other.entries[name])
        }
        taken = {
            name: entry
            for name, entry in other.entries.items()
            if name not in self.entries or (name in both and made_at(entry) > made_at(self.entries[name]))
        }
        return Vault(entries={**self.entries, **taken}), tuple(sorted(both))


class UnreadableVaultError(Exception):
    """What a store holds is no vault; the text says why and never what."""


def encode(vault: Vault) -> bytes:
    """As text for a store."""
    return msgspec.json.encode(vault, enc_hook=_reveal)


def decode(data: bytes) -> Vault:
    """What `encode` made. Raises UnreadableVaultError."""
    try:
        vault = msgspec.json.decode(data, type=Vault, dec_hook=_hide)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The decoder's words name fields and types, and never hold a value.
        raise UnreadableVaultError(f"it cannot be read ({type(error).__name__})") from None
    if vault.version != 1:
        raise UnreadableVaultError(f"it was written by a newer callboard (version {vault.version})")
    return vault


def _reveal(value: Any) -> str:
    if isinstance(value, SecretValue):
        return value.reveal()
    raise TypeError(f"a vault holds no {type(value).__name__}")


def _hide(kind: type, value: Any) -> SecretValue:
    if kind is SecretValue and isinstance(value, str):
        return SecretValue(value)
    raise TypeError(f"a vault holds no {kind.__name__}")
