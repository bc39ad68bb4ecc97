"""What a sweep does with processes that it may not kill. (What it may kill is tested on real ones.)"""

from __future__ import annotations

import pytest

from actors.tool_worker.launcher.outside import kernel


def sweep_of(monkeypatch: pytest.MonkeyPatch, *listings: tuple[int, ...]) -> int:
    """A sweep that finds these children, one listing after the other, and may kill those below 100."""
    found = list(listings)
    monkeypatch.setattr(kernel, "reap", list)
    monkeypatch.setattr(kernel, "children", lambda: found.pop(0) if len(found) > 1 else found[0])
    monkeypatch.setattr(kernel, "kill_quietly", lambda pid, number: pid < 100)
    monkeypatch.setattr(kernel, "SWEEP_STEP_SECONDS", 0)
    monkeypatch.setattr(kernel, "UNKILLABLE_SECONDS", 0.01)
    return kernel.sweep(frozenset({7}))


def test_nothing_is_left_when_only_the_spared_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_of(monkeypatch, (7, 8, 9), (7, 9), (7,)) == 0


def test_one_that_may_not_be_killed_is_waited_for_and_may_end_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_of(monkeypatch, (8, 101), (101,), (101,), ()) == 0


def test_one_that_may_not_be_killed_and_stays_is_counted_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweep_of(monkeypatch, (8, 101, 102), (101, 102)) == 2
