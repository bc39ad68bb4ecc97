from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.kernel import Ending
from supervisors.child import ChildSpec
from supervisors.strategy import Backoff, Restart, RestartIntensity, Strategy, concerned, wants_restart
from tests.actors.kernel.support import waiting_actor


@pytest.mark.parametrize(
    ("restart", "returned", "crashed"),
    [("permanent", True, True), ("transient", False, True), ("temporary", False, False)],
)
def test_restart_types(restart: Restart, returned: bool, crashed: bool) -> None:
    assert wants_restart(restart, Ending.RETURNED) is returned
    assert wants_restart(restart, Ending.CRASHED) is crashed


def test_whom_a_restart_concerns() -> None:
    assert {strategy: list(concerned(strategy, 1, 4)) for strategy in Strategy} == {
        Strategy.ONE_FOR_ONE: [1],
        Strategy.ONE_FOR_ALL: [0, 1, 2, 3],
        Strategy.REST_FOR_ONE: [1, 2, 3],
    }


def test_backoff_grows_up_to_its_maximum_and_never_overflows() -> None:
    backoff = Backoff(first_seconds=0.1, factor=2, max_seconds=1, jitter=0)
    delays = [backoff.delay(failures, random.Random(1)) for failures in (1, 2, 3, 4, 5, 10**9)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1, 1]


@given(st.integers(1, 100), st.integers())
def test_jitter_stays_within_its_fraction(failures: int, seed: int) -> None:
    plain, jittered = Backoff(jitter=0), Backoff(jitter=0.2)
    expected = plain.delay(failures, random.Random(0))
    assert 0.8 * expected <= jittered.delay(failures, random.Random(seed)) <= 1.2 * expected


@given(st.integers(0, 5), st.lists(st.floats(0, 10), max_size=60))
def test_no_window_of_a_period_holds_more_restarts_than_the_intensity(intensity: int, gaps: list[float]) -> None:
    """Up to the first refusal; after it the supervisor is gone."""
    limit = RestartIntensity(intensity, 5.0)
    now = 100.0
    allowed: list[float] = []
    for gap in gaps:
        now += gap
        if not limit.allows(now):
            assert len([at for at in allowed if now - at <= 5.0]) == intensity, "it refused without need"
            break
        allowed.append(now)
    for at in allowed:
        assert len([other for other in allowed if at - 5.0 <= other <= at]) <= intensity


def test_a_spec_says_what_is_wrong_with_it() -> None:
    start = waiting_actor()
    with pytest.raises(ValueError, match="no '/'"):
        ChildSpec(id="a/b", start=start)
    with pytest.raises(ValueError, match="cannot be significant"):
        ChildSpec(id="a", start=start, significant=True)
    with pytest.raises(ValueError, match="seconds from 0 on"):
        ChildSpec(id="a", start=start, shutdown=-1)
    with pytest.raises(ValueError, match="period positive"):
        RestartIntensity(1, 0)
