"""The verbs that need no daemon, as a user types them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from actors.console.main import main

RULES = """\
prefix_rule(pattern=["git", "push"], decision="prompt", justification="it publishes")
prefix_rule(pattern=["ls"])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home/rules").mkdir(parents=True)
    (tmp_path / "home/rules/mine.rules").write_text(RULES)
    return tmp_path / "home"


def callboard(*arguments: str) -> int:
    def serve(_: object) -> int:
        raise AssertionError("no daemon is needed")

    return main(arguments, serve)


def test_rules_check_says_what_decides_and_where_it_stands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert callboard("rules", "check", "ls && git push") == 0
    assert capsys.readouterr().out == (
        "prompt\n"
        f"  allow ls  ({home}/rules/mine.rules:2)\n"
        f"  prompt git push: it publishes  ({home}/rules/mine.rules:1)\n"
    )
    assert callboard("rules", "check", "--", "make", "--json") == 0
    assert capsys.readouterr().out == "no rule decides; the approval policy does\n"


def test_rules_check_as_json_has_the_form_of_the_original(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert callboard("rules", "check", "--json", "/usr/bin/ls", "-l") == 0
    assert json.loads(capsys.readouterr().out) == {
        "matchedRules": [
            {"prefixRuleMatch": {"matchedPrefix": ["ls"], "decision": "allow", "resolvedProgram": "/usr/bin/ls"}}
        ],
        "decision": "allow",
    }
    other = home / "other.rules"
    other.write_text('prefix_rule(pattern=["make"], decision="forbidden", justification="use ninja")')
    assert callboard("rules", "check", "--json", "--rules", str(other), "make") == 0
    assert json.loads(capsys.readouterr().out) == {
        "matchedRules": [
            {"prefixRuleMatch": {"matchedPrefix": ["make"], "decision": "forbidden", "justification": "use ninja"}}
        ],
        "decision": "forbidden",
    }
    assert callboard("rules", "check", "--json", "make") == 0
    assert json.loads(capsys.readouterr().out) == {"matchedRules": []}


def test_rules_check_counts_a_trusted_folders_rules(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = home.parent / "project"
    (project / ".callboard/rules").mkdir(parents=True)
    (project / ".callboard/rules/p.rules").write_text('prefix_rule(pattern=["make"])')
    assert callboard("rules", "check", "-C", str(project), "make") == 0
    assert capsys.readouterr().out.startswith("no rule decides")
    (home / "config.toml").write_text(f'[projects."{project}"]\ntrust_level = "trusted"\n')
    assert callboard("rules", "check", "-C", str(project), "make") == 0
    assert capsys.readouterr().out.startswith("allow\n")


def test_rules_check_fails_where_the_rules_cannot_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "rules/mine.rules").write_text(RULES + "x = 1\n")
    assert callboard("rules", "check", "ls") == 1
    assert capsys.readouterr().err.startswith(f"callboard: {home}/rules/mine.rules:3: only calls of")
    assert callboard("rules", "check", "--rules", str(home / "none"), "ls") == 1
    assert "none" in capsys.readouterr().err
    assert callboard("rules", "check") == 2


PATCH = "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** End Patch"


def test_apply_patch_takes_the_patch_as_an_argument_or_on_standard_input(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = home.parent / "new.txt"
    assert callboard("apply-patch", PATCH) == 0
    assert (new.read_text(), capsys.readouterr().out) == (
        "hello\n",
        "Success. Updated the following files:\nA new.txt\n",
    )
    new.unlink()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PATCH.encode())))
    assert callboard("apply-patch") == 0
    assert new.read_text() == "hello\n"


def test_apply_patch_tells_what_is_wrong_and_how_it_is_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert callboard("apply-patch", "no patch") == 1
    assert capsys.readouterr().err == "Invalid patch: The first line of the patch must be '*** Begin Patch'\n"
    assert callboard("apply-patch", "one", "two") == 2
    assert capsys.readouterr().err.startswith("apply_patch takes exactly one argument.\nUsage: ")
