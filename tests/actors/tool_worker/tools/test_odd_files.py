"""Files that are no files, or that nobody expects: on a real file system, with the daemon's own ports."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from actors.ports.production.files import SystemFiles
from actors.tool_worker.listing import ListingError, ListRequest, list_dir
from actors.tool_worker.reading import BLOCK_BYTES, CHANGED, ReadingError, ReadRequest, read_file
from actors.tool_worker.tool import ToolError
from actors.tool_worker.tools.view_image import _read

FILES = SystemFiles()


def read(path: Path | str, **request: object) -> str:
    return read_file(ReadRequest(path=str(path), **request), FILES)  # type: ignore[arg-type]  # as the test means it


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path, words in (
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path / "a", "Too many levels of symbolic links"),
        (tmp_path / "none/at/all", "No such file or directory"),
    ):
        with pytest.raises(ReadingError, match=words):
            read(path)
        with pytest.raises(ToolError):
            _read(FILES, str(path))


def test_files_of_the_kernel_are_read_though_they_have_no_size() -> None:
    assert read("/proc/self/status", limit=1).startswith("L1: Name:")
    with pytest.raises(ReadingError, match="failed to read file"):
        read("/proc/self/mem")


def test_a_pipe_that_took_a_files_place_holds_nobody(tmp_path: Path) -> None:
    """Between the look and the reading anything may happen; a reader that waits could not be interrupted."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert FILES.read(str(pipe)) == b"", "nobody writes"
    writer = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            FILES.read(str(pipe))
    finally:
        os.close(writer)


def test_a_file_that_changes_while_it_is_read_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"line\n" * (BLOCK_BYTES // 2))

    class Growing(SystemFiles):
        def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
            piece = super().read(path, start=start, limit=limit)
            with open(path, "ab") as file:
                file.write(b"more\n")
            return piece

    request = ReadRequest(path=str(path), offset=BLOCK_BYTES // 3, limit=2)
    assert read_file(request, Growing()).splitlines()[-1] == CHANGED
    assert CHANGED not in read_file(request, FILES)


def test_a_line_without_end_costs_no_more_than_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "line"
    with open(path, "wb") as file:
        file.truncate(20 * 1024 * 1024)  # one line of NULs
    assert read(path) == "L1: " + "\0" * 500


def test_names_that_are_no_utf8_are_listed(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/odd\xff")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    listed = list_dir(ListRequest(path=str(tmp_path), depth=5), FILES).splitlines()[1:]
    assert listed == ["dangling@", "loop@", "odd\ufffd/", "pipe?"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said_to_be_forbidden(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(ReadingError, match=r"Permission denied \(os error 13\)"):
        read(secret)
    with pytest.raises(ListingError, match=r"Permission denied \(os error 13\)"):
        list_dir(ListRequest(path=str(closed)), FILES)


def test_a_folder_that_goes_while_it_is_listed_is_shown_without_its_entries(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/x").write_text("")
    gone = threading.Event()

    class Vanishing(SystemFiles):
        def list_dir(self, path: str) -> object:  # type: ignore[override]  # it hands on what it gets
            found = super().list_dir(path)
            if not gone.is_set():
                gone.set()
                (tmp_path / "here/x").unlink()
                (tmp_path / "here").rmdir()
            return found

    assert list_dir(ListRequest(path=str(tmp_path)), Vanishing()).splitlines()[1:] == ["here/"]  # type: ignore[arg-type]  # as above
