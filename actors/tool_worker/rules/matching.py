"""A command and the rules -> what they say of it. Pure.

`findings` is about one plain command (`git push origin`), `judge` about all parts of a call. The strictest word wins:
forbidden > prompt > allow. A script is allowed only when *every* part is; it is forbidden when *any* part is, wherever
in it that part stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.tool_worker.shell_parse import TRUSTED_DIRECTORIES, program_name
from messages.approval import RuleDecision, RuleFinding
from messages.rules import PrefixRule, RuleSet

STRICTNESS: tuple[RuleDecision, ...] = ("allow", "prompt", "forbidden")

Argv = tuple[str | None, ...]
"""The words of a command; None for one that is not spelled out."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that covers a command, and the words it covers."""

    rule: PrefixRule
    prefix: tuple[str, ...]
    resolved_program: str | None = None
    """The path the command named, when the rule knows the program by its bare name."""


def covers(rule: PrefixRule, argv: Sequence[str | None]) -> bool:
    """Whether the command begins with words of the pattern, each in its place."""
    return len(argv) >= len(rule.pattern) and all(
        word in token for token, word in zip(rule.pattern, argv, strict=False)
    )


def findings(rules: RuleSet, argv: Argv) -> tuple[Finding, ...]:
    """Every rule that covers one command. Where none knows it by its path, its bare name is tried."""
    found = _covering(rules, argv)
    if found or not argv or argv[0] is None or "/" not in argv[0]:
        return found
    path = argv[0]
    by_name = _covering(rules, (program_name(path), *argv[1:]))
    return tuple(
        msgspec.structs.replace(each, resolved_program=path)
        for each in by_name
        if each.rule.decision != "allow" or _is_host_executable(rules, path)
    )


def strictest(found: Iterable[Finding]) -> Finding | None:
    """The one that decides; of equally strict ones the last, which stands in the file of highest precedence."""
    deciding: Finding | None = None
    for each in found:
        if deciding is None or _rank(each) >= _rank(deciding):
            deciding = each
    return deciding


def judge(rules: RuleSet, exact: Sequence[Argv], anywhere: Iterable[Argv]) -> RuleFinding | None:
    """What the rules say of a call. None: nothing that would decide it.

    ``exact``: the plain commands it is made of, all of them. ``anywhere``: every command that can be seen in it, behind
    wrappers and in substitutions, too; there only `prompt` and `forbidden` count.
    """
    if not rules.rules:
        return None
    parts = [strictest(findings(rules, argv)) for argv in exact]
    seen = [found for argv in anywhere for found in findings(rules, argv) if found.rule.decision != "allow"]
    deciding = strictest([*(part for part in parts if part is not None), *seen])
    if deciding is None or (deciding.rule.decision == "allow" and None in parts):
        return None
    return RuleFinding(
        decision=deciding.rule.decision, prefix=deciding.prefix, justification=deciding.rule.justification
    )


def is_allowed(rules: RuleSet, argv: Argv) -> bool:
    """Whether the rules allow this one command."""
    deciding = strictest(findings(rules, argv))
    return deciding is not None and deciding.rule.decision == "allow"


def _covering(rules: RuleSet, argv: Argv) -> tuple[Finding, ...]:
    return tuple(
        Finding(rule=rule, prefix=tuple(word for word in argv[: len(rule.pattern)] if word is not None))
        for rule in rules.rules
        if covers(rule, argv)
    )


def _is_host_executable(rules: RuleSet, path: str) -> bool:
    """Whether a path is the program that its bare name stands for: a patch may have put a `git` anywhere else."""
    listed = [each for each in rules.executables if each.name == program_name(path)]
    if listed:
        return any(path in each.paths for each in listed)
    return path.removesuffix(program_name(path)) in TRUSTED_DIRECTORIES


def _rank(found: Finding) -> int:
    return STRICTNESS.index(found.rule.decision)
