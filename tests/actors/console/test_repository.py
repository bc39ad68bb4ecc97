"""The demo's repository has a real bug that one line mends."""

from __future__ import annotations

from pathlib import Path

from actors.console import repository


def test_the_tests_fail_as_made_and_pass_once_a_minute_has_sixty_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "tempo"
    repository.make(folder)
    assert not repository.tests_pass(folder)
    source = folder / "tempo.py"
    source.write_text(source.read_text().replace('"m": 6,', '"m": 60,'))
    assert repository.tests_pass(folder)
