"""OAuth 2.0 as a native app does it: what is asked, what answers mean. Pure: entropy, time and sockets are arguments.

Sources: RFC 6749 (framework), RFC 7636 (PKCE, S256 only), RFC 8252 (loopback redirects), RFC 8628 (device codes),
RFC 7009 (revocation). No answer is ever quoted in an error: it may hold a token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from actors.credentials.entries import TokenEntry, since
from actors.credentials.services import Service, client_id
from messages.credentials import SecretValue

VERIFIER_BYTES = 64
"""86 characters: RFC 7636 wants 43 to 128."""

STATE_BYTES = 32

DEVICE_SECONDS = 15 * 60.0
"""A device code lives so long where the server does not say."""

POLL_SECONDS = 5.0
"""Between polls where the server does not say (RFC 8628 §3.2)."""

SLOWER_SECONDS = 5.0
"""What `slow_down` adds, for good (RFC 8628 §3.5)."""

PERMANENT = frozenset(
    {
        "invalid_grant",
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "unauthorized_client",
        "invalid_client",
    }
)
"""What no repetition of a refresh can mend."""

_ERROR_WORD = re.compile(r"[a-z][a-z_]{0,59}")
"""How the errors of RFC 6749 §5.2, RFC 8628 §3.5 and of the servers we know are spelled. What is spelled otherwise may
be a token that is quoted back, and is not told."""

OPENAI_AUTH = "https://api.openai.com/auth"
OPENAI_PROFILE = "https://api.openai.com/profile"


class OAuthError(Exception):
    """A login that came to nothing; the text is for people, and holds nothing secret."""


class NotOursError(OAuthError):
    """An answer that belongs to another login, or to nobody's; ours may still come."""


class TokenRefusedError(OAuthError):
    """The token endpoint said no. ``permanent``: asking again with the same token is of no use."""

    def __init__(self, message: str, *, permanent: bool, error: str = "") -> None:
        super().__init__(message)
        self.permanent = permanent
        self.error = error


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an authorization code that has been made."""

    url: str
    state: SecretValue
    verifier: SecretValue
    redirect_uri: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be sent: a POST."""

    url: str
    body: bytes
    content_type: Literal["application/x-www-form-urlencoded", "application/json"]


def authorization(service: Service, redirect_uri: str, *, verifier: bytes, state: bytes) -> Authorization:
    """What a browser is to open. ``verifier`` and ``state`` are fresh random bytes. Raises UnknownServiceError."""
    secret, said = _base64(verifier), _base64(state)
    params = {
        "response_type": "code",
        "client_id": client_id(service),
        "redirect_uri": redirect_uri,
        **({"scope": " ".join(service.scopes)} if service.scopes else {}),
        "code_challenge": _base64(hashlib.sha256(secret.encode()).digest()),
        "code_challenge_method": "S256",
        "state": said,
        **service.extra_params,
    }
    separator = "&" if urlsplit(service.authorize_url).query else "?"
    return Authorization(
        url=f"{service.authorize_url}{separator}{urlencode(params)}",
        state=SecretValue(said),
        verifier=SecretValue(secret),
        redirect_uri=redirect_uri,
    )


def code_of(query: str, expected: SecretValue) -> SecretValue:
    """The code a redirect brings. Raises OAuthError if it is not the answer to our question."""
    given = parse_qs(query, keep_blank_values=True)
    state = given.get("state", [""])[0]
    if not hmac.compare_digest(state.encode(), expected.reveal().encode()):
        raise NotOursError("the answer does not belong to this login (its state is another); start the login again")
    if "error" in given:
        raise OAuthError(_denied(given["error"][0], given.get("error_description", [""])[0]))
    code = given.get("code", [""])[0]
    if not code:
        raise OAuthError("the answer brings no code; start the login again")
    return SecretValue(code)


def pasted_code(text: str, expected: SecretValue) -> SecretValue:
    """The code a person pasted: ``code#state``, a whole redirect URL, or the code alone. Raises OAuthError."""
    text = text.strip()
    if "://" in text:
        return code_of(urlsplit(text).query, expected)
    code, hash_, state = text.partition("#")
    if hash_ and not hmac.compare_digest(state.encode(), expected.reveal().encode()):
        raise OAuthError("the pasted code belongs to another login; open the page again and paste what it shows")
    if not code:
        raise OAuthError("nothing was pasted")
    return SecretValue(code)


def exchange(service: Service, made: Authorization, code: SecretValue) -> Asked:
    """Turn a code into tokens."""
    fields = {
        "grant_type": "authorization_code",
        "client_id": client_id(service),
        "code": code.reveal(),
        "redirect_uri": made.redirect_uri,
        "code_verifier": made.verifier.reveal(),
    }
    if service.state_in_exchange:
        fields["state"] = made.state.reveal()
    return _asked(service.token_url, fields, service.token_body)


