"""A script in a terminal: its source, and beside each line what became of the calls made there."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "denied": ("✗", "yellow"), "cancelled": ("◌", "yellow")}
"""By a call's outcome; anything else is unknown."""

RUNNING, WAITING = ("▸", "cyan"), ("·", "dim")


class ScriptBoard:
    """What has been told of one script (`callboard/script/event`)."""

    def __init__(self) -> None:
        self._lines: dict[int, int] = {}
        """Of each call."""
        self._marks: dict[int, tuple[str, str]] = {}
        self._said: list[str] = []

    def take(self, event: dict[str, Any]) -> None:
        """One event."""
        number = event.get("number", 0)
        match event["kind"]:
            case "called":
                self._lines[number] = event["line"]
                self._marks[number] = WAITING
            case "started":
                self._marks[number] = RUNNING
            case "ended":
                self._marks[number] = MARKS.get(event["outcome"], ("?", "yellow"))
            case "printed" | "progress":
                self._said.append(event["text"])

    def summary(self) -> Text:
        """One line, for while it runs."""
        over = sum(mark not in (RUNNING, WAITING) for mark in self._marks.values())
        latest = f"  {self._said[-1]}" if self._said else ""
        return Text.assemble(("script ", "bold cyan"), f"{over} of {len(self._marks)} calls{latest}")

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
            for mark, style in marks:
                row.append(mark, style)
            row.append(" " if marks else "")
            row.append(line, "" if marks else "dim")
            rows.append(row)
        return rows
