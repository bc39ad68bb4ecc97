"""Rate limits in the headers of an answer."""

from __future__ import annotations

import pytest

from actors.model_stream.limits import limits_of
from messages.model import Credits, RateLimit, RateLimits


def test_openais_headers_say_when_in_a_duration() -> None:
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "25",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "1000",
        "x-ratelimit-reset-tokens": "120ms",
    }
    assert limits_of(headers, now=1000.0) == RateLimits(
        limits=(
            RateLimit(name="requests", used_percent=75.0, limit=100, remaining=25, resets_at=1360.0),
            RateLimit(name="tokens", used_percent=0.0, limit=1000, remaining=1000, resets_at=1000.12),
        )
    )


def test_the_windows_of_a_subscription_are_in_percent() -> None:
    headers = {
        "x-codex-primary-used-percent": "42.5",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": "1800000000",
        "x-codex-secondary-used-percent": "nonsense",
    }
    window = RateLimit(name="primary", used_percent=42.5, resets_at=1_800_000_000.0, window_minutes=300)
    assert limits_of(headers, now=0.0) == RateLimits(limits=(window,), subscription="codex")
    bare = {"x-codex-credits-has-credits": "True", "x-codex-credits-unlimited": "false"}
    money = {**bare, "x-codex-credits-balance": " 12.50 "}
    for told, balance in ((money, "12.50"), (bare, None), ({**money, "x-codex-credits-balance": "9" * 41}, None)):
        assert limits_of({**headers, **told}, now=0.0) == RateLimits(
            limits=(window,),
            subscription="codex",
            credits=Credits(has_credits=True, unlimited=False, balance=balance),
        )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/event-stream"},
        {"x-ratelimit-limit-requests": "100"},
        {"anthropic-ratelimit-requests-limit": "0", "anthropic-ratelimit-requests-remaining": "0"},
        {"anthropic-ratelimit-requests-limit": "nan", "anthropic-ratelimit-requests-remaining": "inf"},
    ],
)
def test_headers_that_say_nothing_usable_say_nothing(headers: dict[str, str]) -> None:
    assert limits_of(headers, now=0.0) is None
