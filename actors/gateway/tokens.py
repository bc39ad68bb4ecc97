"""Signed tokens: made by the owner, for others, with a name, an end and a scope. Pure.

The form is a JSON Web Token with HMAC-SHA-256 (RFC 7519, RFC 7515, "HS256" of RFC 7518 §3.2), so that any library can
read one. Of that family's many liberties none is taken (RFC 8725): the header has to be, byte for byte, the one we
write, so there is no `alg` to choose, no `none`, no key by reference; a signature has one spelling; an end is required;
and the signature is compared, in constant time, before anything else is looked at.

A token counts only while its id is in the owner's list (`registry`), so each can be revoked by itself, and all at once
by removing the list. Rejected: public-key signatures (signer and verifier are the same machine), and opaque random
tokens in a table (a table that leaks its hashes is fine, one that can be *written* by mistake lets anybody in; here the
key must be had as well).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

import msgspec
from msgspec.json import Decoder

from messages.access import SCOPES, Identity, Scope

ISSUER = "callboard"

SKEW_SECONDS = 60
"""By how much the clocks of signer and verifier may differ. They are one machine's here; its clock may be set."""

LONGEST_SECONDS = 366 * 24 * 3600
"""Of a token's life: whoever needs more makes a new one each year."""

MAX_TOKEN_CHARS = 2048
"""Ours have about 300; longer ones are not looked at."""

KEY_BYTES = 32
"""As long as the hash (RFC 7518 §3.2)."""

_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. Times are Unix seconds."""

    iss: str
    sub: str
    jti: str
    iat: int
    exp: int
    scope: str
    """Words with spaces between them (RFC 8693 §4.2)."""


class BadToken(NamedTuple):
    """Why it does not count. For the log: whoever sent it is told only that it does not."""

    why: str


_claims: Decoder[Claims] = Decoder(Claims)


def sign(claims: Claims, key: bytes) -> str:
    """The token."""
    payload = _encode(msgspec.json.encode(claims))
    signed = _HEADER + b"." + payload
    return (signed + b"." + _encode(_mac(signed, key))).decode()


def looks_signed(text: str) -> bool:
    """Whether it wants to be one of these, rather than a capability token, which has no dots."""
    return text.count(".") == 2


def verify(text: str, key: bytes, now: float) -> Identity | BadToken:
    """Whose token it is, if it is one of ours and its time has not run out."""
    if len(text) > MAX_TOKEN_CHARS:
        return BadToken("it is too long")
    try:
        header, payload, mac = text.encode("ascii").split(b".")
    except (UnicodeEncodeError, ValueError):
        return BadToken("it does not have three parts")
    # The MAC is compared in its encoded form: so of the many spellings of one value a single one counts.
    if not hmac.compare_digest(mac, _encode(_mac(header + b"." + payload, key))):
        return BadToken("its signature is not ours")
    if header != _HEADER:
        return BadToken("its header is not ours")
    try:
        claims = _claims.decode(_decode(payload))
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError) as error:
        return BadToken(f"its claims cannot be read: {error}")
    scopes = frozenset[Scope](scope for scope in SCOPES if scope in claims.scope.split())
    if claims.iss != ISSUER or not scopes or not claims.sub or not claims.jti:
        return BadToken("it says too little")
    if claims.exp - claims.iat > LONGEST_SECONDS:
        return BadToken("it is made to last too long")
    if now >= claims.exp + SKEW_SECONDS:
        return BadToken("it has expired")
    if now < claims.iat - SKEW_SECONDS:
        return BadToken("it is from the future")
    return Identity(name=claims.sub, scopes=scopes, token_id=claims.jti, expires_at=float(claims.exp))


def _mac(data: bytes, key: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(data: bytes) -> bytes:
    return base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
