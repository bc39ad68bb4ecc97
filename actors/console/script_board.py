"""A script in a terminal: its source, and beside each line what became of the calls made there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.text import Text

MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "denied": ("✗", "yellow"), "cancelled": ("◌", "yellow")}
"""By a call's outcome; anything else is unknown."""

MARKS_SINGLE = 4
"""Calls of a line that are shown one by one; of more, how many stand how."""

RUNNING, WAITING = ("▸", "cyan"), ("·", "dim")


def being_written(source: str) -> Text:
    """One line, for while a model writes it: how far it is, and what it writes now."""
    lines = source.split("\n")
    return Text.assemble(("writing a script ", "bold cyan"), f"line {len(lines)}  ", (lines[-1].strip(), "dim"))


class ScriptBoard:
    """What has been told of one script (`callboard/script/event`)."""

    def __init__(self) -> None:
        self._lines: dict[int, int] = {}
        """Of each call."""
        self._marks: dict[int, tuple[str, str]] = {}
        self._latest = 0
        """The line where something happened last."""
        self._said: list[str] = []
        self._spinner = Spinner("dots", style="cyan")

    def take(self, event: dict[str, Any]) -> None:
        """One event."""
        number = event.get("number", 0)
        match event["kind"]:
            case "called":
                self._lines[number] = self._latest = event["line"]
                self._marks[number] = WAITING
            case "started":
                self._marks[number] = RUNNING
                self._latest = self._lines.get(number, self._latest)
            case "ended":
                self._marks[number] = MARKS.get(event["outcome"], ("?", "yellow"))
            case "printed" | "progress":
                self._said.append(event["text"])
                self._latest = event.get("line") or self._latest

    def summary(self) -> Text:
        """One line, for while it runs."""
        over = sum(mark not in (RUNNING, WAITING) for mark in self._marks.values())
        latest = f"  {self._said[-1]}" if self._said else ""
        return Text.assemble(("script ", "bold cyan"), f"{over} of {len(self._marks)} calls{latest}")

    def under_way(self, item: dict[str, Any], most: int) -> RenderableType:
        """The script while it runs: at most so many of its lines, those around the latest call."""
        head = self.summary()
        head.no_wrap = True
        self._spinner.update(text=head)
        rows = self._source(str((item.get("arguments") or {}).get("source", "")))
        first = max(min(self._latest - most // 2, len(rows) - most), 0)
        return Group(self._spinner, *rows[first : first + most])

    def whole(self, item: dict[str, Any]) -> RenderableType:
        """The script when it has ended."""
        arguments = item.get("arguments") or {}
        status = str(arguments.get("status", item["status"]))
        good = item["status"] == "completed"
        head = Text.assemble(
            ("✓ " if good else "✗ ", "green" if good else "red"),
            ("script ", "bold cyan"),
            f"{status}, {len(self._marks)} calls",
            (f"  {item.get('durationMs') or 0} ms", "dim"),
        )
        return Group(head, *self._source(str(arguments.get("source", ""))))

    def _source(self, source: str) -> list[Text]:
        rows: list[Text] = []
        for number, line in enumerate(source.rstrip("\n").split("\n"), 1):
            marks = [self._marks[call] for call, at in self._lines.items() if at == number]
            row = Text(no_wrap=True, overflow="ellipsis")
            row.append(f"  {number:3} ", "dim")
            for (mark, style), count in Counter(marks).items():
                row.append(f"{mark}{count}" if len(marks) > MARKS_SINGLE else mark * count, style)
            row.append(" " if marks else "")
            row.append(line, "" if marks else "dim")
            rows.append(row)
        return rows
