"""Nobody else's text moves the cursor of the console."""

from __future__ import annotations

import ast
import io
from pathlib import Path

from rich.table import Table
from rich.text import Text

import actors.console
from actors.console.screen import Screen, plain


def printed(*things: object) -> str:
    file = io.StringIO()
    Screen(file=file, force_terminal=True, color_system=None, width=60).print(*things)
    return file.getvalue()


def test_a_command_cannot_hide_behind_another() -> None:
    assert printed(Text("$ rm -rf ~\x1b[2K\x1b[1G$ ls")) == "$ rm -rf ~␛[2K␛[1G$ ls\n"
    assert printed(Text("a\x9b2Jb\x7f\x00\u202ec\u2066")) == "a<9B>2Jb␡␀<202E>c<2066>\n"
    table = Table.grid()
    table.add_row(Text("x\x1b[1Ay"))
    assert "\x1b" not in printed(table)  # laid out before the sign took its place, the cell may be cut short


def test_what_is_ours_is_left_alone() -> None:
    assert printed(Text("grüße\nδύο 漢字 ✓")) == "grüße\nδύο 漢字 ✓\n"
    file = io.StringIO()
    Screen(file=file, force_terminal=True, color_system="standard", width=60).print(Text("x", style="red"))
    assert file.getvalue() == "\x1b[31mx\x1b[0m\n"


def test_of_output_the_words_are_shown_as_they_stood_at_last() -> None:
    assert plain("\x1b[31mred\x1b[0m\r\n 1%\r 99%\r100%\r\n") == "red\n100%\n"
    assert plain("\x1b]0;title\x07x\x1b]8;;http://x\x1b\\y\x1b(z") == "xy\x1b(z"


def test_everything_for_people_is_printed_on_it() -> None:
    folder = Path(actors.console.__file__).parent
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted(folder.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
    ]
    assert found == []
