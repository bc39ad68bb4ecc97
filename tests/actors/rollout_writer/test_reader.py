"""Finding and loading rollouts on disk: by id without an index, in pieces, through forks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.ports.production import SystemFiles
from actors.rollout_writer import reader
from actors.rollout_writer.paths import likely_days, rollout_path, thread_id_of
from actors.rollout_writer.projection import project
from actors.rollout_writer.reader import RolloutError, find_rollout, load_file, load_settled, load_thread, rollouts
from actors.rollout_writer.validity import validate_history
from messages.base import ThreadId, TurnId
from messages.client.item import AgentMessage, TextInput, UserMessage
from messages.log import Record, TurnOpened
from tests.actors.rollout_writer.disks import ports
from tests.actors.rollout_writer.rollouts import META, START, THREAD, conversation, pair, said, user_item, write

FILES = SystemFiles()
TURN = TurnId("turn_1")
OPENED = TurnOpened(turn_id=TURN, submission_id="s", started_at=START)
HELLO = pair(TURN, user_item("hello"), UserMessage(id="u1", content=(TextInput(text="hello"),)))


def put(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def name(thread_id: str) -> str:
    return f"rollout-2026-11-20T10-00-00-{thread_id}.jsonl"


def test_a_path_tells_its_thread_and_an_id_its_day(tmp_path: Path) -> None:
    made = 1_763_700_000.0
    thread_id = ThreadId(f"{int(made * 1000) >> 16:08x}-{int(made * 1000) & 0xFFFF:04x}-7000-8000-000000000001")
    path = rollout_path("/home", made, thread_id)
    assert thread_id_of(path) == thread_id
    assert path.startswith(likely_days("/home", thread_id)[0] + "/rollout-2025-11-2")
    assert thread_id_of("/home/sessions/2026/11/20/notes.jsonl") is None
    assert likely_days("/home", ThreadId("no uuid")) == ()
    assert likely_days("/home", ThreadId("ffffffff-ffff-7fff-8000-000000000001")) == ()


def test_a_thread_is_found_on_its_day_on_another_day_and_in_the_archive(tmp_path: Path) -> None:
    right = put(Path(rollout_path(str(tmp_path), 1_735_800_000.0, THREAD)), b"")
    assert find_rollout(FILES, str(tmp_path), THREAD) == right
    other = ThreadId("0193bbbb-0000-7000-8000-000000000000")
    moved = put(tmp_path / "sessions" / "2031" / "01" / "01" / name(other), b"")
    assert find_rollout(FILES, str(tmp_path), other) == moved
    old = ThreadId("0193cccc-0000-4000-8000-000000000000")
    archived = put(tmp_path / "archived_sessions" / name(old), b"")
    assert find_rollout(FILES, str(tmp_path), old) == archived
    assert find_rollout(FILES, str(tmp_path), ThreadId("0193dddd-0000-7000-8000-000000000000")) is None
    assert list(rollouts(FILES, str(tmp_path))) == [moved, right, archived]
    assert find_rollout(FILES, "/nowhere/at/all", THREAD) is None


@pytest.mark.parametrize("piece", [1, 7, 100, 4096])
def test_a_file_read_in_pieces_says_what_it_says_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(reader, "PIECE_BYTES", piece)
    data = write(conversation(random.Random(piece), turns=1))[:-5]
    assert load_file(FILES, put(tmp_path / "x.jsonl", data)) == project(data)


async def test_loading_never_edits_the_file(tmp_path: Path) -> None:
    data = write([(META, OPENED, *HELLO)]) + b'{"torn'
    path = put(tmp_path / "x.jsonl", data)
    thread = await load_thread(ports(), path)
    assert thread.counts.torn_bytes == 6
    settled = await load_settled(ports(), path)
    assert (thread.turns[0].status, settled.turns[0].status) == ("inProgress", "interrupted")
    assert settled.history == thread.history
    assert (tmp_path / "x.jsonl").read_bytes() == data  # a small file in a test


async def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await load_thread(ports(), str(tmp_path / "none.jsonl"))


# --- forks ------------------------------------------------------------------------------------------------------

CHILD = "0193aaaa-0000-7000-8000-00000000000c"


def fork(base_id: str, end: int, *records: Record) -> bytes:
    """A fork in the other reader's manner: a first line that names how much of which thread comes before."""
    meta: dict[str, Any] = {
        "id": CHILD,
        "timestamp": "2026-11-20T10:00:00.000Z",
        "cwd": "/fork",
        "model_provider": "openai",
        "history_mode": "paginated",
        "history_base": {"thread_id": base_id, "end_ordinal_exclusive": 4, "end_byte_offset": end},
    }
    head = msgspec.json.encode(
        {"timestamp": "2026-11-20T10:00:00.000Z", "ordinal": 4, "type": "session_meta", "payload": meta}
    )
    return head + b"\n" + write([records], 5)


def test_a_fork_begins_with_as_much_of_the_other_file_as_it_says(tmp_path: Path) -> None:
    first = write([(META, OPENED, *HELLO)])
    put(tmp_path / "sessions" / "2026" / "11" / "20" / name(THREAD), first + write([(OPENED,)], 4))
    turn = TurnId("turn_2")
    answer = pair(turn, said("hi", "m1"), AgentMessage(id="m1", text="hi"))
    opened = TurnOpened(turn_id=turn, submission_id="s2", started_at=START)
    path = put(tmp_path / "sessions" / "2026" / "11" / "20" / name(CHILD), fork(THREAD, len(first), opened, *answer))
    thread = load_file(FILES, path)
    assert (thread.meta.thread_id, thread.meta.cwd) == (CHILD, "/fork")
    assert thread.history == (user_item("hello"), said("hi", "m1"))
    assert validate_history(thread.history) == []
    assert [(t.id, t.status) for t in thread.turns] == [("turn_1", "interrupted"), ("turn_2", "inProgress")]
    assert (thread.next_ordinal, thread.counts.gaps) == (8, 0)


def test_a_fork_of_what_is_not_there_says_what_is_missing(tmp_path: Path) -> None:
    path = put(tmp_path / "sessions" / "2026" / "11" / "20" / name(CHILD), fork(THREAD, 10))
    with pytest.raises(RolloutError, match=f"continues thread {THREAD}, whose rollout is not below"):
        load_file(FILES, path)


def test_forks_that_name_each_other_come_to_an_end(tmp_path: Path) -> None:
    path = put(tmp_path / "sessions" / "2026" / "11" / "20" / name(CHILD), fork(CHILD, 10))
    with pytest.raises(RolloutError, match="forks from more than"):
        load_file(FILES, path)
