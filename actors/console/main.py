"""The command line: which verb runs what. ``callboard`` alone says what it is and how the daemon is.

`serve` needs the supervisors, which actors may not import: whoever owns the entry point hands it in. Each verb imports
what it needs when it runs: a daemon that starts must not wait for the console's drawing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, get_args

from actors.console import serving_flags, standalone
from actors.console.parsing import (
    EXEC_EXITS,
    EXITS,
    SERVE_EXITS,
    add_config,
    add_features,
    add_logins,
    add_token,
    add_verbs,
)
from actors.console.serve_options import Serve, ServeOptions
from messages.settings import WireApi
from messages.version import VERSION

DESCRIPTION = """\
callboard hosts many LLM coding-agent sessions in one daemon. Clients attach over WebSocket in the
Codex app-server vocabulary, watch every token and tool, answer approvals and interrupt.

  callboard demo            see one session fix a failing test (needs no key, no network)
  callboard serve           run the daemon
  callboard exec "PROMPT"   one prompt in this folder, in the terminal
  callboard attach --new    talk to a session, and let others join
"""

WIRES = get_args(WireApi)
DEFAULT_WIRE: WireApi = "responses"

ENVIRONMENT = """\
environment:
  CALLBOARD_HOME   where settings, threads and the token live (default ~/.callboard)
  OPENAI_API_KEY   with it the default model is OpenAI's; without it an embedded, scripted one
"""


USAGE = 2
"""What argparse exits with, too."""

APP_SERVER = """\
Stands in wherever a client wants to start the app-server of the Codex CLI; flags of that one that mean
nothing here are left out.

  stdio://        (default) one JSON message a line on standard input and output, bridged to the daemon of
                  CALLBOARD_HOME. If none runs, one is started; it ends when its last client has left and
                  no turn works. At the end of input what was asked is answered, then this process ends.
  ws://IP:PORT    a daemon in the foreground; asks no token on loopback unless --ws-auth capability-token
  unix:///PATH    the same on a socket file that only you can open

