"""What a turn looks like in a terminal: text as it streams, tool calls with spinners, diffs, exit codes.

What is finished is printed once and scrolls away like any output; what is under way lives in a small live region at
the bottom. Without a terminal (a pipe, a log) there is no live region and no colour: each thing is one plain block
when it is finished.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import trio
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.padding import Padding
from rich.segment import ControlType, Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from actors.console.client import Incoming
from actors.console.screen import plain
from actors.console.script_board import ScriptBoard, being_written

OUTPUT_LINES = 12
"""Of a command's output shown when it is done: the end, where failures are."""

LIVE_TEXT_LINES = 16
"""Of a message under way, so that the live region never outgrows a small terminal."""

LIVE_SCRIPT_LINES = 12
"""Of a script under way: those around its latest call."""

LAST_LINE_CHARS = 4096
"""Of what streams, looked at twenty times a second: more than a terminal is wide."""

REFRESH_PER_SECOND = 20

STILL_FRAMES = 10
"""Alike, one after the other: then nothing moves, not even a spinner between two of its pictures."""

STILL_SECONDS = 0.2
"""Between two looks then. What is typed or told is drawn at once all the same."""

Item = dict[str, Any]

CALLS = frozenset({"commandExecution", "fileChange", "dynamicToolCall", "mcpToolCall"})
"""Types of items that are calls of tools."""


