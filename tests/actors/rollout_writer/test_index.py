"""The index of threads: true to the files whatever happened to either; pages lose no thread and tell none twice."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ports.production import SystemFiles
from actors.rollout_writer.disk import RolloutFile
from actors.rollout_writer.index import BadCursorError, Known, ThreadIndex
from actors.rollout_writer.keeper import Keeper
from actors.rollout_writer.lines import encode
from actors.rollout_writer.paths import rollout_path
from actors.rollout_writer.reader import load_file
from messages.base import ThreadId, TurnId
from messages.log import ListThreads, Record, TurnOpened
from messages.session import ThreadSummary
from tests.actors.rollout_writer.disks import ports
from tests.actors.rollout_writer.rollouts import META, START, conversation, write

FILES = SystemFiles()


def summary(n: int, **changes: object) -> ThreadSummary:
    base = ThreadSummary(
        id=ThreadId(f"t{n:03}"),
        path=f"/sessions/{n}.jsonl",
        cwd="/proj",
        preview=f"message {n}",
        name=None,
        provider="openai",
        model="m",
        source="cli",
        created_at=1000.0 + n,
        updated_at=5000.0 - n,
        cli_version="1",
    )
    return msgspec.structs.replace(base, **changes)


def filled(*summaries: ThreadSummary) -> ThreadIndex:
    index = ThreadIndex(":memory:", FILES)
    index.replace((each, Known(length=1, modified_at=None)) for each in summaries)
    return index


def ids(index: ThreadIndex, request: ListThreads) -> list[str]:
    return [thread.id for thread in index.page(request).threads]


@given(
    times=st.lists(st.sampled_from([1.0, 1.0004, 1.001, 2.5, 1e9 + 0.1235]), max_size=12),
    limit=st.integers(1, 5),
    ascending=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_pages_tell_every_thread_once_in_order_and_can_be_gone_back(
    times: list[float], limit: int, ascending: bool
) -> None:
    index = filled(*(summary(n, updated_at=at) for n, at in enumerate(times)))
    whole = ids(index, ListThreads(limit=200, ascending=ascending))
    assert len(whole) == len(times)
    seen: list[str] = []
    cursor: str | None = None
    back: list[str] = []
    for _ in range(len(times) + 2):
        page = index.page(ListThreads(limit=limit, cursor=cursor, ascending=ascending))
        if page.previous_cursor is not None:
            earlier = index.page(ListThreads(limit=limit, cursor=page.previous_cursor, ascending=ascending))
            back = [thread.id for thread in earlier.threads]
            assert seen[-len(back) :] == back
        seen += [thread.id for thread in page.threads]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == whole


def test_lists_are_filtered_sorted_and_searched() -> None:
    index = filled(
        summary(1, cwd="/a", provider="x", name="Fix the_parser"),
        summary(2, cwd="/b", source="exec"),
        summary(3, cwd="/a", preview="100% done"),
        summary(4, preview=""),
    )
    assert ids(index, ListThreads()) == ["t001", "t002", "t003"], "newest first, and none without a user message"
    assert ids(index, ListThreads(sort_by="created_at")) == ["t003", "t002", "t001"]
    assert ids(index, ListThreads(cwd="/a")) == ["t001", "t003"]
    assert ids(index, ListThreads(providers=("x", "y"))) == ["t001"]
    assert ids(index, ListThreads(sources=("exec",))) == ["t002"]
    assert ids(index, ListThreads(search="the_p fix")) == ["t001"]
    assert ids(index, ListThreads(search="0%")) == ["t003"]
    assert ids(index, ListThreads(search="%")) == ["t003"]
    assert index.find(ThreadId("t004")) == summary(4, preview="")


@pytest.mark.parametrize("cursor", ["", "x", "2026-01-01T00:00:00Z", "yesterday|t1", "<|"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError, match="invalid cursor"):
        filled().page(ListThreads(cursor=cursor))


@pytest.mark.parametrize("damage", [b"this is no database at all, " * 100, b""])
def test_a_corrupt_index_is_begun_anew_and_says_so(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "index.sqlite3"
    path.write_bytes(damage)
    path.chmod(0o600)
    index = ThreadIndex(str(path), FILES)
    assert (index.rebuilt_because is not None) == bool(damage)
    assert index.page(ListThreads()).threads == ()
    index.close()


def test_an_index_is_for_its_owner_only_and_one_that_is_not_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    ThreadIndex(str(path), FILES).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    index = ThreadIndex(str(path), FILES)
    assert "others can read it" in (index.rebuilt_because or "")
    assert [each.stat().st_mode & 0o777 for each in tmp_path.iterdir()] == [0o600] * 3
    index.close()


class House:
    """A home with rollouts, and a keeper for it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warnings: list[str] = []

    def path(self, n: int) -> str:
        return rollout_path(str(self.home), START + n, self.id(n))

    @staticmethod
    def id(n: int) -> ThreadId:
        return ThreadId(f"0193a000-0000-7000-8000-{n:012}")

    def records(self, n: int) -> list[tuple[Record, ...]]:
        meta = msgspec.structs.replace(META, thread_id=self.id(n))
        return [(meta,), *conversation(random.Random(n), turns=2)[1:]]

    def make(self, n: int) -> str:
        path = self.path(n)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(write(self.records(n)))
        return path

    def change_behind_its_back(self) -> None:
        """Thread 2 is deleted, 3 grows, 40 is new."""
        Path(self.path(2)).unlink()
        self.make(40)
        with Path(self.path(3)).open("ab") as file:
            file.write(write([(TurnOpened(turn_id=TurnId("x"), submission_id="", started_at=0),)], 999))

    def keeper(self) -> Keeper:
        return Keeper(ports(), str(self.home), warn=self.warnings.append)

    def truth(self, *threads: int) -> dict[str, ThreadSummary]:
        return {self.id(n): load_file(FILES, self.path(n)).summary(self.path(n)) for n in threads}


