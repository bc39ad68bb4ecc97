"""What the journal holds of texts that grow, and what of it is kept in a rollout after a crash."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer import checkpoints as module
from actors.rollout_writer.checkpoints import PartialItem, TextCheckpoints, checkpoint_records, read_journal
from actors.rollout_writer.journal import Journal, recover_journal
from actors.rollout_writer.paths import rollout_path
from actors.rollout_writer.projection import project
from actors.session.open_text import OpenText
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage, Reasoning
from messages.log import Record, TerminalPassed, TextCheckpoint, TurnClosed, TurnOpened
from messages.model import TextChannel
from tests.actors.rollout_writer.disks import TroubledDisk
from tests.actors.rollout_writer.rollouts import (
    META,
    START,
    THREAD,
    command,
    output_item,
    pair,
    said,
    shown,
    write,
)

TURN = TurnId("turn_1")
ITEM = ItemId("m1")
OPENED = TurnOpened(turn_id=TURN, submission_id="s", started_at=START)


def text(words: str, channel: TextChannel = "text", index: int = 0) -> OpenText:
    made = OpenText(channel, index)
    made.append(words)
    return made


def partial(kind: module.CheckpointKind, *texts: tuple[TextChannel, int, str], item: str = "m1") -> PartialItem:
    return PartialItem(thread_id=THREAD, turn_id=TURN, item_id=ItemId(item), kind=kind, texts=texts)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_journal_gives_back_every_text_as_far_as_it_was_taken(seed: int) -> None:
    rng = random.Random(seed)
    checkpoints = TextCheckpoints()
    parts: tuple[tuple[TextChannel, int], ...] = (("summary", 0), ("summary", 1), ("reasoning", 0))
    texts = {(f"item{n}", channel, index): OpenText(channel, index) for n in range(3) for channel, index in parts}
    for (item, _, _), open_text in texts.items():
        checkpoints.register(THREAD, TURN, ItemId(item), "reasoning", open_text)
    journal: list[bytes] = []
    taken: dict[tuple[str, str, int], str] = {}
    for _ in range(rng.randint(1, 6)):
        for open_text in rng.sample(list(texts.values()), 4):
            open_text.append(rng.choice(["ä", "word ", "\n", "\U0001f600"]))
        if rng.random() < 0.2:
            journal.clear()
            checkpoints.rewind()
        journal += checkpoints.take()
        taken = {key: open_text.text() for key, open_text in texts.items() if open_text.chars}
    assert checkpoints.take() == []
    damaged = [*journal, b"\xff garbage", journal[0][:-9]]
    found = {
        (item.item_id, channel, index): words
        for item in read_journal(damaged)[THREAD]
        for channel, index, words in item.texts
    }
    assert found == taken


def test_a_piece_that_does_not_join_on_is_worth_nothing() -> None:
    checkpoints = TextCheckpoints()
    growing = text("one ")
    checkpoints.register(THREAD, TURN, ITEM, "message", growing)
    lines = checkpoints.take()
    for words in ("two ", "three"):
        growing.append(words)
        lines += checkpoints.take()
    assert read_journal([lines[0], lines[2]]) == {THREAD: [partial("message", ("text", 0, "one "))]}


def test_a_text_without_end_is_kept_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_CHARS", 10)
    checkpoints = TextCheckpoints()
    growing = text("12345678")
    checkpoints.register(THREAD, TURN, ITEM, "command", growing)
    lines = checkpoints.take()
    growing.append("90and more")
    lines += checkpoints.take()
    growing.append("and more")
    assert checkpoints.take() == []
    assert read_journal(lines)[THREAD][0].texts == (("text", 0, "1234567890"),)


def test_what_is_unregistered_is_no_longer_taken() -> None:
    checkpoints = TextCheckpoints()
    heard: list[str] = []
    checkpoints.on_first = lambda: heard.append("first")
    for item in ("a", "b"):
        checkpoints.register(THREAD, TURN, ItemId(item), "message", text(item))
    checkpoints.register(ThreadId("other"), TURN, ITEM, "message", text("c"))
    checkpoints.unregister(THREAD, ItemId("a"))
    checkpoints.unregister(THREAD, ItemId("a"))
    assert len(checkpoints.take()) == 2
    checkpoints.unregister_thread(THREAD)
    assert len(checkpoints) == 1
    checkpoints.unregister_thread(ThreadId("other"))
    checkpoints.register(THREAD, TURN, ITEM, "message", text("d"))
    assert heard == ["first", "first"]


def records(log: list[Record], *partials: PartialItem) -> tuple[TextCheckpoint, ...]:
    return checkpoint_records(project(write([(META, OPENED, *log)])), partials)


def checkpoint(item: AgentMessage | Reasoning) -> TextCheckpoint:
    return TextCheckpoint(turn_id=TURN, item_id=ItemId(item.id), item=item)


def test_partial_texts_become_the_items_they_belong_to() -> None:
    assert records(
        [],
        partial("message", ("text", 0, "hal"), ("refusal", 0, "f")),
        partial("reasoning", ("summary", 1, "two"), ("summary", 0, "one"), ("reasoning", 0, "raw"), item="r1"),
        partial("message", item="nothing"),
    ) == (
        checkpoint(AgentMessage(id="m1", text="half")),
        checkpoint(Reasoning(id="r1", summary=("one", "two"), content=("raw",))),
    )


def test_an_item_that_the_rollout_completed_or_already_keeps_is_left_alone() -> None:
    part = partial("message", ("text", 0, "hi"))
    assert records(pair(TURN, said("hi", "m1"), AgentMessage(id="m1", text="hi")), part) == ()
    assert records([checkpoint(AgentMessage(id="m1", text="hi"))], part) == ()
    assert records([TurnClosed(turn_id=TURN, status="interrupted", completed_at=START)], part) == ()


def test_a_running_commands_output_is_kept_in_the_item_it_was_shown_in() -> None:
    running = command("c1")
    passed: list[Record] = [
        pair(TURN, output_item("a", "session 7", freeform=False), running)[0],
        TerminalPassed(turn_id=TURN, call_id=CallId("a"), terminal=7, item=running),
        TurnClosed(turn_id=TURN, status="completed", completed_at=START),
    ]
    part = partial("command", ("output", 0, "1 passed"), item="c1")
    [kept] = records(passed, part)
    assert kept.item == command("c1", output="1 passed")
    assert records([], part) == (), "without the item there is nothing to show it in"
    assert records([*passed, shown(TURN, command("c1", "completed"))], part) == ()


# --- on disk ----------------------------------------------------------------------------------------------------


def journal(home: Path, disk: TroubledDisk, *texts: OpenText) -> Journal:
    checkpoints = TextCheckpoints()
    for n, each in enumerate(texts):
        checkpoints.register(THREAD, TURN, ItemId(f"m{n}"), "message", each)
    made = Journal(disk, str(home), 1)
    made.append(checkpoints.take())
    return made


def test_a_journal_that_starts_over_leaves_one_segment(tmp_path: Path) -> None:
    made = journal(tmp_path, TroubledDisk(), text("one"))
    made.start_over([b"new\n"])
    made.append([b"more\n"])
    [segment] = (tmp_path / "checkpoints").iterdir()
    assert segment.read_bytes() == b"new\nmore\n"
    made.start_over()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_cannot_be_saved_now_is_kept_for_the_next_start(tmp_path: Path) -> None:
    disk = TroubledDisk()
    journal(tmp_path, disk, text("half a"))
    path = Path(rollout_path(str(tmp_path), META.created_at, THREAD))
    path.parent.mkdir(parents=True)
    path.write_bytes(write([(META, OPENED)]))
    warnings: list[str] = []
    disk.room = 20
    assert recover_journal(disk, str(tmp_path), at=START, warn=warnings.append) == 2
    assert len(warnings) == 1
    assert "kept for the next start" in warnings[0]
    disk.room = None
    assert recover_journal(disk, str(tmp_path), at=START, warn=warnings.append) == 2
    thread = project(path.read_bytes())
    assert [each.item for each in thread.open_items] == [AgentMessage(id="m0", text="half a")]
    assert recover_journal(disk, str(tmp_path), at=START, warn=warnings.append) == 1
    assert project(path.read_bytes()) == thread
    assert len(warnings) == 1


def test_a_rollout_that_cannot_be_read_keeps_no_other_threads_text_from_being_saved(tmp_path: Path) -> None:
    disk = TroubledDisk()
    checkpoints = TextCheckpoints()
    other = ThreadId("0193a000-0000-7000-8000-000000000002")
    for thread_id, words in ((THREAD, "of the damaged one"), (other, "of the sound one")):
        checkpoints.register(thread_id, TURN, ITEM, "message", text(words))
    Journal(disk, str(tmp_path), 1).append(checkpoints.take())
    damaged, sound = (Path(rollout_path(str(tmp_path), META.created_at, each)) for each in (THREAD, other))
    damaged.parent.mkdir(parents=True)
    damaged.touch()
    sound.write_bytes(write([(msgspec.structs.replace(META, thread_id=other), OPENED)]))
    warnings: list[str] = []
    assert recover_journal(disk, str(tmp_path), at=START, warn=warnings.append) == 2
    assert [each.item for each in project(sound.read_bytes()).open_items] == [
        AgentMessage(id=ITEM, text="of the sound one")
    ]
    assert len(warnings) == 1
    assert THREAD in warnings[0]
    damaged.write_bytes(write([(META, OPENED)]))
    assert recover_journal(disk, str(tmp_path), at=START, warn=warnings.append) == 2
    assert [each.item for each in project(damaged.read_bytes()).open_items] == [
        AgentMessage(id=ITEM, text="of the damaged one")
    ]
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert len(warnings) == 1


def test_a_journal_of_a_thread_that_is_gone_is_removed(tmp_path: Path) -> None:
    journal(tmp_path, TroubledDisk(), text("x"))
    assert recover_journal(TroubledDisk(), str(tmp_path), at=START, warn=lambda _: None) == 2
    assert list((tmp_path / "checkpoints").iterdir()) == []
