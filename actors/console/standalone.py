"""Verbs that need no daemon and ask nobody: ``callboard rules check`` and ``callboard apply-patch``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Final

RULES: Final = """\
What your rules say of a command, as the daemon would find it: those of CALLBOARD_HOME/rules/*.rules, and of
.callboard/rules/*.rules in folders you trust. One argument is a line for the shell, several are a program and its
arguments. docs/approvals.md tells how rules are written.
"""
RULES_EXITS: Final = "exit codes: 0 told; 1 a rules file cannot be read, the reason is on standard error; 2 wrong usage"

PATCH: Final = """\
Apply a patch in the format of the apply_patch tool to the files of this folder; the patch is the argument, or comes on
standard input. Hunks are applied in order; when one fails, those before it stay.
"""
PATCH_EXITS: Final = "exit codes: 0 applied; 1 not, or not all of it, the reason is on standard error; 2 wrong usage"


def add_verbs(verbs: Any) -> None:
    """To the parser's subparsers."""
    rules = verbs.add_parser("rules", help="try your rules on commands")
    actions = rules.add_subparsers(dest="rules_verb", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="say what the rules make of a command",
        description=RULES,
        epilog=RULES_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "--rules", action="append", default=[], metavar="FILE", help="these files, instead of those that apply here"
    )
    check.add_argument("-C", "--cd", default=".", metavar="DIR", help="where the command would run (default: here)")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command, after -- if need be")
    patch = verbs.add_parser(
        "apply-patch",
        help="apply a patch to the files of this folder",
        description=PATCH,
        epilog=PATCH_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    patch.add_argument("patch", nargs="*", metavar="PATCH", help="the patch; without it, standard input")


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    if options.verb == "apply-patch":
        return _apply_patch(options.patch)
    from actors.console import rules

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    return rules.check(
        command, files=options.rules, cwd=os.path.abspath(options.cd), as_json=options.json, environment=os.environ
    )


def _apply_patch(arguments: list[str]) -> int:
    from actors.ports.production import SystemFiles
    from actors.tool_worker.patch.command import run_command

    stdin = b"" if arguments else sys.stdin.buffer.read()
    result = run_command(["apply_patch", *arguments], stdin, os.getcwd(), SystemFiles())
    sys.stdout.write(result.stdout)
    sys.stdout.flush()
    sys.stderr.write(result.stderr)
    return result.exit_code
