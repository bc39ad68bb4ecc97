"""A growing text can be read from any offset, in chunks of any size, while it grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.session.open_text import OpenText, TextTable

pieces = st.lists(st.text(max_size=5), max_size=40)


@given(pieces, st.integers(0, 60), st.integers(1, 30))
def test_since_is_the_slice_of_the_whole_text(parts: list[str], offset: int, limit: int) -> None:
    text = OpenText("text")
    for part in parts:
        text.append(part)
    whole = "".join(parts)
    assert text.chars == len(whole)
    assert text.since(offset) == whole[offset:]
    assert text.since(offset, limit) == whole[offset : offset + limit]
    assert text.text() == whole


def test_a_reader_far_behind_reads_chunk_by_chunk_without_walking_all_pieces_each_time() -> None:
    text = OpenText("text")
    whole = "".join(f"{i} " for i in range(2000))
    for i in range(2000):
        text.append(f"{i} ")
    read = text.since(0, 100)
    assert len(text.pieces) == 1
    assert read == whole[:100]
    text.append("more")
    while len(read) < text.chars:
        read += text.since(len(read), 100)
    assert read == whole + "more"


def test_the_one_who_waits_hears_of_each_piece_but_not_of_empty_ones() -> None:
    text = OpenText("text")
    heard: list[int] = []
    text.on_grow = lambda: heard.append(text.chars)
    for piece in ("a", "", "bc"):
        text.append(piece)
    assert heard == [1, 3]


def test_only_texts_nobody_attached_are_undelivered() -> None:
    table = TextTable()
    first, second = OpenText("text"), OpenText("summary")
    table.open(0, first)
    table.open(1, second)
    first.append("abc")
    second.append("de")
    assert table.undelivered_chars() == 5
    assert table.attach(0) is first
    assert table.undelivered_chars() == 2
    with pytest.raises(KeyError):
        table.attach(7)
