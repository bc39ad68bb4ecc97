"""The output buffer keeps the two ends of any stream and counts the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.head_tail import OUTPUT_BYTES_MAX, HeadTail, Output


def test_three_million_bytes_leave_one_mebibyte_and_a_count() -> None:
    buffer = HeadTail()
    chunk = b"x" * 8192
    for _ in range(3_000_000 // 8192):
        buffer.append(chunk)
    buffer.append(b"x" * (3_000_000 % 8192))

    output = buffer.output()

    assert buffer.kept_bytes == OUTPUT_BYTES_MAX
    assert output.total_bytes == 3_000_000
    assert output.marker == "... 1951424 bytes omitted ..."
    assert output.text.split("\n") == ["x" * (OUTPUT_BYTES_MAX // 2), output.marker, "x" * (OUTPUT_BYTES_MAX // 2)]


@given(chunks=st.lists(st.binary(max_size=30)), limit=st.integers(0, 40))
def test_the_ends_of_any_bytes_are_kept_whatever_the_chunks(chunks: list[bytes], limit: int) -> None:
    buffer = HeadTail(limit)
    for chunk in chunks:
        buffer.append(memoryview(chunk))
        assert buffer.kept_bytes <= limit
    whole = b"".join(chunks)

    output = buffer.output()

    assert output.total_bytes == len(whole)
    if len(whole) <= limit:
        assert output == Output(text=whole.decode("utf-8", "replace"), total_bytes=len(whole))
    else:
        assert limit <= len(whole) - output.omitted_bytes + 7  # at most an unfinished character at each cut
        assert len(whole) - output.omitted_bytes <= limit


@given(text=st.text(alphabet="a\u00e9\u20ac\U0001f600", min_size=1, max_size=60), limit=st.integers(0, 60))
def test_a_character_is_never_cut_in_half(text: str, limit: int) -> None:
    buffer = HeadTail(limit)
    buffer.append(text.encode())
    output = buffer.output()
    if output.marker is None:
        assert output.text == text
    else:
        head, tail = output.text.split("\n" + output.marker + "\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len((head + tail).encode()) + output.omitted_bytes == output.total_bytes


def test_taking_gives_what_is_new_since_the_last_time() -> None:
    buffer = HeadTail(8)
    buffer.append(b"first")
    assert buffer.take() == Output(text="first", total_bytes=5)
    assert buffer.take() == Output(text="", total_bytes=0)
    buffer.append(b"0123456789")
    assert buffer.take() == Output(text="0123\n... 2 bytes omitted ...\n6789", total_bytes=10, omitted_bytes=2)
