"""What a provider's error means: from a status, headers and a body, or from an error inside a stream, to a `Failure`.

Pure. One classification for both ways an error can arrive, because providers move the same codes freely between an
HTTP status and a `response.failed` in the middle of a stream. The order of trust is: the error's own code, then its
type, then the HTTP status; an unknown code is judged by the status alone, and inside a stream it counts as a passing
trouble of the server (that is what a retry is for, and a retry has no side effect).

Sources: OpenAI's and Anthropic's error guides and SDKs, the error bodies compatible servers were seen to send (xAI:
``error`` is a bare string and the code stands beside it; FastAPI servers: ``detail``; Gemini: a list around the object;
OpenRouter: the upstream's words in ``metadata.raw``; proxies: HTML). That a conversation is too long, or that nothing
is left to pay with, has a code with few of them, so for these two the words are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from messages.failure import Failure, FailureKind

MAX_DETAIL_CHARS = 2000
"""Of the provider's words kept in a failure: enough for its longest sentence, too little for a page of HTML."""

CUT = "…"
"""Where something was left out."""

SHORTEST_PIECE = 4
"""Of a secret that is taken out where a text was cut in the middle of it; less says nothing."""

MAX_MESSAGE_CHARS = 500
"""Of the provider's words quoted in the sentence a user reads."""

_KIND_OF_CODE: dict[str, FailureKind] = {
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "too_many_requests": "rate_limited",
    "slow_down": "overloaded",
    "server_is_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "insufficient_quota": "quota_exhausted",
    "credit_balance_exhausted": "quota_exhausted",
    "organization_usage_limit_exceeded": "quota_exhausted",
    "usage_limit_reached": "quota_exhausted",
    "usage_not_included": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "billing_error": "quota_exhausted",
    "ramp_limit_exceeded": "rate_limited",
    "exceeded_current_quota_error": "quota_exhausted",
    "insufficient_balance": "quota_exhausted",
    "rate_limit_reached_error": "rate_limited",
    "engine_overloaded_error": "overloaded",
    "context_length_exceeded": "context_window_exceeded",
    "exceed_context_size_error": "context_window_exceeded",
    "too_many_prompt_tokens": "context_window_exceeded",
    "invalid_api_key": "unauthorized",
    "authentication_error": "unauthorized",
    "token_expired": "unauthorized",
    "permission_error": "forbidden",
    "unsupported_country_region_territory": "forbidden",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "invalid_prompt": "invalid_request",
    "request_too_large": "invalid_request",
    "cyber_policy": "refused",
    "bio_policy": "refused",
    "misalignment_policy_violation": "refused",
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "server_error": "server_error",
    "internal_error": "server_error",
    "api_error": "server_error",
    "timeout_error": "server_error",
}

_TOO_LONG = re.compile(
    r"prompt (?:is )?too long|maximum context length|(?:exceed\w*|beyond|over|larger than|fit)\b.{0,40}\bcontext"
    r"|context (?:length|window|size)\b.{0,40}\bexceed|total length of all messages is too long"
    r"|input (?:token count|is too long|length)\b.{0,60}\b(?:exceed|too long|for requested model)"
    r"|too many (?:input|prompt) tokens|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE | re.DOTALL,
)
"""How servers without a code for it say that a conversation is too long for its model."""

_QUOTA_SUFFIXES = ("_spend_limit_exceeded", "_spend_limit_reached", "_usage_limit_exceeded")
_QUOTA_PREFIXES = ("linked_organization_",)
"""Families of codes that say: waiting does not help, somebody must pay or raise a limit."""

_USED_UP = re.compile(r"credit balance is too low|reached your specified API usage limits", re.IGNORECASE)
"""How Anthropic says that money or a limit of the user's own is used up: in words alone, under HTTP 400 and the type
``invalid_request_error``."""

_RETRYABLE_KINDS: frozenset[FailureKind] = frozenset(
    ("connection", "stream_disconnected", "timeout", "rate_limited", "overloaded", "server_error")
)

_RETRYABLE_STATUSES = frozenset((408, 409, 425, 429))
"""Beside every 5xx: request timeout, lock conflict, too early, too many requests (what the official SDKs retry)."""

_WHAT_TO_DO: dict[FailureKind, str] = {
    "unauthorized": "check the API key of this provider",
    "forbidden": "the key is valid but may not do this",
    "not_found": "check the model's name and the provider's base URL",
    "quota_exhausted": "waiting will not help: check the provider's plan, billing and limits",
    "context_window_exceeded": "the conversation no longer fits the model's context window",
    "rate_limited": "the provider asks for fewer requests",
    "overloaded": "the provider is short of capacity at the moment",
}

_TRY_AGAIN = re.compile(
    r"try again in\s+((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b\s*)+"
    r"|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+)",
    re.IGNORECASE,
)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)

_SECRET_LOOKING = re.compile(r"\b(?:sk|pk|rk|xai|gsk|key)-[A-Za-z0-9_*\-]{6,}|(?<=Bearer )[^\s\"',;]{8,}")
"""Keys as providers quote them back in their 401s. What follows ``Bearer`` is taken whole: half a key that is left
would not be recognised by whoever looks for the key."""

