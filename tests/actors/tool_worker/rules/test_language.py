"""Rules files are read, never run; what is wrong in one is told with its line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.rules.language import FILE_BYTES_MAX, RulesError, parse_rules, rule_source
from actors.tool_worker.rules.matching import covers
from messages.rules import HostExecutable, PrefixRule, RuleSet


def test_a_file_of_everything_there_is() -> None:
    assert parse_rules(
        "/r/a.rules",
        b'''# what may be pushed
"""a text by itself"""
prefix_rule(
    pattern = ["git", ["push", "fetch"]],
    decision = "prompt",  # people decide
    justification = " it publishes ",
    match = [["git", "push", "origin"], "git fetch 'a b'"],
    not_match = ["git pull", ["push"]],
)
prefix_rule(pattern=("ls",))
host_executable(name="git", paths=["/usr/bin/git", "/opt/git/bin/git"])
network_rule(host="example.org", protocol="https", decision="allow")
''',
    ) == RuleSet(
        rules=(
            PrefixRule(
                pattern=(("git",), ("push", "fetch")),
                decision="prompt",
                justification="it publishes",
                where="/r/a.rules:3",
            ),
            PrefixRule(pattern=(("ls",),), where="/r/a.rules:10"),
        ),
        executables=(HostExecutable(name="git", paths=("/usr/bin/git", "/opt/git/bin/git")),),
        warnings=("/r/a.rules:12: network_rule has no effect: nothing filters hosts",),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nx = 1", "r:2: only calls of prefix_rule, host_executable, network_rule are read here"),
        ("load('x')", "r:1: only calls of"),
        ("def f(): pass", "r:1: only calls of"),
        ("[prefix_rule(pattern=['a']) for x in y]", "r:1: only calls of"),
        ("prefix_rule.x(pattern=['a'])", "r:1: only calls of"),
        ("__import__('os').system('x')", "r:1: only calls of"),
        ("prefix_rule(['a'])", "r:1: prefix_rule takes its arguments by name"),
        ("prefix_rule(pattern=['a'], why='b')", "r:1: prefix_rule knows no 'why'; it takes pattern"),
        ("prefix_rule(**{})", "r:1: prefix_rule knows no **"),
        ("prefix_rule(\n  decision='allow')", "r:1: prefix_rule needs pattern"),
        ("prefix_rule(pattern=[])", "r:1: pattern must not be empty"),
        ("prefix_rule(pattern='a')", "r:1: pattern must be a list"),
        ("prefix_rule(pattern=['a', []])", "r:1: a list of words must not be empty"),
        ("prefix_rule(pattern=['a', 1])", "r:1: a word of the pattern must be a text in quotes"),
        ("prefix_rule(pattern=['a' + 'b'])", "r:1: a word of the pattern must be a text in quotes"),
        ("prefix_rule(pattern=[f'a{b}'])", "r:1: a word of the pattern must be a text in quotes"),
        ("prefix_rule(pattern=[b'a'])", "r:1: a word of the pattern must be a text in quotes"),
        ("prefix_rule(pattern=['a', ['b', ['c']]])", "r:1: a word of the pattern must be a text in quotes"),
        ("prefix_rule(pattern=[''])", "r:1: a word of the pattern must not be empty"),
        (
            "prefix_rule(pattern=['a'],\n  decision='maybe')",
            "r:2: decision must be one of allow, prompt, forbidden, not 'maybe'",
        ),
        ("prefix_rule(pattern=['a'], justification=' ')", "r:1: justification must not be empty"),
        (
            "prefix_rule(pattern=['a', 'b'],\n  match=['a b',\n  'a c'])",
            "r:3: the rule does not match its own example 'a c'",
        ),
        ("prefix_rule(pattern=['a'], not_match=['a c'])", "r:1: the rule matches 'a c', which it says it does not"),
        ("prefix_rule(pattern=['a'], match=['a \"'])", "r:1: an example cannot be split into words"),
        ("prefix_rule(pattern=['a'], match=[''])", "r:1: an example must not be empty"),
        ("host_executable(name='/a', paths=[])", "r:1: name must be a bare program name, not '/a'"),
        ("host_executable(name='a', paths=['b/a'])", "r:1: 'b/a' is not an absolute path to a program called 'a'"),
        ("host_executable(name='a', paths=['/b'])", "r:1: '/b' is not an absolute path to a program called 'a'"),
        ("prefix_rule(pattern=['a'", "r:1: "),
        ('\n\nprefix_rule(pattern=["a]', "r:3: "),
        ("prefix_rule(pattern=['a'])\0", "r:1: "),
        ("(" * 3000, "r:1: "),
        ("a" + ".b" * 100_000, "r:1: "),
        ("prefix_rule(pattern=['a'])\n" * (FILE_BYTES_MAX // 20), "r:1: the file is larger than"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(RulesError) as raised:
        parse_rules("r", text.encode())
    assert str(raised.value).startswith(told)


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(RulesError, match="r:2: this is not UTF-8"):
        parse_rules("r", b"#\n\xff")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_rule_that_is_written_is_read_back_as_it_was(words: list[str]) -> None:
    prefix = tuple(words)
    [rule] = parse_rules("r", rule_source(prefix).encode()).rules
    assert rule.pattern == tuple((word,) for word in prefix)
    assert rule.decision == "allow"
    assert covers(rule, (*prefix, "more"))
    assert not covers(rule, prefix[:-1])


@given(st.text())
def test_no_text_does_anything_but_parse_or_fail(text: str) -> None:
    with suppress(RulesError):
        assert parse_rules("r", text.encode("utf-8", "surrogatepass")) == RuleSet()