exit codes: 0 the input ended, or SIGTERM; 1 no daemon could be had, or it went away; 2 wrong usage
"""


def main(arguments: Sequence[str], serve: Serve) -> int:
    """Parse and run; the exit code."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown and (options.verb != "app-server" or not unknown[0].startswith("-")):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        options.serve_flags = serving_flags.said(options).flags
        if options.verb == "app-server":
            return _app_server(options, unknown, serve)
        if options.verb == "serve":
            return serve(
                ServeOptions(
                    listen=options.listen,
                    base_url=options.base_url,
                    wire=options.wire or DEFAULT_WIRE,
                    model=options.model,
                    profile=serving_flags.profile(options),
                    strict=serving_flags.strict(options),
                    no_auth=options.no_auth,
                    insecure=options.insecure,
                    overrides=serving_flags.overrides(options),
                    until_idle=options.until_idle,
                )
            )
        if options.verb in ("config", "features"):
            from actors.console import config, features

            options.profile, options.strict = serving_flags.profile(options), serving_flags.strict(options)
            options.config = serving_flags.overrides(options)
            return features.run(options) if options.verb == "features" else config.run(options)
        if options.verb in ("rules", "apply-patch"):
            return standalone.run(options)
        if options.verb == "token":
            from actors.console import token

            return token.run(options)
        if options.verb == "wire":
            from actors.console import wire

            return wire.run(options)
        if options.verb in ("models", "pull"):
            from actors.console import models

            return models.run(options)
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
    parser.add_argument("--version", action="version", version=f"callboard {VERSION}")
    # Clients of the original put these before its subcommand.
    serving_flags.add(parser, "_before")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")

    serve = verbs.add_parser("serve", help="run the daemon until SIGTERM or Ctrl-C", epilog=SERVE_EXITS)
    serve.add_argument(
        "--listen",
        metavar="URL",
        help="where clients connect: ws://HOST:PORT (default ws://127.0.0.1:4600) or unix:///PATH",
    )
    serve.add_argument(
        "--until-idle",
        type=float,
        metavar="SECONDS",
        help="end when for so long no client was connected and nothing worked",
    )
    serve.add_argument("--no-auth", action="store_true", help="ask no token; refused for anything but loopback")
    serve.add_argument("--insecure", action="store_true", help="allow a listener beyond loopback without TLS")
    serving_flags.add(serve)
    _endpoint(serve)

    stand_in = verbs.add_parser(
        "app-server",
        help="stand in for another app-server: over stdio, a WebSocket or a Unix socket",
        description=APP_SERVER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stand_in.add_argument("--listen", default="stdio://", metavar="URL", help="stdio://, ws://IP:PORT or unix:///PATH")
    stand_in.add_argument("--ws-auth", metavar="KIND", help="capability-token: clients must show a token")
    stand_in.add_argument("--ws-token-file", metavar="PATH", help="where it is (default: token in the home)")
    serving_flags.add(stand_in)

    tour = verbs.add_parser("demo", help="watch a session find and fix a failing test in a small repository")
    tour.add_argument("--keep", action="store_true", help="keep the folder of the demo even if all went well")
    _endpoint(tour)

    run = verbs.add_parser("exec", help="run one prompt in a folder and show the turn", epilog=EXEC_EXITS)
    run.add_argument("prompt", nargs="?", help="what to do; - or nothing reads standard input")
    run.add_argument("-C", "--cd", default=".", metavar="DIR", help="the folder to work in (default: here)")
    run.add_argument("--json", action="store_true", help="print the events as JSON lines")
    run.add_argument("--thread", metavar="ID", help="go on with this thread instead of starting one")
    run.add_argument(
        "--approve-all",
        action="store_true",
        help="run every tool without asking; otherwise you are asked, and without a terminal it is declined",
    )
    run.add_argument(
        "--connect", metavar="URL", help="the daemon to use (default: the one running, else one of our own)"
    )
    serving_flags.add(run)
    _endpoint(run)

    tree = verbs.add_parser("ps", help="show the daemon's live tree of actors", epilog=EXITS)
    tree.add_argument("--json", action="store_true", help="as JSON")

    stop = verbs.add_parser("interrupt", help="interrupt running turns", epilog=EXITS)
    stop.add_argument("thread", nargs="?", help="of this thread only")
    back = verbs.add_parser(
        "undo", help="take back what a thread's last turn changed in its git worktree", epilog=EXITS
    )
    back.add_argument("thread", nargs="?", help="default: the latest thread")
    back.add_argument("--turn", metavar="ID", help="this turn, not the last")
    back.add_argument("--json", action="store_true", help="as JSON")
    serving_flags.add(back)
    hooks = verbs.add_parser("hooks", help="list your hooks, and say which may run", epilog=EXITS)
    asked = hooks.add_subparsers(dest="hooks_verb", metavar="VERB", required=True)
    listed = asked.add_parser("list", help="every hook, and whether it is trusted", epilog=EXITS)
    listed.add_argument("--json", action="store_true", help="as JSON")
    serving_flags.add(listed)
    for verb, about in (("trust", "let hooks run as they are now"), ("untrust", "let hooks run no longer")):
        chosen = asked.add_parser(verb, help=about, epilog=EXITS)
        chosen.add_argument("hook", nargs="*", help="as `callboard hooks list` calls it")
        chosen.add_argument("--all", action="store_true", help="every hook")
        serving_flags.add(chosen)
    add_logins(verbs)
    add_verbs(verbs)
    add_config(verbs)
    add_features(verbs)
    standalone.add_verbs(verbs)
    add_token(verbs)
    _wire(verbs)
    _models(verbs)
    return parser


def _app_server(options: argparse.Namespace, unknown: Sequence[str], serve: Serve) -> int:
    from actors.console import app_server

    if unknown:
        print(f"callboard app-server: not known here and left out: {' '.join(unknown)}", file=sys.stderr)
    if options.ws_auth not in (None, "capability-token"):
        print(
            f"callboard app-server: --ws-auth {options.ws_auth} is not offered; use capability-token", file=sys.stderr
        )
        return USAGE
    strict = serving_flags.strict(options)
    profile = serving_flags.profile(options)
    if options.listen.startswith("stdio:"):
        return app_server.serve_stdio(serving_flags.overrides(options), strict=strict, profile=profile)
    return app_server.serve_socket(
        serve,
        options.listen,
        serving_flags.overrides(options),
        strict=strict,
        profile=profile,
        auth=options.ws_auth is not None,
        token_file=options.ws_token_file,
    )


def _endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base-url", metavar="URL", help="a model endpoint, e.g. http://127.0.0.1:8000/v1")
    parser.add_argument(
        "--wire",
        choices=WIRES,
        help=f"the API: of the endpoint, or else of the rehearsed model (default {DEFAULT_WIRE})",
    )
    parser.add_argument("--model", metavar="NAME", help="the model to use")


def _wire(verbs: Any) -> None:
    wire = verbs.add_parser("wire", help="decode a recorded model answer, or render a request, as the daemon would")
    actions = wire.add_subparsers(dest="action", metavar="ACTION", required=True)
    decode = actions.add_parser("decode", help="hear a recorded answer: a stream, a JSON response or an error body")
    decode.add_argument("file", metavar="FILE.sse", help="the answer's body; - for standard input")
    decode.add_argument("--normalized", action="store_true", help="the wire's own words: text, tool_calls, stop, usage")
    decode.add_argument("--status", type=int, metavar="CODE", help="the HTTP status the body came with, if not 200")
    decode.add_argument(
        "--freeform", action="append", default=[], metavar="TOOL", help="a freeform tool that was offered as a function"
    )
    render = actions.add_parser("render", help="print the body of a request")
    render.add_argument("file", metavar="HISTORY.json", help="a list of items, or an object with them; - for stdin")
    for parser in (decode, render):
        parser.add_argument("--wire", required=True, choices=WIRES, help="which API")
        parser.add_argument("--provider", metavar="ID", help="a built-in provider or one of config.toml")
        parser.add_argument("--model", metavar="NAME", help="the model")


def _models(verbs: Any) -> None:
    models = verbs.add_parser("models", help="list models, with context window and abilities")
    models.add_argument(
        "--provider", metavar="ID", help="ask this provider; without it the catalogue and local servers"
    )
    models.add_argument("--json", action="store_true", help="as JSON")
    pull = verbs.add_parser("pull", help="have Ollama or LM Studio fetch a model onto this machine")
    pull.add_argument("model", metavar="MODEL", help="as the server calls it, e.g. qwen3:8b")
    pull.add_argument("--server", choices=["ollama", "lmstudio"], help="which one, if both run")
    pull.add_argument("--url", metavar="URL", help="where it listens, if not where it usually does")