_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.IGNORECASE | re.DOTALL)


class ProviderError(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a provider said it, whichever shape it came in."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    resets_at: float | None = None
    """Unix seconds at which a usage limit ends, where the provider says so."""
    request_id: str | None = None
    """The provider's id of the request, where the error carries it."""


def provider_error(value: object) -> ProviderError | None:
    """Find the error in a decoded body or event; None if there is none.

    Understands ``{"error": {...}}``, ``{"error": "text", "code": ...}``, a flat ``{"code", "message"}``, ``{"detail":
    ...}``, a bare string, and any of these in a list.
    """
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, str):
        return ProviderError(message=value) if value.strip() else None
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    if isinstance(inner, dict):
        return _from_fields(inner, outer=value)
    if isinstance(inner, str) and inner.strip():
        return ProviderError(message=inner, code=_text(value.get("code")), type=_text(value.get("type")))
    if isinstance(value.get("message"), str) or isinstance(value.get("code"), str):
        return _from_fields(value, outer={})
    detail = value.get("detail")
    if not detail and value.get("object") == "error":
        detail = value.get("message")
    if detail:
        return ProviderError(message=detail if isinstance(detail, str) else _compact(detail))
    return None


def from_http(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, where: str, secrets: tuple[str, ...] = ()
) -> Failure:
    """The failure that an error response means.

    ``headers`` has lower-case names; ``now`` is Unix seconds (for a ``retry-after`` given as a date); ``where`` names
    the provider for the reader; ``secrets`` are removed wherever the provider quotes them back.
    """
    text = body.decode("utf-8", "replace")
    try:
        error = provider_error(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    if error is None:
        error = ProviderError(message=readable(text))
    kind = _kind(error)
    if kind is None or (kind == "server_error" and _kind_of_status(status) != "server_error"):
        kind = _kind_of_status(status)  # "api_error" is what some servers call everything
    if kind == "invalid_request" and _TOO_LONG.search(error.message):
        kind = "context_window_exceeded"
    hint = headers.get("x-should-retry", "").strip().lower()
    retryable = kind in _RETRYABLE_KINDS and (status in _RETRYABLE_STATUSES or status >= 500)
    if hint in ("true", "false"):
        retryable = hint == "true"
    return _failure(
        kind,
        error,
        intro=f"{where} answered HTTP {status}",
        retryable=retryable,
        status=status,
        retry_after=retry_after_seconds(headers, now=now) or delay_in_words(error.message),
        request_id=request_id_of(headers) or error.request_id,
        secrets=secrets,
    )


def from_stream(error: ProviderError, *, where: str, request_id: str | None = None) -> Failure:
    """The failure that an ``error`` or ``response.failed`` event means. An unknown code may be tried again."""
    kind = _kind(error)
    if kind is None:
        kind = "invalid_request" if "invalid_request_error" in (error.code, error.type) else "server_error"
    if kind in ("invalid_request", "server_error") and _TOO_LONG.search(error.message):
        kind = "context_window_exceeded"
    return _failure(
        kind,
        error,
        intro=f"{where} broke off the answer",
        retryable=kind in _RETRYABLE_KINDS,
        status=None,
        retry_after=delay_in_words(error.message),
        request_id=request_id or error.request_id,
        secrets=(),
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request, to quote in a support request."""
    return headers.get("x-request-id") or headers.get("request-id")


def retry_after_seconds(headers: Mapping[str, str], *, now: float) -> float | None:
    """How long the server asks to wait: ``retry-after-ms``, then ``retry-after`` in seconds or as an HTTP date.

    None if it does not say, or says nothing usable (RFC 9110 §10.2.3; the ``-ms`` form is OpenAI's).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, at - now)


def delay_in_words(message: str) -> float | None:
    """Seconds from a sentence such as ``Please try again in 1.3s`` or ``in 6m0s``; None without one."""
    found = _TRY_AGAIN.search(message)
    if found is None:
        return None
    return sum(float(number) * _seconds_in(unit.lower()) for number, unit in _DURATION_PART.findall(found.group(1)))


def readable(text: str) -> str:
    """A body that is no JSON, as words: tags and runs of blanks taken out, trimmed."""
    return cut(" ".join(_TAG.sub(" ", text[: 16 * MAX_DETAIL_CHARS]).split()), MAX_DETAIL_CHARS)


def cut(text: str, limit: int) -> str:
    """At most so many characters; what was cut ends with `CUT`, by which `redact` knows the beginning of a secret."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """``text`` without ``secrets``, however they are spelled in it and where it was cut in the middle of one, and
    without whatever else looks like a key."""
    for secret in secrets:
        if secret:
            text = _spellings(secret).sub(CUT, text)
            if CUT in text:
                text = _without_beginnings(text, secret)
    return _SECRET_LOOKING.sub(CUT, text)


def without_secrets(failure: Failure, secrets: tuple[str, ...]) -> Failure:
    """The same, told with nothing in it that its provider may quote and nobody else may read."""
    return msgspec.structs.replace(
        failure,
        message=redact(failure.message, secrets),
        detail=None if failure.detail is None else redact(failure.detail, secrets),
        request_id=None if failure.request_id is None else redact(failure.request_id, secrets),
    )


def _spellings(text: str) -> re.Pattern[str]:
    """Finds a text as it is, in a URL (RFC 3986 §2.1) and in JSON (RFC 8259 §7), also if only some of it is written
    otherwise."""
    return re.compile("".join(map(_spelling, text)))


def _spelling(character: str) -> str:
    plain = re.escape(character)
    if character.isalnum() and character.isascii():
        return plain
    percent = "".join(f"%{_hexadecimal(f'{byte:02x}')}" for byte in character.encode("utf-8", "surrogatepass"))
    ways = [plain, percent, rf"\\u{_hexadecimal(f'{ord(character) & 0xFFFF:04x}')}"]
    if character == " ":
        ways.append(r"\+")
    elif character in '"\\/':
        ways.append(rf"\\{plain}")
    return f"(?:{'|'.join(ways)})"


def _hexadecimal(digits: str) -> str:
    """Finds them in either case."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _without_beginnings(text: str, secret: str) -> str:
    """Takes out what of a secret is left where the text was cut."""
    parts = text.split(CUT)
    for at, part in enumerate(parts[:-1]):
        tails = {part, unquote(part)}
        for length in range(len(secret) - 1, SHORTEST_PIECE - 1, -1):
            if any(tail.endswith(secret[:length]) for tail in tails):
                left = re.search(f"{_spellings(secret[:length]).pattern}$", part)
                parts[at] = part if left is None else part[: left.start()]
                break
    return CUT.join(parts)


def _failure(
    kind: FailureKind,
    error: ProviderError,
    *,
    intro: str,
    retryable: bool,
    status: int | None,
    retry_after: float | None,
    request_id: str | None,
    secrets: tuple[str, ...],
) -> Failure:
    words = redact(error.message, secrets).strip()
    message = f"{intro}: {cut(words, MAX_MESSAGE_CHARS)}" if words else f"{intro} without saying why"
    advice = _WHAT_TO_DO.get(kind)
    if advice:
        message = f"{message.rstrip('.')} ({advice})"
    code = error.code or error.type
    return Failure(
        kind=kind,
        message=message,
        retryable=retryable,
        http_status=status,
        retry_after_seconds=retry_after,
        request_id=request_id,
        detail=cut(redact(f"{code}: {words}", secrets) if code else words, MAX_DETAIL_CHARS) or None,
    )


def _kind(error: ProviderError) -> FailureKind | None:
    """What the code says, else what the type says; None when both are strangers or say too little.

    OpenAI files nearly everything under the type `invalid_request_error`, a wrong key and an unknown model included, so
    as a type it decides nothing; where Anthropic does, the words are looked at.
    """
    for name in (error.code, error.type):
        if name is None or name == "invalid_request_error":
            continue
        kind = _KIND_OF_CODE.get(name)
        if kind is not None:
            return kind
        if name.endswith(_QUOTA_SUFFIXES) or name.startswith(_QUOTA_PREFIXES):
            return "quota_exhausted"
        if len(name) == 3 and name.isdecimal() and name[0] in "45":
            return _kind_of_status(int(name))
    if "invalid_request_error" in (error.code, error.type):
        return "quota_exhausted" if _USED_UP.search(error.message) else None
    return None


def _kind_of_status(status: int) -> FailureKind:
    match status:
        case 401:
            return "unauthorized"
        case 402:
            return "quota_exhausted"
        case 403:
            return "forbidden"
        case 404:
            return "not_found"
        case 408 | 409 | 425:
            return "server_error"
        case 429:
            return "rate_limited"
        case 503 | 529:
            return "overloaded"
        case _:
            return "server_error" if status >= 500 else "invalid_request"


def _from_fields(fields: dict[str, Any], outer: dict[str, Any]) -> ProviderError:
    resets_at = fields.get("resets_at")
    details = fields.get("details")
    detailed = details if isinstance(details, dict) else {}
    message = _text(fields.get("message")) or _text(fields.get("detail")) or ""
    metadata = fields.get("metadata")
    upstream = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(upstream, str) and upstream and upstream not in message:
        message = f"{message}: {upstream}" if message else upstream
    return ProviderError(
        message=message,
        code=_text(fields.get("code")) or _text(outer.get("code")) or _text(detailed.get("error_code")),
        type=_text(fields.get("type")),
        resets_at=float(resets_at) if isinstance(resets_at, int | float) else None,
        request_id=_text(outer.get("request_id")),
    )


def _seconds_in(unit: str) -> float:
    if unit.startswith(("ms", "mil")):
        return 0.001
    return {"s": 1.0, "m": 60.0, "h": 3600.0}[unit[0]]


def _text(value: object) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value else None


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _number(value: str | None) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
