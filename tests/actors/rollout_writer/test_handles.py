"""Large values on disk: what they are called, where a slice begins and ends, how many there may be, when they go."""

from __future__ import annotations

import posixpath
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import Ports
from actors.ports.production.files import SystemFiles
from actors.rollout_writer import handle_store
from actors.rollout_writer.handle_store import HandleStore, read_slice, sweep
from actors.rollout_writer.handles import PREVIEW_CHARACTERS, HandleError, bounds, handle_of, type_of
from actors.rollout_writer.keeper import Keeper
from actors.rollout_writer.paths import handles_folder, rollout_of, rollout_path
from messages.base import ThreadId
from messages.handle import Handle, HandleType, Slice
from tests.actors.session.theatre import InlineThreads
from tests.simulation import World

THREAD = ThreadId("0196c2a4-6b3c-7000-8000-000000000001")
FILES = SystemFiles()


def rollout(tmp_path: Path) -> str:
    path = rollout_path(str(tmp_path), 1_790_000_000.0, THREAD)
    FILES.make_dirs(posixpath.dirname(path))
    Path(path).write_text('{"type":"session_meta"}\n')
    return path


def store(path: str) -> HandleStore:
    ports = Ports(
        clock=None,  # type: ignore[arg-type]  # only threads and files are used
        entropy=None,  # type: ignore[arg-type]  # see above
        threads=InlineThreads(),
        files=FILES,
        network=None,  # type: ignore[arg-type]  # see above
        processes=None,  # type: ignore[arg-type]  # see above
    )
    return HandleStore(ports, path)


def keep(where: HandleStore, data: bytes, type_: HandleType = "text") -> Handle:
    async def main() -> Handle:
        return await where.keep(data, type_)

    return trio.run(main)


# --- names and previews -------------------------------------------------------------------------------------------


def test_a_handle_says_what_it_stands_for() -> None:
    assert handle_of(b'{"a":1}', "json") == Handle(
        handle="json-015abd7f5cc57a2dd94b7590f04ad808", size=7, type="json", preview='{"a":1}'
    )
    shown = handle_of(b"\x89PNG", "bytes", "image/png")
    assert (shown.type, shown.preview, shown.media_type) == ("bytes", "image/png, 4 bytes", "image/png")


def test_a_preview_ends_with_a_whole_character() -> None:
    for lead in range(8):
        preview = handle_of(("x" * lead + "🦜" * 5_000).encode(), "text").preview
        assert preview == ("x" * lead + "🦜" * 5_000)[:PREVIEW_CHARACTERS]


@pytest.mark.parametrize(
    "name", ["", "text", "../text-00", "text-../../../etc/passwd", "text-" + "0" * 33, "html-0" * 2]
)
def test_what_is_no_handle_is_never_a_path(name: str) -> None:
    with pytest.raises(HandleError, match="is no handle"):
        type_of(name)


# --- slices -------------------------------------------------------------------------------------------------------


@given(text=st.text(max_size=40), cuts=st.lists(st.integers(0, 170), max_size=6))
def test_slices_that_meet_lose_and_repeat_nothing(text: str, cuts: list[int]) -> None:
    world = World(1)
    files = world.outside.files
    data = text.encode("utf-8", "replace")
    name = handle_of(data, "text").handle
    files.make_dirs("/h")
    files.write_atomic(f"/h/{name}", data)
    at = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    found = [read_slice(files, "/h", name, start, end, most=1000, cut=False) for start, end in pairwise(at)]
    assert "".join(each.data.decode() for each in found) == data.decode()
    assert all(each.end - each.start == len(each.data) for each in found)


def test_offsets_count_from_either_end_and_say_when_they_are_beyond_it() -> None:
    assert bounds(100, None, None, most=100, cut=False) == (0, 100)
    assert bounds(100, -10, None, most=100, cut=False) == (90, 100)
    assert bounds(100, 10, -10, most=100, cut=False) == (10, 90)
    assert bounds(100, 100, None, most=100, cut=False) == (100, 100)
    assert bounds(100, 50, 1_000, most=100, cut=False) == (50, 100)
    assert bounds(100, 0, None, most=30, cut=True) == (0, 30)
    with pytest.raises(HandleError, match="the slice begins at 101, but the value has 100 bytes"):
        bounds(100, 101, None, most=100, cut=True)
    with pytest.raises(HandleError, match="begins at -101"):
        bounds(100, -101, None, most=100, cut=True)
    with pytest.raises(HandleError, match="ends before it begins: from 50, to 40"):
        bounds(100, 50, 40, most=100, cut=True)
    with pytest.raises(HandleError, match="has 100 bytes, and 30 are given at once"):
        bounds(100, 0, None, most=30, cut=False)


# --- on disk ------------------------------------------------------------------------------------------------------


