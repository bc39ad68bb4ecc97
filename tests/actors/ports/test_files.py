"""Files: the same verbs with the same errors on the real file system and on the simulated one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.ports import Files
from actors.ports.files import DirEntry, FileStat
from actors.ports.production import SystemFiles
from actors.ports.production.files import DescriptorFile
from tests.simulation import World

Symlink = Callable[[str, str], None]


class Place:
    """Files, an empty folder among them, and a way to make symlinks."""

    def __init__(self, files: Files, root: str, symlink: Symlink) -> None:
        self.files = files
        self.root = root
        self.symlink = symlink

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def append(self, name: str, *pieces: bytes) -> None:
        file = self.files.open_append(self.path(name))
        for piece in pieces:
            file.write(piece)
        file.close()


@pytest.fixture(params=["real", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "real":
        return Place(SystemFiles(), str(tmp_path), lambda path, target: os.symlink(target, path))
    world = World(1)
    world.disk.make_dirs("/place")
    return Place(world.outside.files, "/place", world.disk.symlink)


def test_a_file_grows_is_measured_cut_and_synced(place: Place) -> None:
    file = place.files.open_append(place.path("log"))
    file.write(b"one\n")
    file.write(b"two")
    file.datasync()
    file.datasync()
    assert file.size() == 7
    file.truncate(4)
    file.write(b"three\n")
    file.close()
    file.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.write(b"x")
    place.append("log", b"four\n")
    assert place.files.read(place.path("log")) == b"one\nthree\nfour\n"
    status = place.files.stat(place.path("log"))
    assert status is not None
    assert (status.kind, status.size, status.mode) == ("file", 15, 0o600)


def test_a_part_of_a_file_can_be_read(place: Place) -> None:
    place.append("log", b"0123456789")
    path = place.path("log")
    assert place.files.read(path, start=7) == b"789"
    assert place.files.read(path, start=2, limit=3) == b"234"
    assert place.files.read(path, limit=0) == b""
    assert place.files.read(path, start=50) == b""


def test_a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_beside_it(place: Place) -> None:
    path = place.path("settings")
    place.files.write_atomic(path, b"old")
    place.files.write_atomic(path, b"new", mode=0o640)
    status = place.files.stat(path)
    assert status is not None
    assert (place.files.read(path), status.mode) == (b"new", 0o640)
    assert place.files.list_dir(place.root) == (DirEntry(name="settings", kind="file"),)
    with pytest.raises(FileNotFoundError):
        place.files.write_atomic(place.path("nowhere/settings"), b"x")


def test_writing_in_place_follows_links(place: Place) -> None:
    place.files.write(place.path("target"), b"old and long")
    place.symlink(place.path("link"), "target")
    place.files.write(place.path("link"), b"new")
    assert place.files.read(place.path("target")) == b"new"
    link = place.files.stat(place.path("link"), follow=False)
    assert link is not None
    assert link.kind == "symlink"
    assert place.files.stat(place.path("link")) == place.files.stat(place.path("target"))


def test_what_is_not_there_is_none_to_stat_and_an_error_to_others(place: Place) -> None:
    nothing = place.path("nothing")
    place.symlink(place.path("dangling"), "nothing")
    assert place.files.stat(nothing) is None
    assert place.files.stat(place.path("dangling")) is None
    assert isinstance(place.files.stat(place.path("dangling"), follow=False), FileStat)
    for verb in (place.files.read, place.files.list_dir, place.files.remove):
        with pytest.raises(FileNotFoundError):
            verb(nothing)
    with pytest.raises(FileNotFoundError):
        place.files.rename(nothing, place.path("x"))
    with pytest.raises(FileNotFoundError):
        place.files.open_append(place.path("no/such/dir"))
    with pytest.raises(IsADirectoryError):
        place.files.read(place.root)


def test_directories_are_made_with_their_parents_and_listed_by_name(place: Place) -> None:
    place.files.make_dirs(place.path("a/b/c"))
    place.files.make_dirs(place.path("a/b/c"))
    place.append("a/z")
    place.symlink(place.path("a/l"), "z")
    assert place.files.list_dir(place.path("a")) == (
        DirEntry(name="b", kind="directory"),
        DirEntry(name="l", kind="symlink"),
        DirEntry(name="z", kind="file"),
    )
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        place.files.make_dirs(place.path("a/z/below"))
    with pytest.raises(NotADirectoryError):
        place.files.list_dir(place.path("a/z"))


def test_names_are_resolved_moved_and_removed(place: Place) -> None:
    place.files.make_dirs(place.path("dir"))
    place.symlink(place.path("way"), "dir")
    place.append("dir/file", b"x")
    place.append("other", b"y")
    assert place.files.resolve(place.path("way/file")) == place.path("dir/file")
    assert place.files.resolve(place.path("way/new/../newer")) == place.path("dir/newer")
    place.files.rename(place.path("dir/file"), place.path("other"))
    assert place.files.read(place.path("other")) == b"x"
    place.files.rename(place.path("dir"), place.path("moved"))
    place.files.remove(place.path("way"))
    place.files.remove(place.path("other"))
    assert place.files.list_dir(place.root) == (DirEntry(name="moved", kind="directory"),)


def test_a_link_says_what_was_written_into_it(place: Place) -> None:
    place.symlink(place.path("way"), "../no/where")
    place.append("file", b"x")
    assert place.files.read_link(place.path("way")) == "../no/where"
    with pytest.raises(OSError, match="Invalid argument"):
        place.files.read_link(place.path("file"))
    with pytest.raises(FileNotFoundError):
        place.files.read_link(place.path("nothing"))


def test_only_an_empty_folder_is_removed(place: Place) -> None:
    place.files.make_dirs(place.path("dir/sub"))
    with pytest.raises(OSError, match="not empty"):
        place.files.remove_dir(place.path("dir"))
    place.append("file", b"x")
    with pytest.raises(NotADirectoryError):
        place.files.remove_dir(place.path("file"))
    place.files.remove_dir(place.path("dir/sub"))
    place.files.remove_dir(place.path("dir"))
    with pytest.raises(FileNotFoundError):
        place.files.remove_dir(place.path("dir"))
    assert place.files.list_dir(place.root) == (DirEntry(name="file", kind="file"),)


def test_a_lock_is_held_by_one_until_closed(place: Place) -> None:
    first = place.files.lock(place.path("lock"))
    assert first is not None
    assert place.files.lock(place.path("lock")) is None
    first.close()
    second = place.files.lock(place.path("lock"))
    assert second is not None
    second.close()


def test_a_write_that_is_taken_in_parts_is_finished_or_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The kernel may take a part of a write, and on a full disk does so before it refuses the rest."""
    real_write = os.write
    room = 10

    def small_write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = min(3, room, len(data))
        room -= count
        return real_write(descriptor, bytes(data)[:count])

    monkeypatch.setattr(os, "write", small_write)
    file = SystemFiles().open_append(str(tmp_path / "log"))
    assert isinstance(file, DescriptorFile)
    file.write(b"12345678")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"abcdef")
    with pytest.raises(OSError, match="No space left"):
        SystemFiles().write_atomic(str(tmp_path / "other"), b"x")
    file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"log": b"12345678ab"}
