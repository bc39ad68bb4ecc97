"""When a failed attempt is followed by another, and how long after it. Pure: the jitter is an argument.

A request may be sent again as long as it had no side effect, and asking a model has none until its calls are run, which
is only after the response's terminal event. So a stream that broke half-way is retried too, with the identical request;
what the broken attempt said is void.

Rejected: resuming a broken stream (no provider keeps one for a request that is not stored); retrying without bound (a
person waits, and sees each retry); waiting longer than `MAX_SERVER_DELAY_SECONDS` because a server says so (a turn that
hangs for an hour is worse than an error that says when to come back).
"""

from __future__ import annotations

from messages.failure import Failure, FailureKind

ATTEMPTS = 6
"""In all, the first included: with the delays below a provider's hiccup of ten seconds passes unnoticed."""

FIRST_DELAY_SECONDS = 0.25
"""Most broken connections are well again at once; a person hardly notices a quarter of a second."""

DELAY_FACTOR = 2.0

JITTER = 0.2
"""Delays are spread by this share to either side, so that sessions cut off together do not come back together."""

MAX_DELAY_SECONDS = 4.0
"""Of our own choosing: somebody is waiting."""

MAX_SERVER_DELAY_SECONDS = 120.0
"""What a server may ask for. The official SDKs draw the same line: beyond it an error now is more useful."""

ASKED_OTHERWISE: frozenset[FailureKind] = frozenset(
    ("connection", "stream_disconnected", "timeout", "protocol", "invalid_request", "not_found", "server_error")
)
"""Failures after which the same request is sent the ordinary way: the line may be to blame. The others (a key, a quota,
a policy, a window that is full) would be the same there."""


def delay_before_retry(
    failure: Failure, *, failed_attempts: int, attempts: int = ATTEMPTS, random: float
) -> float | None:
    """Seconds to wait before the next attempt, or None: this failure is final.

    ``failed_attempts`` counts this one; ``random`` is uniform in [0, 1).
    """
    if not failure.retryable or failed_attempts >= attempts:
        return None
    asked = failure.retry_after_seconds
    if asked is not None and asked > MAX_SERVER_DELAY_SECONDS:
        return None
    if asked:
        return asked
    delay = FIRST_DELAY_SECONDS * DELAY_FACTOR ** (failed_attempts - 1)
    return min(MAX_DELAY_SECONDS, min(MAX_DELAY_SECONDS, delay) * (1 + JITTER * (2 * random - 1)))
