"""The command line: which verb runs what. ``callboard`` alone says what it is and how the daemon is.

`serve` needs the supervisors, which actors may not import: whoever owns the entry point hands it in. Each verb imports
what it needs when it runs: a daemon that starts must not wait for the console's drawing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

import msgspec

DESCRIPTION = """\
callboard hosts many LLM coding-agent sessions in one daemon. Clients attach over WebSocket in the
Codex app-server vocabulary, watch every token and tool, answer approvals and interrupt.

  callboard demo            see one session fix a failing test (needs no key, no network)
  callboard serve           run the daemon
  callboard exec "PROMPT"   one prompt in this folder, in the terminal
"""

ENVIRONMENT = """\
environment:
  CALLBOARD_HOME   where settings, threads and the token live (default ~/.callboard)
  OPENAI_API_KEY   with it the default model is OpenAI's; without it an embedded, scripted one
"""


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What ``callboard serve`` was told."""

    listen: str | None = None
    base_url: str | None = None
    wire: str = "responses"
    model: str | None = None
    no_auth: bool = False
    insecure: bool = False
    overrides: tuple[str, ...] = ()


Serve = Callable[[ServeOptions], int]


def main(arguments: Sequence[str], serve: Serve) -> int:
    """Parse and run; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.verb == "serve":
            return serve(
                ServeOptions(
                    listen=options.listen,
                    base_url=options.base_url,
                    wire=options.wire,
                    model=options.model,
                    no_auth=options.no_auth,
                    insecure=options.insecure,
                    overrides=tuple(options.config or ()),
                )
            )
        from actors.console import verbs

        return verbs.run(parser, options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read our output has gone (`callboard ps | head`): that is no failure of ours to report
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="callboard",
        description=DESCRIPTION,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"callboard {version('callboard')}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")

    serve = verbs.add_parser("serve", help="run the daemon until SIGTERM or Ctrl-C")
    serve.add_argument("--listen", metavar="URL", help="where clients connect (default ws://127.0.0.1:4600)")
    serve.add_argument("--no-auth", action="store_true", help="ask no token; refused for anything but loopback")
    serve.add_argument("--insecure", action="store_true", help="allow a listener beyond loopback without TLS")
    serve.add_argument(
        "-c", "--config", action="append", metavar="KEY=VALUE", help="set one setting, e.g. -c approval_policy=never"
    )
    _endpoint(serve)

    tour = verbs.add_parser("demo", help="watch a session find and fix a failing test in a small repository")
    tour.add_argument("--keep", action="store_true", help="keep the folder of the demo even if all went well")
    _endpoint(tour)

    run = verbs.add_parser("exec", help="run one prompt in a folder and show the turn")
    run.add_argument("prompt", nargs="?", help="what to do; - or nothing reads standard input")
    run.add_argument("-C", "--cd", default=".", metavar="DIR", help="the folder to work in (default: here)")
    run.add_argument("--json", action="store_true", help="print the events as JSON lines")
    run.add_argument("--thread", metavar="ID", help="go on with this thread instead of starting one")
    run.add_argument(
        "--approve-all",
        action="store_true",
        help="run every tool without asking; otherwise what needs a yes is declined",
    )
    run.add_argument(
        "--connect", metavar="URL", help="the daemon to use (default: the one running, else one of our own)"
    )
    _endpoint(run)

    tree = verbs.add_parser("ps", help="show the daemon's live tree of actors")
    tree.add_argument("--json", action="store_true", help="as JSON")

    stop = verbs.add_parser("interrupt", help="interrupt running turns")
    stop.add_argument("thread", nargs="?", help="of this thread only")
    return parser


def _endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base-url", metavar="URL", help="a model endpoint, e.g. http://127.0.0.1:8000/v1")
    parser.add_argument("--wire", default="responses", choices=["responses"], help="which API it speaks")
    parser.add_argument("--model", metavar="NAME", help="the model to use")
