"""What the headers of an answer say about a key's limits, as one snapshot. Pure.

Three families are understood: Anthropic's ``anthropic-ratelimit-{requests,tokens,…}-{limit,remaining,reset}`` with
times as RFC 3339, OpenAI's ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` with durations as Go writes them
(``6m0s``), which compatible servers copy, and the ChatGPT backend's ``x-codex-{primary,secondary}-…`` in percent, with
``x-codex-credits-{has-credits,unlimited,balance}`` beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from messages.model import Credits, RateLimit, RateLimits

_ANTHROPIC = re.compile(r"anthropic-ratelimit-([a-z0-9_-]+)-limit")
_OPENAI = re.compile(r"x-ratelimit-limit-([a-z0-9_-]+)")
_WINDOWS = ("primary", "secondary")

SUBSCRIPTION = "codex"
"""What the vocabulary calls the limit that all use of a subscription counts against."""

MAX_BALANCE_CHARS = 40
"""An amount of money."""

_GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+")
_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

MAX_LIMITS = 16
"""Kept of one answer: the three families together have eight, and a hostile server gets no more memory."""


def limits_of(headers: Mapping[str, str], *, now: float) -> RateLimits | None:
    """The snapshot; None where nothing is said. ``headers`` has lower-case names, ``now`` is Unix seconds."""
    found: list[RateLimit] = []
    for window in _WINDOWS:
        prefix = f"x-codex-{window}-"
        used = _number(headers.get(f"{prefix}used-percent"))
        if used is not None:
            minutes = _number(headers.get(f"{prefix}window-minutes"))
            found.append(
                RateLimit(
                    name=window,
                    used_percent=min(used, 100.0),
                    resets_at=_number(headers.get(f"{prefix}reset-at")),
                    window_minutes=None if minutes is None else int(minutes),
                )
            )
    for header in headers:
        named = _ANTHROPIC.fullmatch(header)
        if named is not None:
            prefix = f"anthropic-ratelimit-{named[1]}-"
            remaining, reset = headers.get(f"{prefix}remaining"), headers.get(f"{prefix}reset")
            found += _limit(named[1], headers[header], remaining, _time(reset))
            continue
        named = _OPENAI.fullmatch(header)
        if named is not None:
            remaining, reset = (headers.get(f"x-ratelimit-{what}-{named[1]}") for what in ("remaining", "reset"))
            after = _duration(reset)
            found += _limit(named[1], headers[header], remaining, None if after is None else now + after)
    if not found:
        return None
    subscription = SUBSCRIPTION if any(limit.name in _WINDOWS for limit in found) else None
    return RateLimits(limits=tuple(found[:MAX_LIMITS]), subscription=subscription, credits=_credits(headers))


def _credits(headers: Mapping[str, str]) -> Credits | None:
    has, unlimited = (_flag(headers.get(f"x-codex-credits-{what}")) for what in ("has-credits", "unlimited"))
    if has is None and unlimited is None:
        return None
    balance = headers.get("x-codex-credits-balance", "").strip()
    kept = balance if 0 < len(balance) <= MAX_BALANCE_CHARS and balance.isprintable() else None
    return Credits(has_credits=bool(has), unlimited=bool(unlimited), balance=kept)


def _flag(text: str | None) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((text or "").strip().lower())


def _limit(name: str, limit: str, remaining: str | None, resets_at: float | None) -> list[RateLimit]:
    most, left = _number(limit), _number(remaining)
    if most is None or left is None or most <= 0:
        return []
    used = 100.0 * (1 - min(left, most) / most)
    return [RateLimit(name=name, used_percent=used, limit=int(most), remaining=int(left), resets_at=resets_at)]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < 2**53 else None


def _time(text: str | None) -> float | None:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def _duration(text: str | None) -> float | None:
    if text is None or _GO_DURATION.fullmatch(text) is None:
        return _number(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in _GO_PART.findall(text))