class Stage:
    """Draws the notifications of one thread. Use as a context manager around the turn; `staged` also animates it.

    Everything is drawn by one task. (The drawing library's own refreshing thread may come between what is printed and
    where that thread believes the cursor to be; then pieces of old frames stay on the screen.)
    """

    def __init__(self, console: Console, footer: Callable[[], RenderableType | None] | None = None) -> None:
        """``footer`` is drawn below what is under way: an input line, a question."""
        self.console = console
        self._footer = footer
        self._open: dict[str, Item] = {}
        self._text: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._spinners: dict[str, Spinner] = {}
        self._boards: dict[str, ScriptBoard] = {}
        """By the item of the script."""
        self._scripts: dict[str, str] = {}
        """Those that are being written, by the message they stand in."""
        self._rows: list[int] = []
        """How many cells wide each row of the last frame is."""
        self._width = console.width
        self._live = (
            Live(console=console, auto_refresh=False, transient=True, get_renderable=self._frame)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, message: Incoming) -> None:
        """Take one notification in."""
        params = message.params
        match message.method:
            case "item/started":
                item = params["item"]
                self._open[item["id"]] = item
                self._since[item["id"]] = time.monotonic()
            case (
                "item/agentMessage/delta"
                | "item/reasoning/summaryTextDelta"
                | "item/reasoning/textDelta"
                | "item/commandExecution/outputDelta"
            ):
                self._text[params["itemId"]] = self._text.get(params["itemId"], "") + params["delta"]
            case "item/completed":
                item = params["item"]
                self._open.pop(item["id"], None)
                self._text.pop(item["id"], None)
                self._scripts.pop(item["id"], None)
                self._spinners.pop(item["id"], None)
                drawn = finished(item, time.monotonic() - self._since.pop(item["id"], time.monotonic()))
                if is_script(item):
                    drawn = self._boards.pop(item["id"], ScriptBoard()).whole(item)
                if drawn is not None:
                    self.say(drawn)
            case "callboard/script/delta":
                self._scripts[params["itemId"]] = self._scripts.get(params["itemId"], "") + params["delta"]
            case "callboard/script/event":
                self._boards.setdefault(params["itemId"], ScriptBoard()).take(params)
            case "error" | "warning" | "configWarning":
                self.say(_complaint(message))
            case _:
                pass

    def begin(self, item: Item) -> None:
        """An item that had begun before we came: what it says from here on belongs to it."""
        self._open[item["id"]] = item
        self._since[item["id"]] = time.monotonic()
        if item["type"] == "agentMessage":
            self._text[item["id"]] = item["text"]

    def forget_texts(self) -> None:
        """What is under way is going to be told again from its beginning."""
        self._text.clear()
        self._scripts.clear()

    def forget(self) -> None:
        """Nothing is known to be under way any more."""
        for known in (self._open, self._text, self._scripts, self._since, self._spinners):
            known.clear()

    def item(self, item_id: str) -> Item | None:
        """An item that is under way."""
        return self._open.get(item_id)

    def last_call(self) -> Item | None:
        """Of the calls under way the one that began last."""
        return next((item for item in reversed(self._open.values()) if item["type"] in CALLS), None)

    async def animate(self) -> None:
        """Draw what moves, until cancelled. Where nothing does, look seldom and print nothing: the screen may be a line
        away, and the machine somebody's battery."""
        drawn: list[list[Segment]] = []
        same = 0
        while self._live is not None:
            await trio.sleep(1 / REFRESH_PER_SECOND if same < STILL_FRAMES else STILL_SECONDS)
            self._see_width()
            rows = [] if self._open else self.console.render_lines(self._under_way(), pad=False)
            same = same + 1 if rows and rows == drawn else 0
            drawn = rows
            if not same:
                self._live.refresh()

    def _see_width(self) -> None:
        """A terminal that became narrower breaks the rows of the last frame in two: take back what it added, for the
        drawing library knows only how many rows it drew."""
        width = self.console.width
        if width < self._width:
            added = sum(max(math.ceil(cells / width), 1) - 1 for cells in self._rows)
            step = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self.console.control(Control(*step * added))
        self._width = width

    def _frame(self) -> RenderableType:
        return _Measured(self._under_way(), self._rows)

    def refresh(self) -> None:
        """Draw at once what has changed."""
        if self._live is not None:
            self._live.refresh()

    def say(self, drawn: RenderableType) -> None:
        """Print above the live region."""
        self.console.print(drawn)
        self.refresh()

    def _under_way(self) -> RenderableType:
        rows: list[RenderableType] = []
        for item_id, item in list(self._open.items()):
            text = self._text.get(item_id, "")
            if item["type"] == "agentMessage":
                rows.append(Text("\n".join(text.splitlines()[-LIVE_TEXT_LINES:])))
                if item_id in self._scripts:
                    rows.append(self._spinning(item_id, being_written(self._scripts[item_id])))
            elif item["type"] == "reasoning":
                rows.append(self._spinning(item_id, Text(f"thinking  {_last_line(text)}", style="dim italic")))
            elif is_script(item):
                rows.append(self._boards.setdefault(item_id, ScriptBoard()).under_way(item, LIVE_SCRIPT_LINES))
            elif item["type"] != "userMessage":
                label = headline(item)
                tail = _last_line(text)
                if tail:
                    label.append(f"  {tail}", style="dim")
                rows.append(self._spinning(item_id, label))
        footer = None if self._footer is None else self._footer()
        return Group(*rows) if footer is None else Group(*rows, footer)

    def _spinning(self, item_id: str, label: Text) -> Spinner:
        spinner = self._spinners.get(item_id)
        if spinner is None:
            spinner = self._spinners[item_id] = Spinner("dots", style="cyan")
        label.no_wrap = True
        label.truncate(max(self.console.width - 4, 10), overflow="ellipsis")
        spinner.update(text=label)
        return spinner


class _Measured:
    """What is drawn, with the width of each of its rows noted."""

    def __init__(self, drawn: RenderableType, rows: list[int]) -> None:
        self._drawn = drawn
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._drawn, options, pad=False)
        self._rows[:] = [Segment.get_line_length(line) for line in lines]
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line


@asynccontextmanager
async def staged(console: Console, footer: Callable[[], RenderableType | None] | None = None) -> AsyncIterator[Stage]:
    """A stage that moves."""
    with Stage(console, footer) as stage:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.animate)
            yield stage
            nursery.cancel_scope.cancel()


def headline(item: Item) -> Text:
    """What a tool call is about, in one line."""
    match item["type"]:
        case "commandExecution":
            return Text.assemble(("$ ", "bold cyan"), _script(item["command"]))
        case "fileChange":
            names = ", ".join(_short(change["path"]) for change in item["changes"])
            return Text.assemble(("patch ", "bold cyan"), names)
        case "dynamicToolCall" if is_script(item):
            return Text("script", style="bold cyan")
        case "dynamicToolCall":
            return Text.assemble((f"{item['tool']} ", "bold cyan"), _arguments(item.get("arguments")))
        case "webSearch":
            return Text.assemble(("search the web ", "bold cyan"), item["query"])
        case "imageView":
            return Text.assemble(("view ", "bold cyan"), _short(item["path"]))
        case kind:
            return Text(kind, style="bold cyan")


