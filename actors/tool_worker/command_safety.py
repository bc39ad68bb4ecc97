"""Is a command known to be harmless, or to be dangerous? Most are neither.

*Known safe* decides that nobody is asked, so it holds only for a plain list of programs that cannot write, delete,
run or send anything whatever their arguments, or with a check on those. Every loophole here is one that a model could
use on a user who believes to be asked: hence programs only by bare name or from system folders (a patch may have put
an `ls` into the project), no globs (a file may be called `--pre=evil`), no expansion of any kind.

*Dangerous* is a guard rail and no wall: it finds a forced `rm` that is spelled out anywhere in a script. Containment is
the sandbox's business.

Source of both lists: CORE §2.4. Stricter here than there: program paths, globs, `uniq`'s second operand (an output
file) and options in the place of `sed`'s file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from actors.tool_worker.shell_parse import plain_commands, program_name, shell_script, trusted_program
from actors.tool_worker.wrappers import seen_commands

_HARMLESS = frozenset(
    (
        *("cat", "cd", "cut", "echo", "expr", "false", "grep", "head", "id", "ls", "nl", "numfmt", "paste", "pwd"),
        *("rev", "seq", "stat", "tac", "tail", "tr", "true", "uname", "wc", "which", "whoami"),
    )
)
"""Whatever their arguments, these only read and print."""

_FIND_ACTS = frozenset({"-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls"})
_SED_PRINT = re.compile(r"[0-9]+(,[0-9]+)?p")
SED_WORDS_MAX = 4
"""sed -n 1,5p FILE"""


def _is_short_cluster(word: str) -> bool:
    return word.startswith("-") and not word.startswith("--")


def _base64_is_safe(arguments: Sequence[str]) -> bool:
    return not any(word.startswith("--o") or (_is_short_cluster(word) and "o" in word) for word in arguments)


def _find_is_safe(arguments: Sequence[str]) -> bool:
    return not any(word in _FIND_ACTS or word.startswith("-fprint") for word in arguments)


def _rg_is_safe(arguments: Sequence[str]) -> bool:
    """Without the options that start another program."""
    for word in arguments:
        if word.partition("=")[0] in ("--pre", "--hostname-bin", "--search-zip"):
            return False
        if _is_short_cluster(word) and "z" in word:
            return False
    return True


def _sed_is_safe(arguments: Sequence[str]) -> bool:
    """`sed -n N[,M]p [FILE]` and nothing else: sed scripts can write files and run commands."""
    return (
        2 <= len(arguments) < SED_WORDS_MAX
        and arguments[0] == "-n"
        and _SED_PRINT.fullmatch(arguments[1]) is not None
        and not any(word.startswith("-") for word in arguments[2:])
    )


def _uniq_is_safe(arguments: Sequence[str]) -> bool:
    """A second operand would be the output file. An option's separate value counts as one: rather ask."""
    return sum(not word.startswith("-") or word == "-" for word in arguments) <= 1 and "--" not in arguments


_CHECKED: dict[str, Callable[[Sequence[str]], bool]] = {
    "base64": _base64_is_safe,
    "find": _find_is_safe,
    "rg": _rg_is_safe,
    "sed": _sed_is_safe,
    "uniq": _uniq_is_safe,
}


def is_known_safe(argv: Sequence[str]) -> bool:
    """True only for what may run without asking: a safe program, or a shell script of nothing but such."""
    parts = plain_parts(tuple(argv))
    return bool(parts) and all(map(is_safe_program, parts))


def plain_parts(argv: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The plain commands that a call is made of: a shell's script split, anything else as it is.

    Empty where that cannot be said for certain, or the shell is not one that a name can be trusted for.
    """
    script = shell_script(argv)
    if script is None:
        return (argv,) if argv else ()
    return (plain_commands(script) or ()) if trusted_program(argv[0]) is not None else ()


def is_safe_program(argv: tuple[str, ...]) -> bool:
    """Whether this one plain command can only read and print."""
    name = trusted_program(argv[0])
    if name is None:
        return False
    check = _CHECKED.get(name)
    return name in _HARMLESS if check is None else check(argv[1:])


def is_dangerous(argv: Sequence[str]) -> bool:
    """True when a forced `rm` is spelled out: in the argv, or anywhere in a script; behind `sudo` and the like."""
    return any(map(is_forced_removal, seen_commands(argv)))


def is_forced_removal(argv: Sequence[str | None]) -> bool:
    """Whether this one command, as it stands, is `rm` with a word that forces."""
    if not argv or argv[0] is None or program_name(argv[0]) != "rm":
        return False
    for word in argv[1:]:
        if word == "--":
            return False
        if word is None:
            continue
        if _is_short_cluster(word) and "f" in word:
            return True
        if len(word) > len("--") and "--force".startswith(word):  # rm takes a long option shortened
            return True
    return False
