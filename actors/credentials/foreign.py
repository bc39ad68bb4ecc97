"""What an `auth.json` of the Codex CLI holds, as far as it may be taken over. Pure.

Its API key may: it is the user's. Of its ChatGPT login only the access token can be borrowed, and only if somebody asks
for it: a refresh token is good once and was given to another OAuth client, so renewing it here would log that program
out and make callboard pose as it. Rejected: taking the refresh token over where the client ids agree (whichever of the
two programs renews second is logged out all the same), and reading the file again whenever the token has ended (a
daemon that keeps an eye on another program's secrets).
"""

from __future__ import annotations

import msgspec

from messages.credentials import SecretValue

FILE_BYTES_MAX = 1024 * 1024
"""Such a file has a few KB."""

TOKENS_STAY = (
    "its ChatGPT login belongs to the program that made it, which would lose it if callboard renewed it; "
    "log in for callboard itself (callboard login), or use its token until it ends (callboard login import --borrow)"
)


class ForeignError(Exception):
    """There is nothing to take over; the text says why, and quotes nothing of the file."""


class Borrowable(msgspec.Struct, frozen=True, kw_only=True):
    """An access token that another program renews."""

    token: SecretValue
    account_id: str | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds for us."""

    key: SecretValue | None
    login: Borrowable | None


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str | None = None
    account_id: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    key: str | None = msgspec.field(name="OPENAI_API_KEY", default=None)
    tokens: _Tokens | None = None


_DECODER = msgspec.json.Decoder(_File)


def read(data: bytes) -> Found:
    """What can be had of the file, perhaps nothing. Raises ForeignError for what is no such file."""
    if len(data) > FILE_BYTES_MAX:
        raise ForeignError(f"it is larger than {FILE_BYTES_MAX} bytes")
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ForeignError("it is no auth.json: a JSON object with OPENAI_API_KEY is expected") from None
    key = (found.key or "").strip()
    token = ((found.tokens and found.tokens.access_token) or "").strip()
    account_id = None if found.tokens is None else found.tokens.account_id
    return Found(
        key=SecretValue(key) if key else None,
        login=Borrowable(token=SecretValue(token), account_id=account_id) if token else None,
    )
