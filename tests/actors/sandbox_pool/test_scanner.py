"""Finding scripts in a stream: the rules one by one, and the law that cutting does not matter."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sandbox_pool.scanner import Block, Opened, Piece, Scanner, Visible


def scan(*texts: str, limit: int = 20480) -> list[Piece]:
    """Everything found, neighbouring texts joined."""
    scanner = Scanner(limit)
    found: list[Piece] = []
    for piece in [piece for text in texts for piece in scanner.feed(text)] + scanner.close():
        if isinstance(piece, Visible) and found and isinstance(last := found[-1], Visible):
            found[-1] = Visible(last.text + piece.text)
        else:
            found.append(piece)
    return found


def script(source: str) -> list[Piece]:
    return [Opened(), Block(source)]


CASES: dict[str, tuple[str, list[Piece]]] = {
    "text alone": ("no script\nat all < here", [Visible("no script\nat all < here")]),
    "a block between texts": (
        "Look:\n<tool-calls>\nawait tools.exec({})\n</tool-calls>\nDone.",
        [Visible("Look:\n"), *script("await tools.exec({})\n"), Visible("\nDone.")],
    ),
    "on one line": ("<tool-calls>return 1</tool-calls>!", [*script("return 1"), Visible("!")]),
    "indented": ("  \t<tool-calls>return 1</tool-calls>", script("return 1")),
    "two in order": (
        "<tool-calls>a</tool-calls>\n<tool-calls>b</tool-calls>",
        [*script("a"), Visible("\n"), *script("b")],
    ),
    "a second opening on the closing line is text": (
        "<tool-calls>a</tool-calls> <tool-calls>b</tool-calls>",
        [*script("a"), Visible(" <tool-calls>b</tool-calls>")],
    ),
    "in the middle of a line": ("use <tool-calls> for this", [Visible("use <tool-calls> for this")]),
    "in a list item": ("- <tool-calls>\nx", [Visible("- <tool-calls>\nx")]),
    "another tag": ("<tool-callsX>\n<tool-call>\n<tool>", [Visible("<tool-callsX>\n<tool-call>\n<tool>")]),
    "a tag with attributes": ("<tool-calls lang=ts>\nx", [Visible("<tool-calls lang=ts>\nx")]),
    "upper case": ("<TOOL-CALLS>\nx", [Visible("<TOOL-CALLS>\nx")]),
    "an unfinished tag": ("<tool-cal", [Visible("<tool-cal")]),
    "in a fence": (
        "```ts\n<tool-calls>\nx\n</tool-calls>\n```\n",
        [Visible("```ts\n<tool-calls>\nx\n</tool-calls>\n```\n")],
    ),
    "in a fence that is never closed": (
        "~~~\n<tool-calls>\nx\n</tool-calls>",
        [Visible("~~~\n<tool-calls>\nx\n</tool-calls>")],
    ),
    "in a fence of a list item": ("1. ```\n   <tool-calls>\n   ```\n", [Visible("1. ```\n   <tool-calls>\n   ```\n")]),
    "a shorter fence does not close": ("````\n```\n<tool-calls>\n", [Visible("````\n```\n<tool-calls>\n")]),
    "another fence does not close": ("```\n~~~\n<tool-calls>\n", [Visible("```\n~~~\n<tool-calls>\n")]),
    "a fence with words behind it does not close": (
        "```\n``` ts\n<tool-calls>\n",
        [Visible("```\n``` ts\n<tool-calls>\n")],
    ),
    "after a fence": ("```\nx\n```\n<tool-calls>y</tool-calls>", [Visible("```\nx\n```\n"), *script("y")]),
    "code in a line is no fence": ("```x```\n<tool-calls>y</tool-calls>", [Visible("```x```\n"), *script("y")]),
    "lines ended by CRLF": ("a\r\n<tool-calls>\r\ny\r\n</tool-calls>", [Visible("a\r\n"), *script("y\r\n")]),
    "the tag in strings": (
        "<tool-calls>f('</tool-calls>', \"</tool-calls>\", `</tool-calls>${`</tool-calls>`}`)</tool-calls>",
        script("f('</tool-calls>', \"</tool-calls>\", `</tool-calls>${`</tool-calls>`}`)"),
    ),
    "the tag in comments": (
        "<tool-calls>a // </tool-calls>\n/* </tool-calls> */ b</tool-calls>",
        script("a // </tool-calls>\n/* </tool-calls> */ b"),
    ),
    "the tag in a regular expression": (
        "<tool-calls>if (a) /`[/]<\\/tool-calls>`/.test(b); c = d / e / f; x`</tool-calls>`</tool-calls>",
        script("if (a) /`[/]<\\/tool-calls>`/.test(b); c = d / e / f; x`</tool-calls>`"),
    ),
    "a division is no regular expression": (
        "<tool-calls>a / '/' / b[0] / `x`</tool-calls>",
        script("a / '/' / b[0] / `x`"),
    ),
    "a string that is not closed ends with its line": (
        "<tool-calls>a = 'b\n</tool-calls>c",
        [*script("a = 'b\n"), Visible("c")],
    ),
    "unclosed": ("<tool-calls>\nreturn 1", [Opened(), Block("return 1", "unclosed")]),
    "unclosed but for half a tag": (
        "<tool-calls>\nreturn 1\n</tool-ca",
        [Opened(), Block("return 1\n</tool-ca", "unclosed")],
    ),
    "a template that is never closed": (
        "<tool-calls>\nf(`oops\n</tool-calls>\nand so on\n<tool-calls>x</tool-calls>",
        [*script("f(`oops\n"), Visible("\nand so on\n<tool-calls>x</tool-calls>")],
    ),
    "a template that holds a line with the tag": (
        "<tool-calls>f(`\n</tool-calls>\n<tool-calls>\n`)</tool-calls>",
        script("f(`\n</tool-calls>\n<tool-calls>\n`)"),
    ),
    "too large": ("<tool-calls>" + "x" * 30 + "</tool-calls>y", [Opened(), Block("", "too_large"), Visible("y")]),
    "too large and unclosed": ("<tool-calls>" + "x" * 90, [Opened(), Block("", "too_large")]),
    "too large in bytes": ("<tool-calls>" + "é" * 20 + "</tool-calls>", [Opened(), Block("", "too_large")]),
    "just small enough": ("<tool-calls>" + "x" * 24 + "</tool-calls>", script("x" * 24)),
    "small, before much text": ("<tool-calls>x</tool-calls>" + "y" * 99, [*script("x"), Visible("y" * 99)]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule(name: str) -> None:
    text, expected = CASES[name]
    limit = 24 if "large" in name or "small" in name else 20480
    assert scan(text, limit=limit) == expected
    assert scan(*text, limit=limit) == expected, "character by character"


PARTS = st.sampled_from(
    [
        *(
            "<tool-calls>",
            "</tool-calls>",
            "<tool-",
            "calls>",
            "```",
            "~~~",
            "````ts",
            "\n",
            "\r\n",
            "\n\n",
            " ",
            "   ",
        ),
        *(
            "'",
            '"',
            "`",
            "${",
            "}",
            "{",
            "(",
            ")",
            "/",
            "//",
            "/*",
            "*/",
            "\\",
            "[",
            "]",
            "*",
            "return",
            "if",
            "a",
            "1.",
        ),
        *("é", "\ud800", "\U0001f600", "\u2028", "=", ">", "?.", "5", "- ", "1) ", "x" * 40),
    ]
)


@given(st.lists(PARTS, max_size=40).map("".join), st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_cutting_a_text_differently_finds_the_same(text: str, sizes: list[int]) -> None:
    pieces, at, turn = [], 0, 0
    while at < len(text):
        pieces.append(text[at : at + sizes[turn % len(sizes)]])
        at, turn = at + len(pieces[-1]), turn + 1
    assert scan(*pieces, limit=64) == scan(text, limit=64)


@given(st.lists(PARTS, max_size=40).map("".join))
def test_no_text_is_lost_or_made_up(text: str) -> None:
    found = scan(text)
    if not any(isinstance(piece, Opened) for piece in found):
        assert "".join(piece.text for piece in found if isinstance(piece, Visible)) == text
    for piece in found:
        if isinstance(piece, Block):
            assert piece.source in text


def test_text_that_cannot_become_the_tag_is_not_held_back() -> None:
    scanner = Scanner()
    assert scanner.feed("Hello") == [Visible("Hello")]
    assert scanner.feed("\n  <to") == [Visible("\n")]
    assert scanner.feed("p>") == [Visible("  <top>")]
    assert scanner.feed(" " * 70) == [Visible(" " * 70)]


def test_a_client_learns_at_once_that_a_script_has_begun() -> None:
    assert Scanner().feed("<tool-calls>") == [Opened()]


@pytest.mark.parametrize("unit", ["x", "x ", "\\u0061", "`", "'", "/", "<", "\n", " ", "```\n", "${", "/*"])
def test_a_flood_costs_time_in_proportion(unit: str) -> None:
    scanner, began = Scanner(), time.process_time()
    for text in ("<tool-calls>", *[unit * 4] * 20_000):
        scanner.feed(text)
    scanner.close()
    assert time.process_time() - began < 5
