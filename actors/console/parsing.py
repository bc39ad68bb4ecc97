"""The command line of the verbs beside the first few: attach, threads, approve, doctor, completion, config, token."""

from __future__ import annotations

import argparse
from typing import Any

from actors.console import serving_flags
from actors.console.choices import WORDS
from messages.access import SCOPES

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

SCRIPT = """\
Run a script as a model's would be run: the body of an async function in TypeScript, confined, with `tools` and
`context` (docs/scripts.md). Its calls are real calls of a thread, with the same tools, sandbox, policy and approvals.
What it returns is printed on standard output, as JSON. Ctrl-C cancels it and says what became of each call; twice
leaves. No model is asked.
"""

SCRIPT_EXITS = (
    "exit codes: 0 it returned; 1 it did not (an exception, a limit), or there is no daemon; 2 wrong usage; "
    "3 not run: a mistake was seen before its first line; 130 cancelled with Ctrl-C"
)

APPROVE = """\
List the questions that wait for people in all loaded threads, or answer one: QUESTION is the id that the list
shows, or all. `session` says yes to the same again in this session; `always` says yes and keeps the rule that the
list shows, so that commands which start with its words are not asked about again; `quit` says no and ends the turn.
"""

DOCTOR = "Look at what works on this machine and what does not: home, settings, keys, containment, tools, disk, daemon."

SANDBOX = """\
Run a command in the sandbox in which a thread's commands run, to try out what is allowed there. Everything behind
-- is the command. docs/containment.md says what each mode allows; callboard doctor, what enforces it here.
"""

CONFIG = """\
The layers, from weak to strong: built-in, /etc/callboard/config.toml, config.toml in the home, a profile (-p),
.callboard/config.toml of a trusted project, CALLBOARD_* variables, -c KEY=VALUE. docs/settings.md has every setting.
"""

TOKENS = """\
Tokens for clients that are not you. Scopes: observe (see), drive (threads and turns), approve (answer what waits for
a person), admin (everything). A token ends by itself, and can be revoked before. docs/door.md says what each may do.
"""

FEATURES = """\
Switches: each can be set in the file (`[features]`), by --enable and --disable of any verb, and here.
"""

LOGIN = """\
Log in to ChatGPT or Claude, or keep an API key; docs/credentials.md. Without an ACTION: by the browser of this
machine, unless a flag names another way. New threads use the latest login, unless settings or a key in the
environment say otherwise; `callboard login status` tells.
"""
LOGIN_EXITS = (
    "exit codes: 0 done; 1 it failed, the reason is on standard error, or of status: nobody is logged in; "
    "2 wrong usage; 130 left with Ctrl-C"
)

LOGOUT = "Forget a login or a key, and tell the provider's server where that takes tokens back."

TASKS = """\
Tasks that ran in the cloud, of the ChatGPT account the daemon is logged in with (callboard login). docs/backend.md.
"""

APPLY = """\
Apply the latest diff of a task to the working tree, from the top of its git repository. What changed here meanwhile
is merged where that is possible (three-way); where it is not, no file is touched and the conflicts are named.
"""