def is_script(item: Item) -> bool:
    """Whether it is a script that the model wrote."""
    return bool(item["type"] == "dynamicToolCall" and (item.get("namespace"), item["tool"]) == ("callboard", "script"))


def finished(item: Item, seconds: float) -> RenderableType | None:
    """A finished item; None for what is not shown."""
    match item["type"]:
        case "userMessage":
            words = " ".join(part.get("text", f"[{part['type']}]") for part in item["content"])
            return Text.assemble(("> ", "bold green"), words)
        case "agentMessage":
            return Padding(Text(item["text"].strip()), (1, 0)) if item["text"].strip() else None
        case "reasoning":
            words = " ".join(item.get("summary") or ()).strip()
            return Text(words, style="dim italic") if words else None
        case "commandExecution":
            return _finished_command(item)
        case "fileChange":
            return _finished_patch(item)
        case _:
            failed = item.get("status") == "failed" or item.get("success") is False
            mark = ("✗ ", "bold red") if failed else ("✓ ", "bold green")
            return Text.assemble(mark, headline(item), (f"  {_duration(seconds)}", "dim"))


def _finished_command(item: Item) -> RenderableType:
    code = item.get("exitCode")
    declined = item["status"] == "declined"
    good = code == 0
    mark = ("✓ ", "bold green") if good else ("✗ ", "bold red")
    ending = "declined" if declined else "exit ?" if code is None else f"exit {code}"
    took = _duration((item.get("durationMs") or 0) / 1000)
    head = Text.assemble(mark, headline(item), (f"  {ending}", "green" if good else "red"), (f"  {took}", "dim"))
    lines = plain(item.get("aggregatedOutput") or "").rstrip().splitlines()
    shown = lines[-OUTPUT_LINES:]
    if len(lines) > len(shown):
        shown.insert(0, f"… {len(lines) - OUTPUT_LINES} lines before")
    body = Padding(Text("\n".join(shown), style="dim"), (0, 0, 0, 4))
    return Group(head, body) if shown else head


def _finished_patch(item: Item) -> RenderableType:
    applied = item["status"] == "completed"
    mark = ("✓ ", "bold green") if applied else ("✗ ", "bold red")
    parts: list[RenderableType] = [
        Text.assemble(mark, headline(item), ("" if applied else f"  {item['status']}", "red"))
    ]
    for change in item["changes"]:
        diff = change["diff"].rstrip("\n")
        if change["kind"]["type"] == "add":
            diff = "\n".join(f"+{line}" for line in diff.splitlines())
        parts.append(Padding(Syntax(diff, "diff", theme="ansi_dark", background_color="default"), (0, 0, 0, 4)))
    return Group(*parts)


def _complaint(message: Incoming) -> Text:
    error = message.params.get("error") or {}
    words = error.get("message") or message.params.get("message") or message.params.get("summary") or message.method
    if message.method == "error" and message.params.get("willRetry"):
        return Text(f"! {words}", style="yellow")
    return Text(f"! {words}", style="bold red" if message.method == "error" else "yellow")


def _script(command: str) -> str:
    """``/bin/bash -lc 'x y'`` -> ``x y``: the wrapper says nothing to a reader."""
    for wrapper in (" -lc ", " -c "):
        shell, found, script = command.partition(wrapper)
        if found and " " not in shell:
            return script[1:-1] if script[:1] == script[-1:] == "'" else script
    return command


def _arguments(arguments: Any) -> str:
    if isinstance(arguments, dict):
        return " ".join(_short(str(value)) for value in arguments.values() if isinstance(value, (str, int)))
    return "" if arguments is None else str(arguments)


def _short(path: str) -> str:
    """The last two parts of a long path."""
    parts = path.rstrip("/").split("/")
    return "/".join(parts[-2:]) if path.startswith("/") and len(parts) > 3 else path


def _last_line(text: str) -> str:
    lines = plain(text[-LAST_LINE_CHARS:]).rstrip().splitlines()
    return lines[-1] if lines else ""


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
