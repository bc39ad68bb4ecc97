"""``callboard rules check``: what the rules say of a command, and which of them say it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.console import home as homes
from actors.ports.production import SystemFiles
from actors.settings.layers import CONFIG_FILE, SettingsError, environment_layers, file_layer, merge
from actors.tool_worker.needs import command_need, parts_of
from actors.tool_worker.rules.folders import RuleFolders, trusted_folders
from actors.tool_worker.rules.language import RulesError, parse_rules
from actors.tool_worker.rules.matching import Finding, findings
from actors.tool_worker.wrappers import seen_commands
from messages.rules import RuleSet

OK, FAILED, USAGE = 0, 1, 2


def check(
    command: Sequence[str], *, files: Sequence[str], cwd: str, as_json: bool, environment: Mapping[str, str]
) -> int:
    """Say what the rules make of it; the exit code. One word is a script for the shell."""
    if not command:
        print("callboard rules check: which command? For example: callboard rules check git push", file=sys.stderr)
        return USAGE
    try:
        rules = _given(files) if files else _in_force(cwd, environment)
    except (OSError, SettingsError, RulesError) as error:
        print(f"callboard: {error}", file=sys.stderr)
        return FAILED
    for text in rules.errors:
        print(f"callboard: {text}", file=sys.stderr)
    if rules.errors:
        return FAILED
    argv = ("/bin/bash", "-lc", command[0]) if len(command) == 1 else tuple(command)
    found = _matching(rules, argv)
    finding = command_need(argv, cwd, rules=rules).rule
    decision = None if finding is None else finding.decision
    if as_json:
        told: dict[str, Any] = {"matchedRules": [_as_json(each) for each in found]}
        if decision is not None:
            told["decision"] = decision
        print(msgspec.json.encode(told).decode())
        return OK
    print(decision or "no rule decides; the approval policy does")
    for each in found:
        reason = f": {each.rule.justification}" if each.rule.justification else ""
        print(f"  {each.rule.decision} {shlex.join(each.prefix)}{reason}  ({each.rule.where})")
    return OK


def _given(paths: Sequence[str]) -> RuleSet:
    sets = []
    for path in paths:
        with open(path, "rb") as file:
            sets.append(parse_rules(path, file.read()))
    return RuleSet(
        rules=tuple(rule for each in sets for rule in each.rules),
        executables=tuple(entry for each in sets for entry in each.executables),
    )


def _in_force(cwd: str, environment: Mapping[str, str]) -> RuleSet:
    home = homes.home()
    path = home / CONFIG_FILE
    layers = [file_layer(str(path), path.read_bytes())] if path.exists() else []
    settings = merge(str(home), (*layers, *environment_layers(environment))).settings
    return RuleFolders(SystemFiles(), str(home)).read(trusted_folders(settings.projects, cwd))


def _matching(rules: RuleSet, argv: tuple[str, ...]) -> list[Finding]:
    """Those that say something of a part, each once; of parts that only a shell can tell apart, what is strict."""
    found = [each for part in parts_of(argv) for each in findings(rules, part)]
    found += [each for part in seen_commands(argv) for each in findings(rules, part) if each.rule.decision != "allow"]
    return list({(each.rule, each.prefix, each.resolved_program): each for each in found}.values())


def _as_json(found: Finding) -> dict[str, Any]:
    """In the form the Codex CLI prints."""
    match: dict[str, Any] = {"matchedPrefix": found.prefix, "decision": found.rule.decision}
    if found.rule.justification is not None:
        match["justification"] = found.rule.justification
    if found.resolved_program is not None:
        match["resolvedProgram"] = found.resolved_program
    return {"prefixRuleMatch": match}