APPLY_EXITS = (
    "exit codes: 0 applied, or it is there already; 1 the diff could not be had or applied, the reason is on standard "
    "error; 2 wrong usage; 3 conflicts, and nothing was changed"
)

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
    serving_flags.add(attach)

    script = verbs.add_parser("script", help="run a script of your own, as a model's is run")
    actions = script.add_subparsers(dest="script_verb", metavar="VERB", required=True)
    run = actions.add_parser(
        "run",
        help="run a file of TypeScript that calls tools",
        description=SCRIPT,
        epilog=SCRIPT_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("file", metavar="FILE", help="the script; - for standard input")
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="check it and each of its calls, and make none")
    mode.add_argument("--enabled", action="store_true", help="run it (the default)")
    run.add_argument("-C", "--cd", default=".", metavar="DIR", help="the folder to work in (default: here)")
    run.add_argument("--json", action="store_true", help="print the events as JSON lines")
    run.add_argument("--tool", action="append", default=[], metavar="NAME", help="only this may be called; repeatable")
    run.add_argument("--thread", metavar="ID", help="in this thread instead of a new one")
    serving_flags.add(run)
    run.add_argument(
        "--approve-all",
        action="store_true",
        help="make every call without asking; otherwise you are asked, and without a terminal it is declined",
    )
    run.add_argument("--connect", metavar="URL", help="the daemon to use (default: the one running, else our own)")

    threads = _verb(verbs, "threads", "list threads, newest first", "List threads, newest first.")
    threads.add_argument(
        "search", nargs="?", metavar="WORDS", help="only those whose name, beginning or folder has them"
    )
    threads.add_argument("-n", "--limit", type=_positive, default=20, metavar="N", help="at most so many (default 20)")
    threads.add_argument("--json", action="store_true", help="as JSON")
    serving_flags.add(threads)

    approve = _verb(verbs, "approve", "list the questions that wait for people, or answer one", APPROVE)
    approve.add_argument("question", nargs="?", metavar="QUESTION", help="which, or all")
    approve.add_argument("decision", nargs="?", choices=WORDS, help="default yes")
    approve.add_argument("--json", action="store_true", help="list as JSON")

    doctor = _verb(
        verbs, "doctor", "look at what works on this machine", DOCTOR, "exit codes: 0 all that is needed works; 1 not"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")

    sandbox = _verb(
        verbs,
        "sandbox",
        "run a command in a sandbox",
        SANDBOX,
        "exit codes: the command's own; 1 it could not be started, the reason is on standard error",
    )
    modes = ["read-only", "workspace-write", "danger-full-access"]
    sandbox.add_argument("--mode", choices=modes, default="read-only", help="what it may change (default read-only)")
    sandbox.add_argument("-C", "--cd", default=".", metavar="DIR", help="the workspace (default: here)")
    sandbox.add_argument(
        "--writable", action="append", default=[], metavar="DIR", help="with workspace-write: one more folder"
    )
    sandbox.add_argument("--network", action="store_true", help="with the network, and Unix sockets")
    sandbox.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")

    tasks = _verb(verbs, "tasks", "list tasks of your ChatGPT account, or show one", TASKS)
    tasks.add_argument("task", nargs="?", metavar="TASK_ID", help="show this one: an id, or the address of its page")
    tasks.add_argument("-n", "--limit", type=_positive, default=20, metavar="N", help="at most so many (default 20)")
    tasks.add_argument("--json", action="store_true", help="as JSON; of one task, with its diff")
    serving_flags.add(tasks)

    apply = _verb(verbs, "apply", "apply a task's latest diff to the files here", APPLY, APPLY_EXITS)
    apply.add_argument("task", metavar="TASK_ID", help="an id as `callboard tasks` shows it, or its page's address")
    apply.add_argument(
        "-C", "--cd", default=".", metavar="DIR", help="the repository (default: the one of this folder)"
    )
    serving_flags.add(apply)

    completion = _verb(verbs, "completion", "print a shell's completion script", COMPLETION)
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


def add_logins(verbs: Any) -> None:
    """To the parser's subparsers."""
    enter = _verb(verbs, "login", "log in to a provider, or keep a key for it", LOGIN, LOGIN_EXITS)
    enter.add_argument("--provider", metavar="P", help="default: chatgpt; with --with-api-key: openai")
    how = enter.add_mutually_exclusive_group()
    how.add_argument("--with-api-key", action="store_true", help="keep the API key that standard input brings")
    how.add_argument("--device-auth", action="store_true", help="log in on another device, by typing a code there")
    how.add_argument("--token", action="store_true", help="log in with a code that a page shows, pasted here")
    serving_flags.add(enter)
    actions = enter.add_subparsers(dest="action", metavar="ACTION")
    status = actions.add_parser("status", help="who is logged in, where that is kept, and what new threads use")
    status.add_argument("--json", action="store_true", help="as JSON")
    import_ = actions.add_parser("import", help="take over the API key of the Codex CLI's auth.json")
    import_.add_argument("file", nargs="?", metavar="FILE", help="(default: auth.json in $CODEX_HOME or ~/.codex)")
    import_.add_argument(
        "--borrow", action="store_true", help="use its ChatGPT login's token as well, until it ends; it is not renewed"
    )
    # What `login` itself may have been told stays, unless it is said again here.
    import_.add_argument("--provider", metavar="P", default=argparse.SUPPRESS, help="keep it for this one")
    migrate = actions.add_parser("migrate", help="move logins into the store that the settings name")
    migrate.add_argument("--to", choices=["keyring", "file"], help="into this one")
    leave = _verb(verbs, "logout", "forget a login or a key, and tell its server", LOGOUT)
    leave.add_argument("--provider", metavar="P", help="default: all")
    serving_flags.add(leave)


def add_config(verbs: Any) -> None:
    """To the parser's subparsers."""
    config = verbs.add_parser(
        "config",
        help="look at the settings, change them, check them",
        description=CONFIG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 done; 1 it could not be done, the reason is on standard error; 2 wrong usage",
    )
    actions = config.add_subparsers(dest="action", metavar="ACTION", required=True)
    get = actions.add_parser("get", help="print one setting as it is in force")
    get.add_argument("key", metavar="KEY", help="dotted, e.g. listen.address or 'projects.\"/path\".trust_level'")
    set_ = actions.add_parser("set", help="set one in the user's file, or in the profile's with -p")
    set_.add_argument("key", metavar="KEY")
    set_.add_argument("value", metavar="VALUE", help="as TOML, or a bare text")
    actions.add_parser("unset", help="take one out of the file").add_argument("key", metavar="KEY")
    list_ = actions.add_parser("list", help="list what is set")
    list_.add_argument("--all", action="store_true", help="the defaults as well")
    list_.add_argument("--json", action="store_true", help="as JSON, with origins")
    for parser in (get, list_):
        parser.add_argument("--origins", action="store_true", help="and where each value comes from")
    get.add_argument("--show-secrets", action="store_true", help="also what may be a secret")
    actions.add_parser("edit", help="open the file in $VISUAL or $EDITOR, and check it")
    actions.add_parser("check", help="say everything that is wrong, with file and line")
    import_ = actions.add_parser("import", help="take over the settings of the Codex CLI")
    import_.add_argument("file", nargs="?", metavar="FILE", help="(default: config.toml in $CODEX_HOME or ~/.codex)")
    import_.add_argument("--dry-run", action="store_true", help="only say what would be done")
    actions.add_parser("schema", help="print a JSON schema of the file, for editors")
    actions.add_parser("reference", help="print every setting with its default, as Markdown")
    for parser in actions.choices.values():
        serving_flags.add(parser)
        parser.add_argument("-C", "--cd", default=".", metavar="DIR", help="for threads in this folder (default: here)")


def add_features(verbs: Any) -> None:
    """To the parser's subparsers."""
    features = _verb(verbs, "features", "list the switches, and turn them on or off", FEATURES)
    actions = features.add_subparsers(dest="action", metavar="ACTION")
    list_ = actions.add_parser("list", help="each switch, how ready it is, and what it does (the default)")
    for parser in (features, list_):
        parser.add_argument("--json", action="store_true", help="as JSON")
    for name, about in (("enable", "turn them on, in the user's file or the profile's"), ("disable", "or off")):
        actions.add_parser(name, help=about).add_argument("feature", nargs="+", metavar="FEATURE")
    for parser in actions.choices.values():
        parser.add_argument("-p", "--profile", metavar="NAME", help=serving_flags.PROFILE_HELP)
    features.set_defaults(cd=".")


def add_token(verbs: Any) -> None:
    """To the parser's subparsers."""
    token = _verb(verbs, "token", "make, list and revoke tokens for other clients", TOKENS)
    actions = token.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make one and print it, once")
    new.add_argument("name", metavar="NAME", help="whom it is for; the audit log calls its client so")
    new.add_argument(
        "--scope", action="append", choices=SCOPES, required=True, help="what it may do; may be given several times"
    )
    new.add_argument("--expires", default="30d", metavar="TIME", help="90m, 12h, 30d (default 30d, at most 366d)")
    actions.add_parser("list", help="list those made").add_argument("--json", action="store_true", help="as JSON")
    revoke = actions.add_parser("revoke", help="let one count no more")
    revoke.add_argument("token", metavar="ID", help="its id, or its name if only one has it")


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
