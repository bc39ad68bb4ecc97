"""The order of a response's calls: parallel-safe ones together, the others alone and in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.session.scheduling import Place, Waiting, may_start


def test_parallel_safe_calls_start_together_and_a_writer_waits_for_all_before_it() -> None:
    calls = [Waiting("ready", True), Waiting("ready", True), Waiting("ready", False), Waiting("ready", True)]
    assert may_start(calls) == [0, 1]
    calls[0] = Waiting("over", True)
    calls[1] = Waiting("running", True)
    assert may_start(calls) == []
    calls[1] = Waiting("over", True)
    assert may_start(calls) == [2]
    calls[2] = Waiting("running", False)
    assert may_start(calls) == []
    calls[2] = Waiting("over", False)
    assert may_start(calls) == [3]


def test_a_call_not_known_to_be_safe_yet_holds_back_what_follows_it() -> None:
    assert may_start([Waiting("waiting", False), Waiting("ready", True)]) == []


def test_a_parallel_safe_call_that_waits_for_a_person_lets_its_siblings_pass() -> None:
    assert may_start([Waiting("waiting", True), Waiting("ready", True), Waiting("ready", False)]) == [1]


@given(st.lists(st.booleans(), max_size=8), st.data())
def test_any_run_keeps_the_lock_and_always_gets_to_the_end(safe: list[bool], data: st.DataObject) -> None:
    places: list[Place] = ["waiting"] * len(safe)
    started: list[int] = []
    while any(place != "over" for place in places):
        starts = may_start([Waiting(place, flag) for place, flag in zip(places, safe, strict=True)])
        for index in starts:
            places[index] = "running"
            started.append(index)
        running = [index for index, place in enumerate(places) if place == "running"]
        if len(running) > 1:
            assert all(safe[index] for index in running), "a writer never runs beside another call"
        for index in running:
            if not safe[index]:
                assert all(places[before] == "over" for before in range(index)), "a writer waits for all before it"
                assert all(places[behind] in ("waiting", "ready") for behind in range(index + 1, len(safe)))
        movable = [index for index, place in enumerate(places) if place in ("waiting", "running")]
        assert movable, "calls that are all ready never wait for one another"
        index = data.draw(st.sampled_from(movable))
        places[index] = "ready" if places[index] == "waiting" else "over"
    assert sorted(started) == list(range(len(safe))), "each call started exactly once"
    writers = [index for index in started if not safe[index]]
    assert writers == sorted(writers), "writers run in the model's order"