def test_a_value_is_kept_beside_its_rollout_once_and_read_from_any_store_of_the_thread(tmp_path: Path) -> None:
    path = rollout(tmp_path)
    handle = keep(store(path), b"one two")
    assert keep(store(path), b"one two") == handle
    folder = Path(handles_folder(path))
    assert [(each.name, each.read_bytes()) for each in folder.iterdir()] == [(handle.handle, b"one two")]
    assert (folder.stat().st_mode & 0o777, (folder / handle.handle).stat().st_mode & 0o777) == (0o700, 0o600)
    assert store(path).read_now(handle.handle, 4, None, most=10, cut=False) == Slice(
        type="text", size=7, start=4, end=7, data=b"two"
    )


def test_a_handle_of_another_thread_is_none_of_this_one(tmp_path: Path) -> None:
    handle = keep(store(rollout(tmp_path)), b"theirs")
    other = store(rollout_path(str(tmp_path), 1_790_000_000.0, ThreadId(THREAD[:-1] + "2")))
    with pytest.raises(HandleError, match=r"there is no text-.* in this thread; a handle belongs to the thread"):
        other.read_now(handle.handle, 0, None, most=10, cut=True)


def test_a_thread_keeps_a_bounded_number_of_bytes_and_values_and_throws_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle_store, "VALUE_BYTES_MAX", 50)
    monkeypatch.setattr(handle_store, "THREAD_BYTES_MAX", 100)
    monkeypatch.setattr(handle_store, "THREAD_VALUES_MAX", 3)
    where = store(rollout(tmp_path))
    first = keep(where, b"a" * 50)
    with pytest.raises(HandleError, match="51 bytes, and at most 50 are kept of one value"):
        keep(where, b"b" * 51)
    keep(where, b"b" * 40)
    with pytest.raises(HandleError, match="keeps 2 large values of 90 bytes already; at most 3 of 100 bytes"):
        keep(where, b"c" * 11)
    assert keep(where, b"a" * 50) == first, "what is there already takes no room"
    keep(where, b"c")
    with pytest.raises(HandleError, match="keeps 3 large values"):
        keep(where, b"d")
    assert where.read_now(first.handle, 0, None, most=100, cut=False).data == b"a" * 50


def test_what_a_crash_left_half_written_goes_with_the_next_value(tmp_path: Path) -> None:
    path = rollout(tmp_path)
    handle = keep(store(path), b"one")
    left = Path(handles_folder(path)) / f".{handle.handle}.x1.tmp"
    left.write_bytes(b"on")
    keep(store(path), b"two")
    assert not left.exists()
    assert len(list(left.parent.iterdir())) == 2


def test_a_disk_that_takes_nothing_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = rollout(tmp_path)
    Path(handles_folder(path)).write_text("in the way")
    with pytest.raises(HandleError, match="it has 3 bytes and cannot be kept on disk: Not a directory"):
        keep(store(path), b"one")


# --- with the thread ----------------------------------------------------------------------------------------------


def test_a_folder_of_handles_names_its_rollout() -> None:
    path = rollout_path("/home", 1_790_000_000.0, THREAD)
    assert rollout_of(handles_folder(path)) == path
    assert rollout_of("/home/sessions/notes.handles") is None
    assert rollout_of(path) is None


def test_handles_go_when_their_rollout_is_gone_and_stay_while_it_is_anywhere(tmp_path: Path) -> None:
    gone = rollout(tmp_path)
    keep(store(gone), b"gone")
    Path(gone).unlink()
    there = rollout_path(str(tmp_path), 1_790_000_000.0, ThreadId(THREAD[:-1] + "2"))
    Path(there).write_text('{"type":"session_meta"}\n')
    keep(store(there), b"there")
    moved = rollout_path(str(tmp_path), 1_790_000_000.0, ThreadId(THREAD[:-1] + "3"))
    keep(store(moved), b"moved")
    archive = tmp_path / "archived_sessions"
    archive.mkdir()
    (archive / Path(moved).name).write_text('{"type":"session_meta"}\n')

    async def start_daemon() -> None:
        ports = store(there)._ports
        keeper = Keeper(ports, str(tmp_path), path=":memory:", warn=print)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            with trio.fail_after(5):
                await keeper.reconciled.wait()
            nursery.cancel_scope.cancel()

    trio.run(start_daemon)
    assert not Path(handles_folder(gone)).exists()
    assert [each.read_bytes() for each in Path(handles_folder(there)).iterdir()] == [b"there"]
    assert [each.read_bytes() for each in Path(handles_folder(moved)).iterdir()] == [b"moved"]


def test_what_cannot_be_removed_stays(tmp_path: Path) -> None:
    folder = tmp_path / "x.handles"
    (folder / "a folder in it").mkdir(parents=True)
    sweep(FILES, str(folder))
    assert folder.exists()
