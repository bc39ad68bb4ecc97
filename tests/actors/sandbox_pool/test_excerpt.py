"""A line of a script beside a question."""

from __future__ import annotations

import pytest

from actors.sandbox_pool.excerpt import LINE_CHARACTERS, source_line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (1, "const a = 1;"),
        (2, "await tools.exec({command: [a]}) // fine"),
        (3, ""),
        (4, ""),
        (0, ""),
        (-1, ""),
    ],
)
def test_a_line_is_shown_without_its_indent(line: int, shown: str) -> None:
    assert source_line("const a = 1;\n  await tools.exec({command: [a]}) // fine  \n", line) == shown


def test_nothing_in_a_line_is_taken_for_anything_but_text() -> None:
    source = "a\x1b[2K\r\u202e b\u2028c\x00d\ud800e"
    assert source_line(source, 1) == "a [2K   b c d e"


def test_a_long_line_is_cut() -> None:
    shown = source_line("x" * 100_000, 1)
    assert (len(shown), shown[-1]) == (LINE_CHARACTERS, "…")
