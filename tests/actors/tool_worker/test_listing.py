"""list_dir: a page of a tree."""

from __future__ import annotations

import pytest

from actors.ports.files import DirEntry
from actors.tool_worker.listing import ENTRIES_SCANNED_MAX, ListingError, ListRequest, list_dir
from tests.actors.tool_worker.memory_files import MemoryFiles

FILES = MemoryFiles(
    {"/p/a/x/deep": b"", "/p/a/b.txt": b"", "/p/a.txt": b"", "/p/z": b"", "/p/\udcff": b"", "/p/locked/x": b""},
    folders=("/p/empty",),
    pipes=("/p/pipe",),
    broken=("/p/locked",),
)


def test_a_tree_is_indented_and_marked() -> None:
    assert list_dir(ListRequest(path="/p", depth=2), FILES) == (
        "Absolute path: /p\na/\n  b.txt\n  x/\na.txt\nempty/\nlocked/\npipe?\nz\n\ufffd"
    )


def test_a_page_says_that_there_is_more() -> None:
    assert list_dir(ListRequest(path="/p", depth=9, offset=2, limit=3), FILES) == (
        "Absolute path: /p\n  b.txt\n  x/\n    deep\nMore than 3 entries found"
    )
    assert list_dir(ListRequest(path="/p", depth=1, offset=7), FILES) == "Absolute path: /p\n\ufffd"


def test_an_empty_directory_has_only_its_path() -> None:
    assert list_dir(ListRequest(path="/p/empty"), FILES) == "Absolute path: /p/empty"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ListRequest(path="/p", offset=0), "offset must be a 1-indexed entry number"),
        (ListRequest(path="/p", limit=0), "limit must be greater than zero"),
        (ListRequest(path="/p", depth=0), "depth must be greater than zero"),
        (ListRequest(path="p"), "dir_path must be an absolute path"),
        (ListRequest(path="/\0"), "failed to read directory: the path contains a NUL character"),
        (ListRequest(path="/p", depth=1, offset=8), "offset exceeds directory entry count"),
        (ListRequest(path="/none"), "failed to read directory: No such file or directory (os error 2)"),
    ],
)
def test_what_cannot_be_listed_is_said_in_words(request_: ListRequest, message: str) -> None:
    with pytest.raises(ListingError) as caught:
        list_dir(request_, FILES)
    assert str(caught.value) == message


def test_no_page_walks_further_than_the_bound() -> None:
    class Endless(MemoryFiles):
        listed = 0

        def list_dir(self, path: str) -> tuple[DirEntry, ...]:
            self.listed += 1
            return (DirEntry(name="d", kind="directory"), *(DirEntry(name=f"{n}", kind="file") for n in range(999)))

    files = Endless()
    with pytest.raises(ListingError, match="offset exceeds directory entry count"):
        list_dir(ListRequest(path="/", offset=10**9, limit=10**9, depth=10**9), files)
    assert files.listed <= ENTRIES_SCANNED_MAX
