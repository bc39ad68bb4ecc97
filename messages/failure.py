"""One taxonomy of what can go wrong between a user's prompt and the end of the turn.

The kinds say whose move it is: retry (we did, or you may), log in, change the request, make room on the disk. How a
kind looks on the client wire (`codexErrorInfo`) is the gateway's business.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FailureKind = Literal[
    "connection",  # the model could not be reached, or the connection broke before an answer began
    "stream_disconnected",  # an answer began and broke off
    "timeout",  # silence for longer than the idle limit
    "rate_limited",
    "quota_exhausted",
    "overloaded",
    "server_error",
    "unauthorized",
    "forbidden",
    "not_found",
    "invalid_request",
    "context_window_exceeded",
    "refused",  # the model or a content filter declined
    "incomplete",  # the answer was cut at a limit of the model
    "protocol",  # what came back is not the protocol
    "missing_key",
    "budget_exceeded",  # the turn used up its own budget
    "storage",  # the log could not be written
    "internal",  # a defect of ours
]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for people and for policies. Never holds a secret."""

    kind: FailureKind
    message: str
    """One sentence or two: what happened, where, and what to do."""
    retryable: bool = False
    http_status: int | None = None
    retry_after_seconds: float | None = None
    request_id: str | None = None
    """The provider's, to quote in a support request."""
    detail: str | None = None
    """The provider's own words, trimmed."""
