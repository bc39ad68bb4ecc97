"""The writer as its neighbours know it: over a real disk, and over one that fails."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.kernel import Context, ServiceAddress, System
from actors.ports import Threads
from actors.ports.production import WorkerThreads
from actors.rollout_writer.actor import ROLLOUT_WRITER, WriterOptions, run
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.rollout_writer.core import Durability
from actors.rollout_writer.paths import rollout_path
from actors.rollout_writer.projection import project
from actors.rollout_writer.reader import load_thread, read_records
from actors.session.open_text import OpenText
from messages.base import ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage, Plan, TextInput, UserMessage
from messages.log import (
    Append,
    Appended,
    AppendFailed,
    FindThread,
    ListThreads,
    Record,
    ResponseItem,
    ThreadNamed,
    ThreadPage,
    TurnClosed,
    TurnOpened,
)
from messages.session import ThreadSummary
from tests.actors.rollout_writer.disks import TroubledDisk, ports
from tests.actors.rollout_writer.rollouts import META, START, THREAD, pair, said, shown, user_item

TURN = TurnId("turn_1")
OPENED = TurnOpened(turn_id=TURN, submission_id="s", started_at=START)
HELLO = pair(TURN, user_item("hello"), UserMessage(id="u1", content=(TextInput(text="hello"),)))


class Bench:
    """A writer at work."""

    def __init__(self, home: Path, disk: TroubledDisk, writer: ServiceAddress[Any]) -> None:
        self.home = home
        self.disk = disk
        self.writer = writer
        self.checkpoints = TextCheckpoints()
        self.path = rollout_path(str(home), META.created_at, THREAD)

    def file(self, path: str | None = None) -> bytes:
        return Path(path or self.path).read_bytes()

    def journal(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.home / "checkpoints").glob("*.jsonl")))

    async def append(
        self, ordinal: int, *records: Record, barrier: bool = False, path: str | None = None, thread: ThreadId = THREAD
    ) -> Appended | AppendFailed:
        message = Append(
            thread_id=thread,
            path=path or self.path,
            first_ordinal=ordinal,
            at=START,
            records=records,
            barrier=barrier,
        )
        return await self.writer.ask(message, (Appended, AppendFailed))


@asynccontextmanager
async def writing(
    home: Path,
    *,
    durability: Durability = "full",
    threads: Threads | None = None,
    end: bool = True,
    checkpoints: TextCheckpoints | None = None,
) -> AsyncIterator[Bench]:
    """A running writer; ended in order, or (``end`` False) as if by a crash of the process. With the ``checkpoints`` of
    a former one it is the next one of the same process."""
    system = System(random=random.Random(0), strict=True)
    system.directory.expect(ROLLOUT_WRITER)
    ctx = Context(system, "rollout_writer")
    bench = Bench(home, TroubledDisk(), system.directory.address(ROLLOUT_WRITER))
    bench.checkpoints = checkpoints or bench.checkpoints
    options = WriterOptions(home=str(home), durability=durability)

    async def life(*, task_status: trio.TaskStatus[None]) -> None:
        await run(ctx, ports(bench.disk, threads=threads), options, bench.checkpoints, task_status=task_status)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(life)
            yield bench
            if end:
                ctx.request_shutdown(5)
            else:
                nursery.cancel_scope.cancel()


async def test_records_are_in_the_file_when_the_answer_comes(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        assert await bench.append(0, META) == Appended(thread_id=THREAD, next_ordinal=1)
        assert project(bench.file()).meta == META
        assert bench.disk.times("sync") == 0
        assert await bench.append(1, OPENED, *HELLO) == Appended(thread_id=THREAD, next_ordinal=4)
        assert project(bench.file()).history == (user_item("hello"),)


async def test_a_barrier_is_answered_after_the_sync_and_relaxed_durability_leaves_it_to_the_timer(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META, barrier=True)
        assert [call for call, path in bench.disk.calls if path == bench.path] == ["open", "write", "sync"]
    async with writing(tmp_path / "relaxed", durability="relaxed") as bench:
        await bench.append(0, META, barrier=True)
        assert bench.disk.times("sync") == 0
    assert bench.disk.times("sync") == 1, "at the end at the latest"


async def test_what_nobody_waits_for_is_synced_soon(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
        await trio.sleep(0.9)
        assert bench.disk.times("sync") == 0
        await trio.sleep(0.2)
        assert bench.disk.times("sync") == 1
        await trio.sleep(5)
        assert bench.disk.times("sync") == 1


async def test_sending_an_append_again_changes_nothing(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
        await bench.append(1, OPENED, *HELLO)
        before = bench.file()
        assert await bench.append(1, OPENED, *HELLO) == Appended(thread_id=THREAD, next_ordinal=4)
        assert bench.file() == before
    async with writing(tmp_path) as bench:
        assert await bench.append(0, META) == Appended(thread_id=THREAD, next_ordinal=1)
        assert bench.file() == before


async def test_a_full_disk_fails_the_append_whole_and_those_behind_it_and_later_ones_work_again(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
        whole = bench.file()
        bench.disk.room = 100
        failed = await bench.append(1, OPENED, *HELLO)
        assert isinstance(failed, AppendFailed)
        assert (failed.first_ordinal, failed.failure.kind, failed.failure.retryable) == (1, "storage", True)
        assert bench.path in failed.failure.message
        assert "No space left" in failed.failure.message
        assert bench.file() == whole
        bench.disk.room = None
        behind = await bench.append(4, ThreadNamed(name="x"))
        assert isinstance(behind, AppendFailed)
        assert "record 1 is due" in behind.failure.message
        assert await bench.append(1, OPENED, *HELLO) == Appended(thread_id=THREAD, next_ordinal=4)
        assert project(bench.file()).history == (user_item("hello"),)


async def test_a_failed_sync_takes_back_what_it_was_for(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
        whole = bench.file()
        bench.disk.bad_sync = True
        failed = await bench.append(1, OPENED, barrier=True)
        assert isinstance(failed, AppendFailed)
        assert bench.file() == whole
        bench.disk.bad_sync = False
        assert isinstance(await bench.append(1, OPENED, barrier=True), Appended)


async def test_a_place_that_cannot_be_written_is_told_and_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with writing(tmp_path) as bench:
        failed = await bench.append(0, META, path=str(tmp_path / "file" / "x.jsonl"))
        assert isinstance(failed, AppendFailed)
        assert "Not a directory" in failed.failure.message
        assert isinstance(await bench.append(0, META), Appended)


async def test_records_that_break_the_format_are_refused_and_harm_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(tmp_path) as bench:
        half = ResponseItem(turn_id=TURN, item=said("hi", "m1"), item_id=ItemId("m1"))
        failed = await bench.append(0, META, half)
        assert isinstance(failed, AppendFailed)
        assert failed.failure.kind == "internal"
        assert isinstance(await bench.append(0, META), Appended)
    assert "break the format" in caplog.text


async def test_a_hundred_threads_at_once_share_few_writes_and_each_keeps_its_order(tmp_path: Path) -> None:
    async with writing(tmp_path, threads=WorkerThreads()) as bench:
        paths = [str(tmp_path / f"{n}.jsonl") for n in range(100)]

        async def talk(path: str) -> None:
            for ordinal in range(5):
                answer = await bench.append(ordinal, ThreadNamed(name=f"{ordinal}"), path=path, barrier=ordinal == 4)
                assert isinstance(answer, Appended)

        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(talk, path)
        for path in paths:
            thread = project(bench.file(path))
            assert (thread.name, thread.counts.gaps, thread.next_ordinal) == ("4", 0, 5)


async def test_asked_to_end_it_syncs_all_and_lets_go(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
    assert [call for call, path in bench.disk.calls if path == bench.path] == ["open", "write", "sync", "close"]


# --- text checkpoints -------------------------------------------------------------------------------------------


async def test_text_that_was_being_shown_survives_the_death_of_the_process(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with writing(tmp_path, end=False) as bench:
        await bench.append(0, META, OPENED, *HELLO)
        text = OpenText("text")
        text.append("half a ")
        bench.checkpoints.register(THREAD, TURN, ItemId("m1"), "message", text)
        await trio.sleep(0.25)
        assert bench.journal().count(b"half a ") == 1
        text.append("sentence")
        await trio.sleep(0.25)
    async with writing(tmp_path) as bench:
        thread = await load_thread(ports(), bench.path)
        assert [open_item.item for open_item in thread.open_items] == [AgentMessage(id="m1", text="half a sentence")]
        assert not bench.journal()
        assert thread.history == (user_item("hello"),)
        closed = TurnClosed(turn_id=TURN, status="interrupted", completed_at=START)
        assert isinstance(await bench.append(thread.next_ordinal, closed), Appended)


async def test_a_writer_that_starts_anew_takes_no_ordinals_from_living_sessions(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    answer = pair(TURN, said("half a sentence", "m1"), AgentMessage(id="m1", text="half a sentence"))
    async with writing(tmp_path, end=False) as first:
        await first.append(0, META, OPENED, *HELLO)
        text = OpenText("text")
        text.append("half a ")
        first.checkpoints.register(THREAD, TURN, ItemId("m1"), "message", text)
        await trio.sleep(0.25)
    async with writing(tmp_path, end=False, checkpoints=first.checkpoints) as second:
        assert isinstance(await second.append(4, *answer), Appended)
        thread = await load_thread(ports(), second.path)
        assert (thread.next_ordinal, thread.history) == (6, (user_item("hello"), said("half a sentence", "m1")))
        text.append("story")
        second.checkpoints.register(THREAD, TURN, ItemId("m2"), "message", text)
        await trio.sleep(0.25)
    async with writing(tmp_path) as third:
        thread = await load_thread(ports(), third.path)
        assert [open_item.item for open_item in thread.open_items] == [AgentMessage(id="m2", text="half a story")]


async def test_text_of_an_item_that_was_completed_is_not_shown_twice(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with writing(tmp_path, end=False) as bench:
        text = OpenText("text")
        text.append("hi")
        bench.checkpoints.register(THREAD, TURN, ItemId("m1"), "message", text)
        await trio.sleep(0.25)
        await bench.append(0, META, OPENED, *pair(TURN, said("hi", "m1"), AgentMessage(id="m1", text="hi")))
    async with writing(tmp_path) as bench:
        thread = await load_thread(ports(), bench.path)
        assert (thread.next_ordinal, thread.open_items) == (4, ())


async def test_the_journal_is_empty_when_nothing_is_open_any_more(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with writing(tmp_path) as bench:
        text = OpenText("text")
        text.append("hi")
        bench.checkpoints.register(THREAD, TURN, ItemId("m1"), "message", text)
        await trio.sleep(0.25)
        assert bench.journal()
        bench.checkpoints.unregister(THREAD, ItemId("m1"))
        await trio.sleep(0.25)
        assert not bench.journal()


async def test_a_journal_that_could_not_be_written_is_written_whole_when_it_can_be(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(tmp_path) as bench:
        bench.disk.room = 5
        text = OpenText("text")
        text.append("one ")
        bench.checkpoints.register(THREAD, TURN, ItemId("m1"), "message", text)
        await trio.sleep(0.25)
        bench.disk.room = None
        text.append("two")
        await trio.sleep(0.45)
        assert b"one two" in bench.journal()
    assert caplog.text.count("cannot be checkpointed") == 1


# --- lists ------------------------------------------------------------------------------------------------------


async def test_a_thread_is_listed_once_it_has_a_user_message_and_found_before(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        await bench.append(0, META)
        assert await bench.writer.ask(ListThreads(), ThreadPage) == ThreadPage(threads=())
        found = await bench.writer.ask(FindThread(thread_id=THREAD), (ThreadSummary, type(None)))
        assert found is not None
        assert found.path == bench.path
        await bench.append(1, OPENED, *HELLO, ThreadNamed(name="greetings"))
        page = await bench.writer.ask(ListThreads(), ThreadPage)
        [summary] = page.threads
        assert summary == (await load_thread(ports(), bench.path)).summary(bench.path)
        missing = FindThread(thread_id=ThreadId("0193a000-0000-7000-8000-00000000ffff"))
        assert await bench.writer.ask(missing, (ThreadSummary, type(None))) is None


async def test_a_bad_cursor_is_the_askers_error(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        with pytest.raises(ValueError, match="invalid cursor: nonsense"):
            await bench.writer.ask(ListThreads(cursor="nonsense"), ThreadPage)


async def test_a_part_of_a_log_can_be_read_back(tmp_path: Path) -> None:
    async with writing(tmp_path) as bench:
        named = ThreadNamed(name="x")
        plan = shown(TURN, Plan(id="p", text="1"))
        await bench.append(0, META, OPENED, named, plan)
        assert await read_records(ports(), bench.path, first_ordinal=2, limit=9) == ((2, named), (3, plan))
        assert await read_records(ports(), bench.path, first_ordinal=1, limit=1) == ((1, OPENED),)
        assert await read_records(ports(), bench.path, first_ordinal=4, limit=9) == ()