async def listed(keeper: Keeper) -> dict[str, ThreadSummary]:
    return {thread.id: thread for thread in (await keeper.page(ListThreads(limit=200))).threads}


async def kept(house: House, keeper: Keeper, nursery: trio.Nursery) -> None:
    nursery.start_soon(keeper.run)
    await keeper.reconciled.wait()


async def test_files_are_compared_at_the_start_and_read_where_they_differ(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    house = House(tmp_path)
    for n in range(1, 40):
        house.make(n)
    with trio.fail_after(10):
        first = house.keeper()
        async with trio.open_nursery() as life:
            await kept(house, first, life)
            assert await listed(first) == house.truth(*range(1, 40))
            await first.close()
            life.cancel_scope.cancel()
        house.change_behind_its_back()
        second = house.keeper()
        await kept(house, second, nursery)
        assert await listed(second) == house.truth(1, *range(3, 41))
        assert await second.find(house.id(2)) is None
        assert house.warnings == []


async def test_a_list_right_after_a_start_has_what_the_index_was_never_told(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Found by kill -9: a list was answered before the files had been compared, and missed the youngest threads."""
    house = House(tmp_path)
    house.make(1)
    keeper = house.keeper()
    nursery.start_soon(keeper.run)
    with trio.fail_after(5):
        assert await listed(keeper) == house.truth(1)


@pytest.mark.parametrize("seed", range(5))
async def test_appends_keep_the_index_equal_to_the_files(tmp_path: Path, nursery: trio.Nursery, seed: int) -> None:
    house = House(tmp_path)
    rng = random.Random(seed)
    keeper = house.keeper()
    todo = {n: house.records(n) for n in (1, 2, 3)}
    files = {n: RolloutFile(FILES, house.path(n)) for n in todo}
    nursery.start_soon(keeper.run)
    with trio.fail_after(10):
        while any(todo.values()):
            n = rng.choice([n for n, appends in todo.items() if appends])
            records = todo[n].pop(0)
            file = files[n]
            base = file.length
            at = START + rng.random() * 100
            file.append(
                file.next_ordinal,
                encode(records, thread_id=house.id(n), first_ordinal=file.next_ordinal, at=at),
            )
            if rng.random() < 0.9:  # sometimes nobody says so, as after a crash
                keeper.note(house.path(n), records, base_length=base, length=file.length, at=at)
            if rng.random() < 0.1:
                await listed(keeper)
        for n, file in files.items():
            keeper.doubt(house.path(n)) if rng.random() < 0.5 else None
            base = file.length
            file.append(
                file.next_ordinal,
                encode((META,), thread_id=house.id(n), first_ordinal=file.next_ordinal, at=START + 200),
            )
            keeper.note(house.path(n), (META,), base_length=base, length=file.length, at=START + 200)
        await keeper.reconciled.wait()
        assert await listed(keeper) == house.truth(1, 2, 3)


async def test_an_index_that_cannot_be_had_costs_lists_and_nothing_else(
    tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    house = House(tmp_path)
    house.make(1)
    (tmp_path / "index.sqlite3").mkdir()
    keeper = house.keeper()
    async with trio.open_nursery() as nursery:
        await kept(house, keeper, nursery)
        keeper.note(house.path(1), (), base_length=0, length=1, at=0)
        assert await listed(keeper) == {}
        assert await keeper.find(house.id(1)) == house.truth(1)[house.id(1)]
        nursery.cancel_scope.cancel()
    assert "given up" in house.warnings[-1]


async def test_a_corrupt_index_is_rebuilt_from_the_rollouts(tmp_path: Path, nursery: trio.Nursery) -> None:
    house = House(tmp_path)
    house.make(1)
    (tmp_path / "index.sqlite3").write_bytes(b"\0garbage" * 1000)
    keeper = house.keeper()
    with trio.fail_after(10):
        await kept(house, keeper, nursery)
        assert await listed(keeper) == house.truth(1)
    assert len(house.warnings) == 1
    assert "rebuilt from the rollouts" in house.warnings[0]
