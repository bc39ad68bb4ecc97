"""What an `auth.json` of the Codex CLI holds, as far as it may be taken over. Pure.

Its API key may: it is the user's. Its ChatGPT tokens are not: they were given to the OAuth client that asked for them,
and renewing them here would make callboard pose as that client. Rejected: taking them over where the client ids agree
(a refresh token is good once, so whichever of the two programs renews second is logged out).
"""

from __future__ import annotations

import msgspec

from messages.credentials import SecretValue

FILE_BYTES_MAX = 1024 * 1024
"""Such a file has a few KB."""

TOKENS_STAY = (
    "its ChatGPT login belongs to the program that made it, which would lose it when callboard renews it; "
    "log in for callboard itself: callboard login"
)


class ForeignError(Exception):
    """There is nothing to take over; the text says why, and quotes nothing of the file."""


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    key: str | None = msgspec.field(name="OPENAI_API_KEY", default=None)
    tokens: _Tokens | None = None


_DECODER = msgspec.json.Decoder(_File)


def api_key(data: bytes) -> tuple[SecretValue, str | None]:
    """The API key of the file, and what people have to know besides. Raises ForeignError."""
    if len(data) > FILE_BYTES_MAX:
        raise ForeignError(f"it is larger than {FILE_BYTES_MAX} bytes")
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ForeignError("it is no auth.json: a JSON object with OPENAI_API_KEY is expected") from None
    stays = None if found.tokens is None else TOKENS_STAY
    if found.key is None or not found.key.strip():
        raise ForeignError(stays or "there is no API key in it")
    return SecretValue(found.key.strip()), stays
