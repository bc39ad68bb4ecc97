"""How the ends of answers that only some wires have reach the turn: limits, refusals, full windows, what was billed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.session.effects import Show
from messages.failure import Failure, FailureKind
from messages.model import RateLimit, RateLimits, SampleCompleted, SampleFailed, StopReason, TokenUsage
from messages.session import LimitsUpdated, SessionEvent, UsageUpdated
from tests.actors.session.made import Session, completed, message, response, start_turn

LIMITS = RateLimits(limits=(RateLimit(name="requests", used_percent=50.0),))


def after(stop: StopReason = "end", **fields: object) -> Session:
    """A session whose model's answer ended like that."""
    session = Session()
    session.hear(start_turn())
    sampling = session.state.turn
    assert sampling is not None
    assert sampling.sampling is not None
    request_id = sampling.sampling.request_id
    *events, _ = response(request_id, message("hi"))
    end = msgspec.structs.replace(completed(request_id, stop), **fields)
    assert isinstance(end, SampleCompleted)
    session.hear(*events, end)
    return session


def ended(**fields: Any) -> list[SessionEvent]:
    """What it shows of that."""
    return [effect.event for effect in after(**fields).effects if isinstance(effect, Show)]


def test_limits_of_the_key_are_told_to_whoever_watches() -> None:
    assert LimitsUpdated(provider="p", limits=LIMITS) in ended(limits=LIMITS)
    assert not any(isinstance(event, LimitsUpdated) for event in ended())


def test_limits_are_told_also_when_the_request_failed_for_one_is_that_why() -> None:
    session = Session()
    session.hear(start_turn())
    assert session.state.turn is not None
    assert session.state.turn.sampling is not None
    failure = Failure(kind="rate_limited", message="The limit is reached.")
    request_id = session.state.turn.sampling.request_id
    session.hear(SampleFailed(request_id=request_id, failure=failure, limits=LIMITS))
    told = [effect.event for effect in session.effects if isinstance(effect, Show)]
    assert LimitsUpdated(provider="p", limits=LIMITS) in told


def test_the_thread_counts_what_was_billed_and_the_context_what_was_used() -> None:
    usage, billed = TokenUsage(input=10, output=1, total=11), TokenUsage(input=100, output=5, total=105)
    [told] = [event for event in ended(usage=usage, billed=billed) if isinstance(event, UsageUpdated)]
    assert (told.last, told.total) == (usage, billed)


@pytest.mark.parametrize(
    ("stop", "why", "kind", "words"),
    [
        ("refused", "That would harm.", "refused", "The model declined to answer. That would harm."),
        ("refused", None, "refused", "The model declined to answer."),
        ("context_window", None, "context_window_exceeded", "no longer fits its context window"),
    ],
)
def test_an_answer_that_was_not_given_fails_the_turn_in_the_providers_words(
    stop: StopReason, why: str | None, kind: FailureKind, words: str
) -> None:
    turn = after(stop, why=why).state.turn
    assert turn is not None
    assert turn.closing is not None
    assert turn.closing.failure is not None
    assert turn.closing.failure.kind == kind
    assert words in turn.closing.failure.message
