"""When a failed attempt is followed by another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.retry import ATTEMPTS, MAX_DELAY_SECONDS, delay_before_retry
from messages.failure import Failure

PASSING = Failure(kind="server_error", message="", retryable=True)


def test_without_jitter_the_delays_double_from_a_quarter_of_a_second_to_four() -> None:
    delays = [delay_before_retry(PASSING, failed_attempts=n, random=0.5) for n in range(1, 7)]
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, None]


@given(failed=st.integers(1, ATTEMPTS - 1), dice=st.floats(0, 1, exclude_max=True))
def test_jitter_is_a_fifth_to_either_side_and_never_beyond_the_limit(failed: int, dice: float) -> None:
    delay = delay_before_retry(PASSING, failed_attempts=failed, random=dice)
    middle = delay_before_retry(PASSING, failed_attempts=failed, random=0.5)
    assert delay is not None
    assert middle is not None
    assert 0.8 * middle <= delay <= min(1.2 * middle, MAX_DELAY_SECONDS)


def test_a_server_that_says_when_is_believed_up_to_two_minutes() -> None:
    def asked(seconds: float) -> float | None:
        failure = Failure(kind="rate_limited", message="", retryable=True, retry_after_seconds=seconds)
        return delay_before_retry(failure, failed_attempts=1, random=0.5)

    assert asked(0.05) == 0.05
    assert asked(120.0) == 120.0
    assert asked(120.1) is None
    assert asked(0.0) == 0.25


def test_what_is_not_retryable_is_final_whatever_the_server_says() -> None:
    failure = Failure(kind="quota_exhausted", message="", retry_after_seconds=1.0)
    assert delay_before_retry(failure, failed_attempts=1, random=0.5) is None


def test_the_number_of_attempts_is_the_providers_setting() -> None:
    assert delay_before_retry(PASSING, failed_attempts=1, attempts=1, random=0.5) is None
    assert delay_before_retry(PASSING, failed_attempts=1, attempts=2, random=0.5) == 0.25