def refresh(service: Service, entry: TokenEntry) -> Asked:
    """Turn a refresh token into new tokens. Raises OAuthError if there is none."""
    if entry.refresh_token is None:
        raise OAuthError("the login came without a refresh token")
    fields = {
        "grant_type": "refresh_token",
        "client_id": entry.client_id,
        "refresh_token": entry.refresh_token.reveal(),
    }
    return _asked(service.token_url, fields, service.refresh_body)


def revocation(service: Service, entry: TokenEntry) -> Asked | None:
    """Tell the server that a login is over; None if it has no place for that, or the login is another program's."""
    if entry.borrowed:
        return None
    token = entry.refresh_token or entry.access_token
    if service.revoke_url is None:
        return None
    kind = "refresh_token" if entry.refresh_token is not None else "access_token"
    fields = {"token": token.reveal(), "token_type_hint": kind, "client_id": entry.client_id}
    return _asked(service.revoke_url, fields, "form")


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None
    expires_in: float | None = None
    scope: str | None = None


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    error: Any = None
    error_description: Any = None


def tokens(service: Service, *, status: int, body: bytes, now: float, before: TokenEntry | None = None) -> TokenEntry:
    """What the token endpoint answered. A refresh that brings no new refresh token keeps the old one (RFC 6749 §6).

    Raises TokenRefusedError.
    """
    if status != 200:
        raise refused(service, status, body)
    try:
        found = msgspec.json.decode(body, type=_Tokens)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = f"{service.title} answered with something that is no token"
        raise TokenRefusedError(text, permanent=False) from None
    said = _said(claims_of(found.id_token) or claims_of(found.access_token))
    expires = now + found.expires_in if found.expires_in is not None else _expiry(found.access_token)
    refresh_token = SecretValue(found.refresh_token) if found.refresh_token else None
    return TokenEntry(
        service=service.name,
        client_id=client_id(service) if before is None else before.client_id,
        access_token=SecretValue(found.access_token),
        refresh_token=refresh_token or (None if before is None else before.refresh_token),
        id_token=SecretValue(found.id_token) if found.id_token else None if before is None else before.id_token,
        expires_at=expires,
        obtained_at=now,
        logged_in_at=None if before is None else since(before),
        account_id=said.account_id or (None if before is None else before.account_id),
        email=said.email or (None if before is None else before.email),
        plan=said.plan or (None if before is None else before.plan),
        scopes=tuple(found.scope.split()) if found.scope else service.scopes if before is None else before.scopes,
    )


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of whose it is."""

    account_id: str | None
    email: str | None
    plan: str | None


def _said(claims: dict[str, Any]) -> _Said:
    auth, profile = claims.get(OPENAI_AUTH), claims.get(OPENAI_PROFILE)
    auth = auth if isinstance(auth, dict) else {}
    email = claims.get("email") or (profile.get("email") if isinstance(profile, dict) else None)
    return _Said(
        account_id=_text(auth.get("chatgpt_account_id")),
        email=_text(email),
        plan=_text(auth.get("chatgpt_plan_type")),
    )


def borrowed(service: str, token: SecretValue, *, account_id: str | None, plan: str | None, now: float) -> TokenEntry:
    """An access token that another program has asked for, and renews."""
    said = _said(claims_of(token.reveal()))
    return TokenEntry(
        service=service,
        client_id="",
        access_token=token,
        expires_at=_expiry(token.reveal()),
        obtained_at=now,
        account_id=account_id or said.account_id,
        email=said.email,
        plan=plan or said.plan,
        borrowed=True,
    )


def refused(service: Service, status: int, body: bytes) -> TokenRefusedError:
    """Why the token endpoint said no (RFC 6749 §5.2), in words of ours."""
    try:
        said = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = _Refusal()
    error = said.error.get("code") if isinstance(said.error, dict) else said.error
    word = error if isinstance(error, str) and _ERROR_WORD.fullmatch(error) else ""
    permanent = word in PERMANENT or status == 401
    text = f"{service.title} refused ({word or f'HTTP status {status}'})"
    return TokenRefusedError(text, permanent=permanent, error=word)


def claims_of(token: str | None) -> dict[str, Any]:
    """What a JWT says of itself, unchecked: it came to us straight from its maker, over TLS. {} if it is none."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.MsgspecError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _expiry(access_token: str) -> float | None:
    expires = claims_of(access_token).get("exp")
    return float(expires) if isinstance(expires, int | float) and not isinstance(expires, bool) else None


def _asked(url: str, fields: dict[str, str], kind: Literal["form", "json"]) -> Asked:
    if kind == "json":
        return Asked(url=url, body=msgspec.json.encode(fields), content_type="application/json")
    return Asked(url=url, body=urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _denied(error: str, description: str) -> str:
    words = f"{error}: {description}" if description else error
    return f"the login was not granted ({words[:200]})"
