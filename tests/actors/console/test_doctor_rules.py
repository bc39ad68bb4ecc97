"""What ``callboard doctor`` says of the rules."""

from __future__ import annotations

from pathlib import Path

from actors.console.doctor import Finding, rules_finding


def test_rules_that_can_be_read_are_counted(tmp_path: Path) -> None:
    assert rules_finding(tmp_path, {}) == Finding(status="ok", summary="0 rules are in force here")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/mine.rules").write_text('prefix_rule(pattern=["ls"])\n')
    assert rules_finding(tmp_path, {}) == Finding(status="ok", summary="1 rules are in force here")


def test_a_broken_rules_file_fails_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    path = tmp_path / "rules/mine.rules"
    path.write_text('prefix_rule(pattern=["ls"])\nnonsense(1)\n')
    found = rules_finding(tmp_path, {})
    assert (found.status, found.remediation is not None) == ("fail", True)
    assert found.summary.startswith(f"the rules cannot be read: {path}:2: ")
