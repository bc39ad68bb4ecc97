"""read_file: slices, blocks, and files that are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.reading import Indentation, ReadingError, ReadRequest, read_file, read_slice
from tests.actors.tool_worker.memory_files import MemoryFiles

PYTHON = """\
import os


# about A
# more about A
class A:
    def f(self):
        if True:
            return 1

        return 2

    def g(self):
        return 3


class B:
    pass
"""


def read(content: bytes, **request: object) -> str:
    return read_file(ReadRequest(path="/f", **request), MemoryFiles({"/f": content}))  # type: ignore[arg-type] # varied on purpose


def block(anchor: int, **options: object) -> list[int]:
    """The numbers of the lines that indentation mode returns."""
    limit = options.pop("limit", 2000)
    indentation = Indentation(anchor_line=anchor, **options)  # type: ignore[arg-type] # varied on purpose
    text = read(PYTHON.encode(), mode="indentation", indentation=indentation, limit=limit)
    return [int(line[1 : line.index(":")]) for line in text.split("\n")]


def test_a_slice_is_numbered_lines() -> None:
    assert read(b"a\nb\r\n\nd", offset=2, limit=2) == "L2: b\nL3: "
    assert read(b"a\nb\r\n\nd", offset=4) == "L4: d"


def test_long_lines_are_cut_between_characters_and_odd_bytes_are_replaced() -> None:
    assert read(b"x" * 499 + "\u00e9".encode() * 10 + b"\nend") == "L1: " + "x" * 499 + "\nL2: end"
    assert read(b"a\xffb") == "L1: a\ufffdb"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ReadRequest(path="/f", offset=0), "offset must be a 1-indexed line number"),
        (ReadRequest(path="/f", limit=0), "limit must be greater than zero"),
        (ReadRequest(path="f"), "file_path must be an absolute path"),
        (ReadRequest(path="/f\0"), "failed to read file: the path contains a NUL character"),
        (ReadRequest(path="/f", offset=3), "offset exceeds file length"),
        (ReadRequest(path="/empty"), "offset exceeds file length"),
        (ReadRequest(path="/none"), "failed to read file: No such file or directory (os error 2)"),
        (ReadRequest(path="/dir"), "failed to read file: Is a directory (os error 21)"),
        (ReadRequest(path="/pipe"), "failed to read file: it is not a regular file"),
        (ReadRequest(path="/f", offset=3, mode="indentation"), "anchor_line exceeds file length"),
        (
            ReadRequest(path="/f", mode="indentation", indentation=Indentation(anchor_line=0)),
            "anchor_line must be a 1-indexed line number",
        ),
        (
            ReadRequest(path="/f", mode="indentation", indentation=Indentation(max_lines=0)),
            "max_lines must be greater than zero",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_words(request_: ReadRequest, message: str) -> None:
    files = MemoryFiles({"/f": b"a\nb\n", "/empty": b"", "/dir/x": b""}, pipes=("/pipe",))
    with pytest.raises(ReadingError) as caught:
        read_file(request_, files)
    assert str(caught.value) == message


def test_only_what_is_needed_is_read_of_a_large_file() -> None:
    class Endless(MemoryFiles):
        reads = 0

        def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
            self.reads += 1
            assert limit is not None
            return (b"line\n" + b"x" * 1000) * (limit // 1005)

    files = Endless({"/f": b""})
    assert read_file(ReadRequest(path="/f", limit=1), files) == "L1: line"
    assert files.reads == 1
    with pytest.raises(ReadingError, match="only its first 67108864 bytes can be read this way"):
        read_file(ReadRequest(path="/f", offset=10**9), files)


@given(content=st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")), size=st.integers(1, 50))
def test_blocks_of_any_size_give_the_same_lines(content: bytes, size: int) -> None:
    def blocks(step: int) -> Iterator[bytes]:
        for start in range(0, len(content), step):
            yield content[start : start + step]

    if content:
        whole = read_slice(blocks(10**6), offset=1, limit=10**6)
        for offset in {1, len(whole) // 2 + 1, len(whole)}:
            assert read_slice(blocks(size), offset=offset, limit=10**6) == whole[offset - 1 :]


def test_a_block_is_grown_from_its_anchor_to_the_wanted_level() -> None:
    assert block(9, max_levels=1) == [8, 9, 10, 11]
    assert block(9, max_levels=2) == list(range(7, 14))
    assert block(9) == list(range(4, 18))
    assert block(9, include_header=False) == list(range(6, 18))


def test_siblings_are_left_out_unless_wanted() -> None:
    assert block(14, max_levels=1) == [13, 14]
    assert block(14, max_levels=1, include_siblings=True) == list(range(7, 15))


def test_the_whole_file_is_the_outermost_block_with_siblings() -> None:
    assert block(8, include_siblings=True) == list(range(1, 19))


def test_a_limit_keeps_what_is_nearest_to_the_anchor() -> None:
    assert block(9, include_siblings=True, limit=3) == [8, 9]
    assert block(9, include_siblings=True, max_lines=1) == [9]
