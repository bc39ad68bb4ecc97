"""A line of a script as people are shown it beside a question. Pure.

A script is written by a model, and what is shown here stands next to a yes: so it is one line, cut, without anything
that a terminal or a reader could take for something else (escapes, line separators, marks that turn the direction of
text). It is evidence, never an instruction, and is always shown as the script's own words.
"""

from __future__ import annotations

LINE_CHARACTERS = 160
"""Of a line that is shown: two rows of a terminal."""


def source_line(source: str, line: int) -> str:
    """Line ``line`` (from 1) of a script, as far as it can be shown; "" when there is none."""
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return ""
    text = "".join(each if each.isprintable() else " " for each in lines[line - 1][: 4 * LINE_CHARACTERS]).strip()
    return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 1].rstrip()}…"
