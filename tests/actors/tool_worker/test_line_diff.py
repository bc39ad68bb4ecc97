"""Unified hunks: they turn the old text into the new one, and they stay cheap."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.patch.line_diff import NO_NEWLINE, differences, split_lines, unified_hunks

TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "x\r\n", "y\x0cz\n", "d"]), max_size=14).map("".join)


def _rows(body: str) -> list[tuple[str, str]]:
    """Each row's sign and line; a row that the note about a missing newline follows has none."""
    rows: list[tuple[str, str]] = []
    for row in split_lines(body):
        if row == NO_NEWLINE:
            sign, line = rows.pop()
            row = sign + line.removesuffix("\n")
        rows.append((row[0], row[1:]))
    return rows


def applied(old: str, hunks: str) -> str:
    """A strict reader of unified hunks: positions, counts and context must all be right."""
    lines = split_lines(old)
    new: list[str] = []
    cursor = 0
    for header, body in re.findall(r"(@@ [^\n]* @@\n)((?:[ +\\-].*\n?)*)", hunks):
        match = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n", header)
        assert match is not None
        start, length = int(match[1]), 1 if match[2] is None else int(match[2])
        first = start - 1 if length else start
        new += lines[cursor:first]
        cursor = first
        new_start, new_length = int(match[3]), 1 if match[4] is None else int(match[4])
        assert len(new) == (new_start - 1 if new_length else new_start)
        added = 0
        for sign, text in _rows(body):
            if sign != "+":
                assert lines[cursor] == text
                cursor += 1
            if sign != "-":
                new.append(text)
                added += 1
        assert cursor == first + length
        assert added == new_length
    return "".join(new + lines[cursor:])


@given(old=TEXTS, new=TEXTS, context=st.integers(0, 3))
def test_hunks_applied_to_the_old_text_give_the_new_one(old: str, new: str, context: int) -> None:
    hunks = unified_hunks(old, new, context=context)
    assert applied(old, hunks) == new
    assert (hunks == "") == (old == new)


@given(old=st.lists(st.sampled_from("abcde")), new=st.lists(st.sampled_from("abcde")))
def test_differences_are_in_order_and_everything_between_them_is_equal(old: list[str], new: list[str]) -> None:
    at_old = at_new = 0
    for index, region in enumerate(differences(old, new)):
        assert old[at_old : region.old_start] == new[at_new : region.new_start]
        assert index == 0 or region.old_start > at_old
        assert (region.old_end > region.old_start) or (region.new_end > region.new_start)
        at_old, at_new = region.old_end, region.new_end
    assert old[at_old:] == new[at_new:]


def test_distant_changes_get_hunks_of_their_own() -> None:
    old = "".join(f"{number}\n" for number in range(1, 21))
    new = old.replace("3\n", "three\n", 1).replace("18\n", "")
    assert unified_hunks(old, new) == (
        "@@ -1,6 +1,6 @@\n 1\n 2\n-3\n+three\n 4\n 5\n 6\n@@ -15,6 +15,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n"
    )


def test_a_missing_last_newline_is_said() -> None:
    assert unified_hunks("a", "a\n") == "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"


def test_large_files_of_equal_lines_are_compared_without_quadratic_work() -> None:
    old = ["same\n"] * 20_000
    new = ["other\n", *["same\n", "more\n"] * 10_000]
    assert sum(region.new_end - region.new_start for region in differences(old, new)) > 0
