"""``callboard script run FILE``: a person's script in a folder, with the tools, sandbox and approvals that models have.

It is a client like any: the daemon runs the script as a turn of a thread (`callboard/script/run`), and what it did is
in that thread's rollout. What the script returned goes to standard output, as JSON; everything for people to standard
error.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio
from rich.console import Console
from rich.text import Text

from actors.console.client import Client, Incoming, NotReachableError, WireError, connect, leaves
from actors.console.events import Lines
from actors.console.exec import find_place, open_thread
from actors.console.questions import Asker
from actors.console.screen import Screen
from actors.console.stage import Stage, is_script, staged
from actors.console.thread_settings import ThreadFlags
from actors.console.turn import SIGINT_EXIT, Answer, Ending, decline, see_turn
from actors.settings.layers import SettingsError

OK, FAILED, USAGE, REFUSED = 0, 1, 2, 3

STDIN = "-"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said."""

    source: str
    name: str
    """Of the file, for messages."""
    cwd: str
    mode: Literal["dry-run", "enabled"] = "enabled"
    json: bool = False
    approve_all: bool = False
    tools: tuple[str, ...] = ()
    """Only these may be called; none: all."""
    thread: str | None = None
    connect: str | None = None
    settings: ThreadFlags = ThreadFlags()


class Heard:
    """What was told of the script."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        """It has ended."""

    def take(self, message: Incoming) -> None:
        """A notification of its turn."""
        if message.method == "item/completed" and is_script(message.params["item"]):
            self.item = message.params["item"]

    @property
    def end(self) -> dict[str, Any]:
        """What it came to; empty if that is not known."""
        return {} if self.item is None else self.item.get("callboard") or {}


def read(file: str) -> str:
    """The text of a file, or of standard input. Raises OSError, and UnicodeDecodeError for what is not UTF-8."""
    data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    return data.decode("utf-8")


def start(file: str, options: RunOptions) -> int:
    """Read the file and run it in a trio loop of our own; the exit code."""
    try:
        source = read(file)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        print(f"{options.name}:{line}:{column}: syntax error, encoding: it is not UTF-8", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"callboard script run: {options.name}: {error.strerror or error}", file=sys.stderr)
        return USAGE
    if not source.strip():
        print(f"callboard script run: {options.name} is empty", file=sys.stderr)
        return USAGE
    if not Path(options.cwd).is_dir():
        print(f"callboard script run: there is no folder {options.cwd}", file=sys.stderr)
        return USAGE
    return trio.run(run, msgspec.structs.replace(options, source=source))


async def run(options: RunOptions) -> int:
    """Run it on a running daemon, or on one of our own. The exit code."""
    errors = Screen(stderr=True)
    heard, ending = Heard(), None
    try:
        async with contextlib.AsyncExitStack() as stack:
            place, config = await find_place(stack, options.connect, options.settings)
            client = await stack.enter_async_context(connect(place.address, token=place.token))
            thread_id = await open_thread(
                client, options.thread, cwd=options.cwd, approve_all=options.approve_all, config=config
            )
            follow = _as_lines if options.json else _on_screen
            ending = await follow(client, thread_id, options, heard)
    except* (NotReachableError, WireError, SettingsError) as group:
        for error in leaves(group):
            errors.print(Text.assemble(("callboard script run: ", "bold red"), str(error)))
    if ending is None:
        return FAILED
    if ending.left:
        errors.print("left; the daemon goes on ending the script")
        return SIGINT_EXIT
    return exit_code(heard.end, ending)


def exit_code(end: dict[str, Any], ending: Ending) -> int:
    """By how it ended."""
    if ending.status == "interrupted":
        return SIGINT_EXIT
    return {"returned": OK, "refused": REFUSED}.get(str(end.get("status")), FAILED)


async def _begin(client: Client, thread_id: str, options: RunOptions) -> str:
    asked: dict[str, Any] = {"threadId": thread_id, "source": options.source, "mode": options.mode}
    if options.tools:
        asked["allowedTools"] = list(options.tools)
    started = await client.request("callboard/script/run", asked)
    return str(started["turn"]["id"])


async def _on_screen(client: Client, thread_id: str, options: RunOptions, heard: Heard) -> Ending:
    console = Screen(stderr=True)
    console.print(f"[dim]thread {thread_id}  in {options.cwd}[/]", highlight=False)
    turn_id = await _begin(client, thread_id, options)
    if console.is_terminal and sys.stdin.isatty():
        asker = Asker()
        async with staged(console, asker.footer) as stage, trio.open_nursery() as nursery:
            nursery.start_soon(asker.listen, stage)
            ending = await _see(client, thread_id, turn_id, stage, heard, asker.answer)
            nursery.cancel_scope.cancel()
    else:
        async with staged(console) as stage:
            ending = await _see(client, thread_id, turn_id, stage, heard, decline)
    _tell(console, heard.end, ending, options)
    if (value := heard.end.get("value")) is not None:
        print(value)
    return ending


async def _see(client: Client, thread_id: str, turn_id: str, stage: Stage, heard: Heard, answer: Answer) -> Ending:
    def show(message: Incoming) -> None:
        heard.take(message)
        stage.show(message)
        params = message.params
        if message.method == "callboard/script/event" and params["kind"] in ("printed", "progress"):
            level = params.get("level", "log")
            style = {"warn": "yellow", "error": "red", "debug": "dim"}.get(level, "")
            stage.say(Text(f"  {params['text']}", style="cyan" if params["kind"] == "progress" else style))

    return await see_turn(client, thread_id, turn_id, show, answer)


def _tell(console: Console, end: dict[str, Any], ending: Ending, options: RunOptions) -> None:
    """Why it did not return, in the words of a compiler, and what became of calls that did not simply succeed."""
    failure = end.get("failure")
    if failure is not None:
        where = ":".join(str(part) for part in (options.name, failure.get("line"), failure.get("column")) if part)
        name = f"{failure['name']}: " if failure.get("name") else ""
        said = f" {failure['kind']} error, {failure['code']}: {name}{failure['message']}"
        console.print(Text.assemble((f"{where}:", "bold red"), said), soft_wrap=True)  # editors read these lines
    elif ending.error is not None:
        console.print(Text.assemble((f"{ending.status}: ", "bold red"), ending.error), soft_wrap=True)
    calls, dry = end.get("calls", ()), options.mode == "dry-run"
    for call in calls:
        if dry or call["outcome"] != "done" or call.get("orphaned"):
            console.print(Text(f"  {call_line(call, dry=dry)}", style="dim"), soft_wrap=True)
    if dry:
        console.print(Text(f"dry run: {len(calls)} calls were checked, and none was made", style="dim"))


def call_line(call: dict[str, Any], *, dry: bool = False) -> str:
    """One call of the ledger, in a line."""
    outcome = "checked" if dry and call["outcome"] == "done" else call["outcome"]
    words = [f"#{call['number']} {call['name']} (line {call['line']}:{call['column']}): {outcome}"]
    if not call["started"] and call["outcome"] != "done":
        words.append("never started")
    if call.get("orphaned"):
        words.append("not awaited when the script ended")
    if call.get("code") and call["outcome"] != "cancelled":
        words.append(f"{call['code']}: {str(call.get('message', '')).partition(chr(10))[0]}")
    return "; ".join(words)


async def _as_lines(client: Client, thread_id: str, options: RunOptions, heard: Heard) -> Ending:
    lines = Lines()

    def write(line: object) -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    def show(message: Incoming) -> None:
        heard.take(message)
        if message.method == "callboard/script/event":
            event = {key: value for key, value in message.params.items() if key not in ("threadId", "turnId", "itemId")}
            write({"type": f"script.{event.pop('kind')}", **event})
        elif (line := lines.line(message)) is not None and not is_script(message.params.get("item") or {"type": ""}):
            write(line)

    write({"type": "thread.started", "thread_id": thread_id})
    ending = await see_turn(client, thread_id, await _begin(client, thread_id, options), show)
    end = heard.end
    value = end.get("value")
    write({"type": "script.over", **end, "value": None if value is None else msgspec.Raw(value.encode())})
    return ending
