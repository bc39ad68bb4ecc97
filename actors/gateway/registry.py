"""The owner's list of signed tokens, and the key they are signed with. Blocking; raises OSError.

The list holds no secret: names, ends, scopes, and which were revoked. `callboard token` writes it, the daemon reads it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec.json import Decoder

from actors.gateway.tokens import ISSUER, KEY_BYTES, LONGEST_SECONDS, Claims, sign
from actors.ports import Entropy, Files
from messages.access import SCOPES, Scope

KEY_FILE = "token.key"
LIST_FILE = "tokens.json"
LOCK_FILE = "tokens.lock"

NAME_CHARS = 100
"""Of whom a token is for: it goes into the audit log."""

ID_BYTES = 6
"""Of a token's id: enough that none comes twice, short enough to be typed after `revoke`."""


class TokenError(Exception):
    """What was asked cannot be done; the text says why."""


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One token that was made. Times are Unix seconds."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    issued_at: int
    expires_at: int
    revoked_at: int | None = None


_entries: Decoder[tuple[TokenEntry, ...]] = Decoder(tuple[TokenEntry, ...])


def load_key(files: Files, home: str) -> bytes | None:
    """What tokens are signed with; None if there is none yet. Raises TokenError for a file others can read."""
    path = posixpath.join(home, KEY_FILE)
    stat = files.stat(path)
    if stat is None:
        return None
    if stat.mode & 0o077:
        raise TokenError(f"others can read {path}, with which anybody can make tokens; remove it, and make new tokens")
    key = bytes.fromhex(files.read(path).decode("ascii").strip())
    if len(key) < KEY_BYTES:
        raise TokenError(f"{path} is not a key of ours; remove it, and make new tokens")
    return key


def load_or_make_key(files: Files, entropy: Entropy, home: str) -> bytes:
    """The key, made on first use and for the owner only. Raises TokenError."""
    key = load_key(files, home)
    if key is None:
        key = entropy.token(KEY_BYTES)
        files.write_atomic(posixpath.join(home, KEY_FILE), key.hex().encode() + b"\n")
    return key


def entries(files: Files, home: str) -> tuple[TokenEntry, ...]:
    """All tokens that were made, oldest first. Raises TokenError for a list that cannot be read."""
    path = posixpath.join(home, LIST_FILE)
    if files.stat(path) is None:
        return ()
    try:
        return _entries.decode(files.read(path))
    except msgspec.MsgspecError as error:
        raise TokenError(f"{path} cannot be read ({error}); no signed token counts until it can") from error


def valid(files: Files, home: str, token_id: str) -> bool:
    """Whether the token is on the list and was not revoked. A list that cannot be read lets nobody in."""
    try:
        return any(entry.id == token_id and entry.revoked_at is None for entry in entries(files, home))
    except (TokenError, OSError):
        return False


def make(
    files: Files, entropy: Entropy, home: str, *, name: str, scopes: tuple[Scope, ...], seconds: int, now: float
) -> tuple[TokenEntry, str]:
    """A new token, on the list. Raises TokenError."""
    if not name or len(name) > NAME_CHARS or not name.isprintable():
        raise TokenError(f"a token is for somebody: give it a name of at most {NAME_CHARS} printable characters")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise TokenError(f"a token lasts at most {LONGEST_SECONDS // 86400} days")
    entry = TokenEntry(
        id=entropy.token(ID_BYTES).hex(),
        name=name,
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        issued_at=int(now),
        expires_at=int(now) + seconds,
    )
    key = load_or_make_key(files, entropy, home)
    claims = Claims(
        iss=ISSUER,
        sub=entry.name,
        jti=entry.id,
        iat=entry.issued_at,
        exp=entry.expires_at,
        scope=" ".join(entry.scopes),
    )
    with _changing(files, home):
        _write(files, home, (*entries(files, home), entry))
    return entry, sign(claims, key)


def revoke(files: Files, home: str, token_id: str, *, now: float) -> TokenEntry:
    """The token counts no more; connections that came with it end within seconds. Raises TokenError."""
    with _changing(files, home):
        known = entries(files, home)
        found = [each for each in known if each.id == token_id] or [each for each in known if each.name == token_id]
        if len(found) != 1:
            what = "there is no token" if not found else "there are several tokens"
            raise TokenError(f"{what} {token_id!r}; see: callboard token list")
        revoked = msgspec.structs.replace(found[0], revoked_at=found[0].revoked_at or int(now))
        _write(files, home, tuple(revoked if entry is found[0] else entry for entry in known))
    return revoked


@contextmanager
def _changing(files: Files, home: str) -> Iterator[None]:
    """Nobody else changes the list meanwhile. Raises TokenError."""
    lock = files.lock(posixpath.join(home, LOCK_FILE))
    if lock is None:
        raise TokenError("another `callboard token` is at work; try again")
    try:
        yield
    finally:
        lock.close()


def _write(files: Files, home: str, made: tuple[TokenEntry, ...]) -> None:
    data = msgspec.json.format(msgspec.json.encode(made), indent=2)
    files.write_atomic(posixpath.join(home, LIST_FILE), data + b"\n")
