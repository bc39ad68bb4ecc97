"""What a person reads: each finished thing once, in the words they would use."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from actors.console.client import Incoming
from actors.console.stage import OUTPUT_LINES, Stage

COMMAND = {
    "type": "commandExecution",
    "id": "i1",
    "command": "/bin/bash -lc 'make test'",
    "cwd": "/w",
    "status": "completed",
    "commandActions": [],
    "aggregatedOutput": "ok\n",
    "exitCode": 0,
    "durationMs": 1234,
}


def printed(*messages: tuple[str, dict[str, Any]], terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None, legacy_windows=False)
    with Stage(console) as stage:
        for method, params in messages:
            stage.show(Incoming(method=method, params=params))
    return out.getvalue()


def completed(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return ("item/completed", {"item": item})


def test_a_finished_command_shows_its_script_exit_code_time_and_output() -> None:
    assert printed(completed(COMMAND)) == "✓ $ make test  exit 0  1.2 s\n    ok\n".replace(
        "ok\n", "ok" + " " * 74 + "\n"
    )


def test_only_the_end_of_a_long_output_is_shown_with_a_word_about_the_rest() -> None:
    text = printed(completed({**COMMAND, "aggregatedOutput": "\n".join(f"line {n}" for n in range(40)), "exitCode": 2}))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:2] == ["✗ $ make test  exit 2  1.2 s", f"… {40 - OUTPUT_LINES} lines before"]
    assert lines[2:] == [f"line {n}" for n in range(40 - OUTPUT_LINES, 40)]


def test_a_declined_command_says_so() -> None:
    item = {**COMMAND, "status": "declined", "exitCode": None, "aggregatedOutput": None, "durationMs": None}
    assert printed(completed(item)) == "✗ $ make test  declined  0 ms\n"


def test_a_patch_shows_its_diff_and_an_added_file_as_added_lines() -> None:
    item = {
        "type": "fileChange",
        "id": "p",
        "status": "completed",
        "changes": [
            {"path": "/w/a.py", "kind": {"type": "update"}, "diff": "@@ -1 +1 @@\n-a\n+b\n"},
            {"path": "/w/new.txt", "kind": {"type": "add"}, "diff": "hello\n"},
        ],
    }
    lines = [line.rstrip() for line in printed(completed(item)).splitlines()]
    assert lines == ["✓ patch /w/a.py, /w/new.txt", "    @@ -1 +1 @@", "    -a", "    +b", "    +hello"]


def test_a_message_is_printed_whole_and_markup_in_it_is_only_text() -> None:
    item = {"type": "agentMessage", "id": "m", "text": "done: [bold]not markup[/bold] {braces}"}
    assert printed(completed(item)).strip() == "done: [bold]not markup[/bold] {braces}"


def test_an_error_that_is_retried_reads_differently_from_one_that_ends_the_turn() -> None:
    retried = printed(("error", {"error": {"message": "the stream broke"}, "willRetry": True}))
    final = printed(("error", {"error": {"message": "no key"}, "willRetry": False}))
    assert (retried, final) == ("! the stream broke\n", "! no key\n")


def test_in_a_terminal_what_is_under_way_is_drawn_and_then_cleared() -> None:
    text = printed(
        ("item/started", {"item": {"type": "agentMessage", "id": "m", "text": ""}}),
        ("item/agentMessage/delta", {"itemId": "m", "delta": "streaming…"}),
        completed({"type": "agentMessage", "id": "m", "text": "streaming… done"}),
        terminal=True,
    )
    assert text.count("streaming… done") == 1


def test_without_a_terminal_nothing_but_plain_text_is_written() -> None:
    text = printed(("item/started", {"item": COMMAND}), completed(COMMAND))
    assert "\x1b" not in text
