"""The command line of the verbs that list, watch, answer and look: attach, threads, approve, doctor, completion."""

from __future__ import annotations

import argparse
from typing import Any

EXITS = "exit codes: 0 done; 1 it failed, the reason is on standard error; 2 wrong usage; 130 left with Ctrl-C"

EXEC_EXITS = (
    "exit codes: 0 the turn completed; 1 it did not, or there is no daemon; 2 wrong usage; 130 left with Ctrl-C twice"
)
SERVE_EXITS = (
    "exit codes: 0 ended by SIGTERM or by itself; 1 it could not start, the reason is on standard error; "
    "2 wrong usage; 75 another daemon has this home; 130 ended by Ctrl-C"
)

ATTACH = """\
Watch a thread and talk to it, beside whoever else does. THREAD is an id, the end of one as `callboard threads`
shows it, or a name; without it the latest. A line sends a prompt, or steers the turn that runs; !LINE runs a
command of your own. Questions are answered with one key: y, a (also for the rest of the session), n, q.
Ctrl-C interrupts the turn, twice leaves; Ctrl-D leaves. Leaving ends nothing. Without a terminal it only watches.
"""

APPROVE = """\
List the questions that wait for people in all loaded threads, or answer one: QUESTION is the id that the list
shows, or all. `session` says yes to the same again in this session, `quit` says no and ends the turn.
"""

DOCTOR = "Look at what works on this machine and what does not: home, settings, keys, containment, tools, disk, daemon."

COMPLETION = """\
Print a completion script for a shell. For bash, in ~/.bashrc:  eval "$(callboard completion bash)"
for zsh, in ~/.zshrc the same with zsh; for fish:  callboard completion fish > ~/.config/fish/completions/callboard.fish
"""


def add_verbs(verbs: Any) -> None:
    """To the parser's subparsers."""
    attach = _verb(verbs, "attach", "watch a thread and talk to it", ATTACH)
    attach.add_argument("thread", nargs="?", metavar="THREAD", help="which; without it the latest")
    attach.add_argument("--new", action="store_true", help="start a thread instead")
    attach.add_argument("-C", "--cd", default=".", metavar="DIR", help="the folder of a new thread (default: here)")

    threads = _verb(verbs, "threads", "list threads, newest first", "List threads, newest first.")
    threads.add_argument(
        "search", nargs="?", metavar="WORDS", help="only those whose name, beginning or folder has them"
    )
    threads.add_argument("-n", "--limit", type=_positive, default=20, metavar="N", help="at most so many (default 20)")
    threads.add_argument("--json", action="store_true", help="as JSON")

    approve = _verb(verbs, "approve", "list the questions that wait for people, or answer one", APPROVE)
    approve.add_argument("question", nargs="?", metavar="QUESTION", help="which, or all")
    approve.add_argument("decision", nargs="?", choices=["yes", "session", "no", "quit"], help="default yes")
    approve.add_argument("--json", action="store_true", help="list as JSON")

    doctor = _verb(
        verbs, "doctor", "look at what works on this machine", DOCTOR, "exit codes: 0 all that is needed works; 1 not"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")

    completion = _verb(verbs, "completion", "print a shell's completion script", COMPLETION)
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


def _verb(verbs: Any, name: str, about: str, description: str, epilog: str = EXITS) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=about,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number
