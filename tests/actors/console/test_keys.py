"""What is typed while other things are printed: keys, and the line they make."""

from __future__ import annotations

import os
import pty
import termios

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.console.keys import Key, Keyboard, LineEditor, Named, keys


@pytest.mark.parametrize(
    ("typed", "pressed"),
    [
        ("hé you", ["hé you"]),
        ("a\rb\n", ["a", Named.ENTER, "b", Named.ENTER]),
        ("\x1b[A\x1bOB\x1b[3~", [Named.UP, Named.DOWN, Named.DELETE]),
        ("x\x7f\x17\x15", ["x", Named.BACKSPACE, Named.CUT_WORD, Named.CUT_BEFORE]),
        ("\x1b[31;1Hx", ["x"]),
        ("\x1b", [Named.ESCAPE]),
        ("\x02\x06", []),
    ],
)
def test_keys_have_names_and_what_says_nothing_is_left_out(typed: str, pressed: list[Key]) -> None:
    assert keys(typed) == pressed


def _typed(*pressed: Key) -> LineEditor:
    editor = LineEditor()
    for key in pressed:
        assert editor.press(key) is None
    return editor


def test_a_line_is_edited_where_the_cursor_is() -> None:
    editor = _typed("helo world", *[Named.LEFT] * 7, "l", Named.END, "!", Named.HOME, Named.DELETE, "H")
    assert (editor.text, editor.cursor) == ("Hello world!", 1)
    assert _typed("one two  ", Named.CUT_WORD).text == "one "
    assert _typed("one two", Named.LEFT, Named.CUT_BEFORE).text == "o"
    assert _typed("one two", Named.HOME, Named.RIGHT, Named.CUT_BEHIND).text == "o"
    assert _typed("enter", Named.ESCAPE, Named.END_OF_INPUT).text == "enter"
    assert _typed("ab", Named.BACKSPACE, Named.BACKSPACE, Named.BACKSPACE).text == ""


def test_enter_gives_the_line_and_the_arrows_bring_it_back() -> None:
    editor = _typed("first")
    assert editor.press(Named.ENTER) == "first"
    editor.press("second")
    assert editor.press(Named.ENTER) == "second"
    editor.press("draft")
    seen = []
    for key in (Named.UP, Named.UP, Named.UP, Named.DOWN, Named.DOWN, Named.DOWN):
        editor.press(key)
        seen.append(editor.text)
    assert seen == ["second", "first", "first", "second", "draft", "draft"]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [Named.LEFT, Named.RIGHT, Named.HOME, Named.END, Named.BACKSPACE, Named.UP, Named.DOWN, Named.ENTER]
            ),
            st.text(),
        )
    )
)
def test_the_cursor_never_leaves_the_line(pressed: list[Key]) -> None:
    editor = LineEditor()
    for key in pressed:
        editor.press(key)
        assert 0 <= editor.cursor <= len(editor.text)


async def test_a_terminal_is_read_key_by_key_and_put_back_as_it_was() -> None:
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        with trio.fail_after(5), Keyboard(slave) as keyboard:
            os.write(master, b"y")
            assert await keyboard.read() == ["y"]
            os.write(master, b"\x1b[200~two\rlines\x1b[201~\r")
            pasted: list[Key] = []
            while pasted[-1:] != [Named.ENTER]:
                pasted += await keyboard.read()
            assert pasted == ["two\nlines", Named.ENTER]
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)
