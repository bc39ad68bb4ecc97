"""Commands as people see them."""

from __future__ import annotations

import pytest

from actors.tool_worker.command_display import command_actions, display_command
from messages.client.item import CommandAction, ListFilesAction, ReadAction, SearchAction, UnknownAction


def test_a_command_is_shown_as_a_line_one_could_paste() -> None:
    assert display_command(("/bin/bash", "-lc", "echo hi; ls")) == "/bin/bash -lc 'echo hi; ls'"


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("cat a.py", (ReadAction(command="cat a.py", name="a.py", path="/p/a.py"),)),
        ("cd src && sed -n 1,9p a.py", (ReadAction(command="sed -n 1,9p a.py", name="a.py", path="/p/src/a.py"),)),
        ("head -n 5 /x/y | wc -l", (ReadAction(command="head -n 5 /x/y", name="y", path="/x/y"),)),
        ("ls -la src", (ListFilesAction(command="ls -la src", path="src"),)),
        ("ls *.py", (ListFilesAction(command="ls '*.py'", path="*.py"),)),
        ("rg --files | head -3", (ListFilesAction(command="rg --files"),)),
        ("rg -n -g '*.py' todo src", (SearchAction(command="rg -n -g '*.py' todo src", query="todo", path="src"),)),
        ("grep -rn x .", (SearchAction(command="grep -rn x .", query="x", path="."),)),
        ("git grep x", (SearchAction(command="git grep x", query="x"),)),
        ("find . -name '*.c'", (SearchAction(command="find . -name '*.c'", query="*.c", path="."),)),
        ("find src", (ListFilesAction(command="find src", path="src"),)),
        (
            "ls; cat b",
            (ListFilesAction(command="ls"), ReadAction(command="cat b", name="b", path="/p/b")),
        ),
        ("cat a && make", (UnknownAction(command="cat a && make"),)),
        ("cat a > b", (UnknownAction(command="cat a > b"),)),
        ("find . -delete", (UnknownAction(command="find . -delete"),)),
        ("git status", (UnknownAction(command="git status"),)),
        ("cd src", (UnknownAction(command="cd src"),)),
        ("echo hello; echo err >&2; ls", (UnknownAction(command="echo hello; echo err >&2; ls"),)),
        ("", (UnknownAction(command=""),)),
    ],
)
def test_a_script_is_described_by_what_it_does_or_shown_whole(text: str, actions: tuple[CommandAction, ...]) -> None:
    assert command_actions(("/bin/bash", "-lc", text), "/p") == actions


def test_an_argv_without_a_shell_is_described_as_well() -> None:
    assert command_actions(("cat", "x y"), "/p") == (ReadAction(command="cat 'x y'", name="x y", path="/p/x y"),)
    assert command_actions(("python3", "-c", "1 + 1"), "/p") == (UnknownAction(command="python3 -c '1 + 1'"),)
