"""Every command that can be seen in a command: behind `sudo` and `env`, in nested scripts, in here-documents of shells.

For warning and forbidding only: what is not found here is not safe because of that. What a program reads from files or
pipes, what variables hold and what `alias` or a wrapper unknown here makes of its words cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from actors.tool_worker.shell_parse import SCRIPT_BYTES_MAX, SHELLS, literal_commands, program_name

Argv = tuple[str | None, ...]
"""The words of a command; None for one that is not spelled out."""

DEPTH_MAX = 8
"""Wrappers within scripts within wrappers: deeper than anybody writes."""


class Wrapper(msgspec.Struct, frozen=True):
    """How a program that runs another is written: its options, then ``operands`` of its own, then the command."""

    valued: frozenset[str] = frozenset()
    """Options whose value is the next word."""
    operands: int = 0


def _wrapper(valued: str = "", *, operands: int = 0) -> Wrapper:
    return Wrapper(frozenset(valued.split()), operands)


_SUDO_VALUED = (
    "-u --user -g --group -h --host -p --prompt -C --close-from -T -r --role --command-timeout -t --type -D --chdir "
    "-R --chroot -U --other-user"
)

WRAPPERS = {
    "sudo": _wrapper(_SUDO_VALUED),
    "doas": _wrapper("-u -C"),
    "env": _wrapper("-u --unset -C --chdir -S --split-string"),
    "nohup": _wrapper(),
    "setsid": _wrapper(),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c --class -n --classdata -p --pid"),
    "stdbuf": _wrapper("-i --input -o --output -e --error"),
    "time": _wrapper("-f --format -o --output"),
    "timeout": _wrapper("-k --kill-after -s --signal", operands=1),
    "flock": _wrapper("-w --timeout -E --conflict-exit-code", operands=1),
    "chroot": _wrapper(operands=1),
    "watch": _wrapper("-n --interval"),
    "xargs": _wrapper("-a --arg-file -d --delimiter -E -I -L --max-lines -n --max-args -P --max-procs -s --max-chars"),
    "command": _wrapper(),
    "coproc": _wrapper(),
    "builtin": _wrapper(),
    "exec": _wrapper("-a"),
    "busybox": _wrapper(),
    "unshare": _wrapper(),
}

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def seen_commands(argv: Sequence[str | None]) -> Iterator[Argv]:
    """The command itself, and every one that can be seen in it."""
    pending: list[tuple[Argv, int]] = [(tuple(argv), 0)]
    room = SCRIPT_BYTES_MAX
    while pending:
        command, depth = pending.pop()
        if not command:
            continue
        yield command
        if depth == DEPTH_MAX:
            continue
        found = list(_wrapped(command))
        for script in _scripts(command):
            room -= len(script)
            found += literal_commands(script) if room >= 0 else ()
        pending += [(inner, depth + 1) for inner in reversed(found)]


def _scripts(argv: Argv) -> Iterator[str]:
    """The shell scripts among a command's words."""
    name = None if argv[0] is None else program_name(argv[0])
    if name == "eval":
        yield " ".join(word for word in argv[1:] if word is not None)
    if name in SHELLS:
        words = iter(argv[1:])
        for word in words:
            if word is None or not word.startswith(("-", "+")):
                return
            if not word.startswith("--") and "c" in word[1:]:
                script = next((each for each in words if each is None or not each.startswith(("-", "+"))), None)
                if script is not None:
                    yield script
                return
            if word in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
                next(words, None)


def _wrapped(argv: Argv) -> Iterator[Argv]:
    """The commands a wrapper would run."""
    name = None if argv[0] is None else program_name(argv[0])
    if name == "find":
        for index, word in enumerate(argv):
            if word in _FIND_RUNS:
                yield argv[index + 1 :]
        return
    wrapper = WRAPPERS.get(name or "")
    if wrapper is None:
        return
    words = list(argv[1:])
    operands = wrapper.operands
    while words:
        word = words[0]
        if word is not None and word.startswith("-") and len(word) > 1:
            words.pop(0)
            if word == "--":
                words = words[operands:]
                break
            if word in ("-S", "--split-string") and words and words[0] is not None:
                words = [*words.pop(0).split(), *words]  # type: ignore[union-attr]  # looked at just above
            elif word in wrapper.valued and words:
                words.pop(0)
        elif word is not None and _ASSIGNMENT.match(word):
            words.pop(0)
        elif operands:
            words.pop(0)
            operands -= 1
        else:
            break
    if words:
        yield tuple(words)
