"""How a command is shown to people: as one line, and as what it does ("reads a file", "searches").

Describing is not deciding: nothing here is used to judge safety, so a glob is fine and a wrong guess harmless. A script
with one part that is not recognised is shown whole, as `unknown`, rather than as the half we understood.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

from actors.tool_worker.shell_parse import program_name, shell_script, tree_commands
from messages.client.item import CommandAction, ListFilesAction, ReadAction, SearchAction, UnknownAction

_PLUMBING = frozenset({"cd", "true", "wc", "sort", "uniq", "tr", "cut", "column", "nl", "tee", "rev", "tac", "paste"})
"""Between the commands that matter; not worth a line of their own. Alone, they are unknown like any other."""

_GREPS = frozenset({"grep", "egrep", "fgrep", "ag", "ack"})
_VALUE_OPTIONS = {
    "ls": frozenset({"-I", "--ignore", "-w", "-T"}),
    "tree": frozenset({"-L", "-I", "-P"}),
    "du": frozenset({"-d", "--max-depth", "--exclude"}),
    "rg": frozenset({"-g", "--glob", "-t", "--type", "-T", "--type-not", "-A", "-B", "-C", "-m", "-d", "-j", "--sort"}),
    "grep": frozenset({"-A", "-B", "-C", "-m", "-d"}),
    "fd": frozenset({"-e", "--extension", "-t", "--type", "-d", "--max-depth", "-E", "--exclude"}),
    "head": frozenset({"-n", "-c"}),
    "tail": frozenset({"-n", "-c"}),
}
"""Options whose value is the next word, so that it is not taken for a path."""


def display_command(argv: Sequence[str]) -> str:
    """The argv as one line a person could paste into a shell: `/bin/bash -lc 'make test'`."""
    return shlex.join(argv)


def command_actions(argv: Sequence[str], cwd: str) -> tuple[CommandAction, ...]:
    """What the command does, part by part; one `unknown` with the whole script if any part is not recognised."""
    argv = tuple(argv)
    script = shell_script(argv)
    whole = display_command(argv) if script is None else script
    commands = (argv,) if script is None else tree_commands(script, globs=True)
    actions: list[CommandAction] = []
    for command in commands or ():
        if command[0] == "cd" and len(command) == 2:
            cwd = posixpath.normpath(posixpath.join(cwd, command[1]))
        action = _action(command, cwd)
        if action is not None:
            actions.append(action)
        elif not _is_plumbing(command):
            return (UnknownAction(command=whole),)
    return tuple(actions) or (UnknownAction(command=whole),)


def _is_plumbing(argv: tuple[str, ...]) -> bool:
    name = program_name(argv[0])
    return name in _PLUMBING or (name in ("head", "tail") and not _operands(argv)) or (name == "sed" and len(argv) == 3)


def _action(argv: tuple[str, ...], cwd: str) -> CommandAction | None:
    shown = display_command(argv)
    operands = _operands(argv)
    match program_name(argv[0]):
        case "cat" | "bat" | "less" | "more" | "head" | "tail" | "nl" if len(operands) == 1:
            return _read(shown, operands[0], cwd)
        case "sed" if len(argv) == 4 and argv[1] == "-n":
            return _read(shown, argv[3], cwd)
        case "ls" | "eza" | "exa" | "tree" | "du":
            return ListFilesAction(command=shown, path=_first(operands))
        case "rg" if "--files" in argv:
            return ListFilesAction(command=shown, path=_first(operands))
        case "rg" if operands:
            return SearchAction(command=shown, query=operands[0], path=_first(operands[1:]))
        case name if name in _GREPS and operands:
            return SearchAction(command=shown, query=operands[0], path=_first(operands[1:]))
        case "git":
            return _git(argv, shown)
        case "fd" if operands:
            return SearchAction(command=shown, query=operands[0], path=_first(operands[1:]))
        case "find":
            return _find(argv, shown)
        case _:
            return None


def _read(shown: str, path: str, cwd: str) -> ReadAction:
    full = posixpath.normpath(posixpath.join(cwd, path))
    return ReadAction(command=shown, name=posixpath.basename(full), path=full)


def _git(argv: tuple[str, ...], shown: str) -> CommandAction | None:
    operands = _operands(argv)
    match operands[:1]:
        case ("ls-files",):
            return ListFilesAction(command=shown, path=_first(operands[1:]))
        case ("grep",) if len(operands) > 1:
            return SearchAction(command=shown, query=operands[1], path=_first(operands[2:]))
        case _:
            return None


def _find(argv: tuple[str, ...], shown: str) -> CommandAction | None:
    if any(word.startswith(("-exec", "-ok", "-delete", "-f")) for word in argv):
        return None
    path = argv[1] if len(argv) > 1 and not argv[1].startswith("-") else None
    for option in ("-name", "-iname", "-path", "-regex"):
        if option in argv[:-1]:
            return SearchAction(command=shown, query=argv[argv.index(option) + 1], path=path)
    return ListFilesAction(command=shown, path=path)


def _operands(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The words that are neither options nor, as far as known, their values."""
    name = program_name(argv[0])
    with_value = _VALUE_OPTIONS.get("grep" if name in _GREPS else name, frozenset())
    operands: list[str] = []
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            operands += words
        elif word in with_value:
            next(words, None)
        elif not word.startswith("-") or word == "-":
            operands.append(word)
    return tuple(operands)


def _first(words: tuple[str, ...]) -> str | None:
    return words[0] if words else None
