"""Which logins there are, without anything secret: `$CALLBOARD_HOME/logins.json`. Pure but for `read`.

Whoever chooses the provider of new threads has to know before a store is opened: a keyring may ask its owner to unlock
it, and a daemon that only starts has no business asking. So whoever changes a store writes down here what it holds. It
is also how logins are found that lie in another store than the one in use. The stores have the last word: when one is
opened, what is written here of it is put right; a register that cannot be read counts as empty.

Rejected: opening the store at each start (D-Bus, prompts, a tenth of a second), and keeping this in the settings (a
login would rewrite a file that people edit).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from actors.credentials.entries import Entry, KeyEntry, Vault, since
from actors.ports import Files
from messages.credentials import Login, StoreKind

FILE_NAME = "logins.json"

FILE_BYTES_MAX = 256 * 1024
"""A thousand logins."""

NAMES: dict[StoreKind, str] = {
    "keyring": "the desktop's keyring",
    "file": "the file of the home",
    "ephemeral": "the daemon's memory",
}
"""For people."""


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """All logins of a home, whatever store they lie in."""

    logins: tuple[Login, ...] = ()


_DECODER = msgspec.json.Decoder(Register)


def path_in(home: str) -> str:
    """Where the register of a home is."""
    return posixpath.join(home, FILE_NAME)


def decode(data: bytes | None) -> Register:
    """What `encode` made; empty for anything else."""
    try:
        return Register() if data is None else _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Register()


def encode(register: Register) -> bytes:
    """For the file."""
    return msgspec.json.format(msgspec.json.encode(register), indent=1) + b"\n"


def read(files: Files, home: str) -> Register:
    """The register of a home; blocking. Empty where it cannot be read: it can be made again."""
    try:
        path = path_in(home)
        return decode(None if files.stat(path) is None else files.read(path, limit=FILE_BYTES_MAX))
    except OSError:
        return Register()


def with_store(register: Register, kind: StoreKind, vault: Vault) -> Register:
    """As it is once a store holds this."""
    others = tuple(login for login in register.logins if login.store != kind)
    held = tuple(_login(provider, entry, kind) for provider, entry in sorted(vault.entries.items()))
    return Register(logins=(*others, *held))


def _login(provider: str, entry: Entry, kind: StoreKind) -> Login:
    if isinstance(entry, KeyEntry):
        return Login(provider=provider, kind="api_key", store=kind, at=entry.saved_at)
    return Login(provider=provider, kind="oauth", store=kind, at=since(entry))


def counting(register: Register, since: float) -> tuple[Login, ...]:
    """Those a daemon that began at ``since`` can have: what an earlier one had in memory is gone."""
    return tuple(login for login in register.logins if login.store != "ephemeral" or login.at >= since)


def elsewhere(logins: Iterable[Login], kind: StoreKind) -> tuple[Login, ...]:
    """Those that lie in another store than this one, and last longer than a daemon."""
    return tuple(login for login in logins if login.store not in (kind, "ephemeral"))


def advice(found: tuple[Login, ...]) -> str | None:
    """What people are told of logins that lie elsewhere; None if none does."""
    if not found:
        return None
    places = [
        f"{', '.join(login.provider for login in found if login.store == kind)} in {NAMES[kind]}"
        for kind in NAMES
        if any(login.store == kind for login in found)
    ]
    return f"Not in use: {'; '.join(places)}. To move it here: callboard login migrate"
