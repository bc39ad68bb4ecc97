"""What is said of a command before anybody judges it: its risk, what the rules say, and which rule could be added."""

from __future__ import annotations

import pytest

from actors.tool_worker.needs import AMENDMENT_CHARS_MAX, command_need, is_too_broad, patch_need
from actors.tool_worker.rules.language import parse_rules
from actors.tool_worker.shell_parse import heredoc_command
from messages.approval import CommandNeed, PatchNeed, RuleFinding
from messages.rules import RuleSet

RULES = parse_rules(
    "r",
    b"""
prefix_rule(pattern=["git", ["fetch", "status"]])
prefix_rule(pattern=["git", "push"], decision="prompt", justification="it publishes")
prefix_rule(pattern=["shutdown"], decision="forbidden")
prefix_rule(pattern=["rm"])
prefix_rule(pattern=["python3", "-"])
""",
)


def need(text: str, rules: RuleSet = RULES, prefix: tuple[str, ...] | None = None) -> CommandNeed:
    return command_need(("/bin/bash", "-lc", text), "/p", rules=rules, suggested_prefix=prefix)


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("git fetch origin", "allow"),
        ("git fetch && git status", "allow"),
        ("/usr/bin/git fetch", "allow"),
        ("rm -rf build", "allow"),
        ("python3 - <<'E'\nprint(1)\nE", "allow"),
        ("git fetch && make", None),
        ("git fetch && ls", None),
        ("git pull", None),
        ("./git fetch", None),
        ("/tmp/git fetch", None),
        ("git fetch $X", None),
        ("git fetch > log", None),
        ("A=1 git fetch", None),
        ("git 'fetch", None),
        ("git push", "prompt"),
        ("/tmp/git push", "prompt"),
        ("git fetch; git push -f", "prompt"),
        ("git push > log 2>&1", "prompt"),
        ("echo $(git push)", "prompt"),
        ("sudo -u me env A=1 git push", "prompt"),
        ("bash -c 'git push'", "prompt"),
        ("if make; then git push; fi", "prompt"),
        ("git push; shutdown now", "forbidden"),
        ("find . -exec shutdown {} +", "forbidden"),
        ("make", None),
    ],
)
def test_the_strictest_word_of_the_rules_counts_and_allow_only_for_all_of_it(text: str, decision: str | None) -> None:
    rule = need(text).rule
    assert (None if rule is None else rule.decision) == decision


def test_a_finding_says_which_words_and_why() -> None:
    assert need("git push origin").rule == RuleFinding(
        decision="prompt", prefix=("git", "push"), justification="it publishes"
    )


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("git fetch && ls", "known_safe"),
        ("git fetch && make", "unknown"),
        ("rm -rf x && make", "unknown"),
        ("sudo rm -rf x", "forced_removal"),
        ("git fetch; ls > x; rm -f y", "forced_removal"),
        ("python3 - <<'E'\nprint(1)\nE", "unknown"),
    ],
)
def test_risk_is_that_of_the_parts_no_rule_allows(text: str, risk: str) -> None:
    assert need(text).risk == risk


@pytest.mark.parametrize(
    ("text", "proposed"),
    [
        ("make test", ("make", "test")),
        ("touch a && echo b", ("touch", "a")),
        ("git fetch && touch a", ("touch", "a")),
        ("ls && pwd", ("ls",)),
        ("echo $HOME", ("/bin/bash", "-lc", "echo $HOME")),
        ("bash", None),
        ("python3.11 -c", None),
        ("git push", None),
        ("git fetch", None),
        ("sudo rm -f x", None),
        ("cat <<'E'\nx\nE", None),
        ("make " + "x" * AMENDMENT_CHARS_MAX, None),
    ],
)
def test_the_first_part_that_is_asked_about_is_what_a_rule_could_allow(
    text: str, proposed: tuple[str, ...] | None
) -> None:
    assert need(text).amendment == proposed


