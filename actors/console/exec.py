"""``callboard exec "PROMPT"``: one prompt, one turn, an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import trio
from rich.console import Console

from actors.console import home as homes
from actors.console.borrowed import Borrowed, daemon
from actors.console.client import Client, NotReachableError, WireError, connect, leaves
from actors.console.events import Lines
from actors.console.questions import Asker
from actors.console.screen import Screen
from actors.console.stage import staged
from actors.console.thread_settings import ThreadFlags, for_resumed
from actors.console.turn import SIGINT_EXIT, Ending, run_turn
from actors.settings.layers import SettingsError

OK, FAILED, USAGE = 0, 1, 2


class ExecOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said."""

    prompt: str
    cwd: str
    json: bool = False
    model: str | None = None
    approve_all: bool = False
    thread: str | None = None
    connect: str | None = None
    serve_flags: tuple[str, ...] = ()
    """What only a daemon of our own can have: an endpoint."""
    settings: ThreadFlags = ThreadFlags()


async def run(options: ExecOptions) -> int:
    """Run the turn on a running daemon, or on one of our own. The exit code: 0 completed, 1 not, 130 left."""
    errors = Screen(stderr=True)
    ending: Ending | None = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            place, config = await find_place(stack, options.connect, options.settings, options.serve_flags)
            client = await stack.enter_async_context(connect(place.address, token=place.token))
            ending = await _turn(client, options, config)
    except* (NotReachableError, WireError, SettingsError) as group:
        for error in leaves(group):
            errors.print(f"[bold red]callboard exec:[/] {error}", highlight=False)
    if ending is None:
        return FAILED
    if ending.left:
        errors.print("left; the daemon goes on with the turn")
        return SIGINT_EXIT
    return OK if ending.status == "completed" else FAILED


async def find_place(
    stack: contextlib.AsyncExitStack, address: str | None, settings: ThreadFlags, flags: Sequence[str] = ()
) -> tuple[Borrowed, dict[str, Any]]:
    """The daemon at ``address``, or the one that runs, or one of our own, which ends with ``stack`` and has all flags.

    A daemon that runs has settings of its own: what its thread is to have besides comes as well, for thread/start.
    Raises SettingsError, NotReachableError.
    """
    folder = homes.home()
    found = homes.running(folder)
    if address is not None or (found is not None and not flags):
        place = Borrowed(address or (found.address if found is not None else ""), homes.token(folder))
        return place, settings.config(folder)
    return await stack.enter_async_context(daemon(folder, (*settings.flags, *flags))), {}


async def _turn(client: Client, options: ExecOptions, config: dict[str, Any]) -> Ending:
    thread_id = await open_thread(
        client, options.thread, cwd=options.cwd, approve_all=options.approve_all, model=options.model, config=config
    )
    if options.json:
        return await _turn_as_lines(client, thread_id, options)
    console = Screen(stderr=True)
    console.print(f"[dim]thread {thread_id}  in {options.cwd}[/]", highlight=False)
    if console.is_terminal and sys.stdin.isatty():
        ending = await _turn_with_person(client, thread_id, options, console)
    else:
        async with staged(console) as stage:
            ending = await run_turn(client, thread_id, options.prompt, stage.show)
    if ending.error is not None:
        console.print(f"[bold red]{ending.status}:[/] {ending.error}", highlight=False)
    elif ending.status == "interrupted":
        console.print("[yellow]interrupted[/]")
    if not sys.stdout.isatty() and ending.last_message:
        print(ending.last_message)
    return ending


async def _turn_with_person(client: Client, thread_id: str, options: ExecOptions, console: Console) -> Ending:
    """Somebody is there to be asked."""
    asker = Asker()
    async with staged(console, asker.footer) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(asker.listen, stage)
        ending = await run_turn(client, thread_id, options.prompt, stage.show, asker.answer)
        nursery.cancel_scope.cancel()
    return ending


async def _turn_as_lines(client: Client, thread_id: str, options: ExecOptions) -> Ending:
    lines = Lines()

    def write(line: object) -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    write({"type": "thread.started", "thread_id": thread_id})

    def show(message: object) -> None:
        line = lines.line(message)  # type: ignore[arg-type]  # run_turn only shows Incoming
        if line is not None:
            write(line)

    ending = await run_turn(client, thread_id, options.prompt, show)
    if ending.status == "completed":
        total = (ending.usage or {}).get("total", {})
        write(
            {
                "type": "turn.completed",
                "usage": {
                    "input_tokens": total.get("inputTokens", 0),
                    "cached_input_tokens": total.get("cachedInputTokens", 0),
                    "output_tokens": total.get("outputTokens", 0),
                    "reasoning_output_tokens": total.get("reasoningOutputTokens", 0),
                },
            }
        )
    else:
        write({"type": "turn.failed", "error": {"message": ending.error or ending.status}})
    return ending


async def open_thread(
    client: Client,
    thread: str | None,
    *,
    cwd: str,
    approve_all: bool,
    model: str | None = None,
    config: dict[str, Any] | None = None,
) -> str:
    """The id of a new thread, or of ``thread``, which is gone on with under these settings."""
    config = config or {}
    settings: dict[str, Any] = {
        "cwd": cwd,
        **({"approvalPolicy": "never"} if approve_all else {}),
        **({"model": model} if model else {}),
    }
    if thread is None:
        found = await client.request("thread/start", {**settings, **({"config": config} if config else {})})
    else:
        # A thread keeps what it was last told; that everything was approved once is no word for the next time.
        asked = await client.request("config/read", {"cwd": cwd})
        policy = {"approvalPolicy": asked["config"]["approval_policy"]}
        params = {"threadId": thread, "excludeTurns": True, **policy, **for_resumed(config), **settings}
        found = await client.request("thread/resume", params)
    return str(found["thread"]["id"])


def start(options: ExecOptions) -> int:
    """Run in a trio loop of our own."""
    if not Path(options.cwd).is_dir():
        print(f"callboard exec: there is no folder {options.cwd}", file=sys.stderr)
        return USAGE
    return trio.run(run, options)
