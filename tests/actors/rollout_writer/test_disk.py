"""Whole records or nothing, on a disk that may be full, torn or broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer.disk import TAIL_BYTES, GapError, RolloutFile, Tail, find_tail
from actors.rollout_writer.projection import project
from tests.actors.rollout_writer.disks import TroubledDisk


def record(ordinal: int, size: int = 1) -> bytes:
    return b'{"ordinal":%d,"type":"x","payload":"%s"}\n' % (ordinal, b"a" * size)


def tail_of(data: bytes) -> Tail:
    return find_tail(lambda start, limit: data[start : start + limit], len(data))


def opened(path: Path, disk: TroubledDisk | None = None) -> RolloutFile:
    return RolloutFile(disk or TroubledDisk(), str(path))


def test_a_new_rollout_gets_its_directories_and_begins_at_record_zero(tmp_path: Path) -> None:
    path = tmp_path / "2026" / "11" / "x.jsonl"
    file = opened(path)
    assert file.append(0, [record(0), record(1)]) == 2
    assert path.read_bytes() == record(0) + record(1)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_records_already_in_the_file_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    file = opened(path)
    file.append(0, [record(0), record(1)])
    assert file.append(0, [record(0), record(1)]) == 0
    assert file.append(1, [record(1), record(2)]) == 1
    again = opened(path)
    assert again.append(0, [record(0), record(1), record(2), record(3)]) == 1
    assert path.read_bytes() == b"".join(map(record, range(4)))


def test_an_append_that_would_leave_a_gap_is_refused(tmp_path: Path) -> None:
    file = opened(tmp_path / "x.jsonl")
    with pytest.raises(GapError, match=r"begins at record 1 where record 0 is due"):
        file.append(1, [record(1)])
    assert file.append(0, [record(0)]) == 1


def test_a_torn_tail_stays_until_the_next_append_and_is_then_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(record(0) + b'{"ordinal":1,"ty')
    file = opened(path)
    assert path.read_bytes().endswith(b'"ty')
    file.append(1, [record(1)])
    assert path.read_bytes() == record(0) + record(1)


def test_a_full_disk_costs_the_append_and_nothing_else(tmp_path: Path) -> None:
    disk = TroubledDisk()
    path = tmp_path / "x.jsonl"
    file = opened(path, disk)
    file.append(0, [record(0)])
    disk.room = 30
    with pytest.raises(OSError, match="No space left"):
        file.append(1, [record(1), record(2)])
    assert path.read_bytes() == record(0)
    disk.room = None
    assert file.append(1, [record(1), record(2)]) == 2
    assert path.read_bytes() == b"".join(map(record, range(3)))


def test_what_could_not_be_cut_off_at_once_is_cut_off_before_the_next_append(tmp_path: Path) -> None:
    disk = TroubledDisk()
    path = tmp_path / "x.jsonl"
    file = opened(path, disk)
    disk.room, disk.bad_truncate = 10, True
    with pytest.raises(OSError, match="No space left"):
        file.append(0, [record(0)])
    assert path.read_bytes() == record(0)[:10]
    disk.room = None
    with pytest.raises(OSError, match="Input/output error"):
        file.append(0, [record(0)])
    disk.bad_truncate = False
    file.append(0, [record(0)])
    assert path.read_bytes() == record(0)


@pytest.mark.parametrize(
    ("data", "tail"),
    [
        (b"", Tail(length=0, next_ordinal=0)),
        (b"torn", Tail(length=0, next_ordinal=0)),
        (record(4) + record(9), Tail(length=2 * len(record(4)), next_ordinal=10)),
        (record(4) + b"garbage\n\xff\n" + b"torn", Tail(length=len(record(4)) + 10, next_ordinal=5)),
        (b'{"type":"x","payload":1}\n' * 3, Tail(length=75, next_ordinal=3)),
        (record(7) + b'{"type":"x","payload":1}\n' * 2, Tail(length=len(record(7)) + 50, next_ordinal=8)),
    ],
)
def test_the_tail_is_found(data: bytes, tail: Tail) -> None:
    assert tail_of(data) == tail
    assert project(data).next_ordinal == tail.next_ordinal, "the reader must expect the same ordinal"


@pytest.mark.parametrize("size", [TAIL_BYTES - 60, TAIL_BYTES, TAIL_BYTES * 3])
def test_a_last_record_larger_than_the_first_look_is_found(size: int) -> None:
    data = record(0) + record(1, size)
    assert tail_of(data + b"torn" * size) == Tail(length=len(data), next_ordinal=2)


@given(st.lists(st.sampled_from([record(3), b"{}\n", b"junk\n", b"\n", b'{"type":"x","payload":0}\n', b"torn"])))
@settings(max_examples=200, deadline=None)
def test_writer_and_reader_count_alike_whatever_the_file_holds(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert tail_of(data).next_ordinal == project(data).next_ordinal