@pytest.mark.parametrize(
    ("text", "prefix", "proposed"),
    [
        ("npm run build", ("npm", "run"), ("npm", "run")),
        ("git fetch && npm run build", ("npm",), ("npm",)),
        ("npm run build && npm test", ("npm", "run"), ("npm", "run", "build")),
        ("npm run build", ("yarn",), ("npm", "run", "build")),
        ("python3 x.py", ("python3",), ("python3", "x.py")),
        ("bash -c x", ("bash", "-c"), ("bash", "-c", "x")),
        ("npm run $X", ("npm",), ("/bin/bash", "-lc", "npm run $X")),
        ("npm test", (), ("npm", "test")),
    ],
)
def test_the_models_own_prefix_is_taken_if_it_is_all_it_takes_and_not_too_broad(
    text: str, prefix: tuple[str, ...], proposed: tuple[str, ...]
) -> None:
    assert need(text, prefix=prefix).amendment == proposed


def test_a_rule_that_was_proposed_and_accepted_allows_the_command() -> None:
    for text in ("make test", "touch a && ls", "echo $HOME > x", "npm 'run all'"):
        proposed = need(text, RuleSet()).amendment
        assert proposed is not None
        line = f"prefix_rule(pattern={list(proposed)!r})".encode()
        after = need(text, parse_rules("r", line))
        assert after.risk == "known_safe" or (after.rule is not None and after.rule.decision == "allow")


def test_rules_that_cannot_be_read_leave_no_room_for_another() -> None:
    found = need("make", RuleSet(errors=("r:1: what", "s:2: more")))
    assert (found.rules_error, found.amendment) == ("r:1: what", None)


@pytest.mark.parametrize("prefix", [("bash",), ("/bin/sh", "-c"), ("python3.12",), ("git",), ("env",), ("node", "-e")])
def test_bare_interpreters_are_too_broad(prefix: tuple[str, ...]) -> None:
    assert is_too_broad(prefix)
    assert not is_too_broad((*prefix, "x", "y"))


@pytest.mark.parametrize(
    ("script", "argv"),
    [
        ("cat <<E\nx\nE", ("cat",)),
        ("python3 - a <<'E'\nimport os; os.system('$x')\nE\n", ("python3", "-", "a")),
        ('cat <<"E"\n$x\nE', ("cat",)),
        ("cat <<E\n$(rm x)\nE", None),
        ("cat <<E\n`rm x`\nE", None),
        ("cat <<E > out\nx\nE", None),
        ("cat <<E | sh\nx\nE", None),
        ("cat <<E; rm x\nx\nE", None),
        ("cat <<E\nx\nE\nrm x", None),
        ("cat <<'E'\nx\nE\nrm x\nE", None),
        ("cat <<E <<F\nx\nE\ny\nF", None),
        ("A=1 cat <<E\nx\nE", None),
        ("cat $x <<E\nx\nE", None),
        ("cat <<-E\n\tx\n\tE", None),
        ("cat", None),
        ("", None),
    ],
)
def test_one_command_with_a_here_document_is_known_by_its_words(script: str, argv: tuple[str, ...] | None) -> None:
    assert heredoc_command(script) == argv


def test_outside_is_judged_by_where_a_path_leads() -> None:
    paths = (
        ("/p/a", "/p/a"),
        ("/p/link", "/etc/passwd"),
        ("/prefix/x", "/prefix/x"),
        ("/p/.git/hooks/pre-commit", "/p/.git/hooks/pre-commit"),
        ("/p/sub/.gitignore", "/p/sub/.gitignore"),
        ("/extra/y", "/extra/y"),
    )
    assert patch_need(paths, ("/p", "/extra/")) == PatchNeed(
        paths=tuple(named for named, _ in paths),
        outside=("/etc/passwd", "/prefix/x", "/p/.git/hooks/pre-commit"),
    )
    assert patch_need((("/etc/x", "/etc/x"),), ("/",)).outside == ()
    assert patch_need((("/p/a", "/p/a"),), (), "read-only").outside == ("/p/a",)
    assert patch_need((("/p/a", "/p/a"),), ("/p",), "read-only").outside == (), "that was granted"
