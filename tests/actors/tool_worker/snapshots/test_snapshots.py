"""Ghost snapshots with a real git and real files: a turn is taken back to the byte, or nothing is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from actors.ports.production import production_ports
from actors.ports.production.processes import LauncherProcesses
from actors.tool_worker.launcher import start_launcher
from actors.tool_worker.snapshots import folders, keeping
from actors.tool_worker.snapshots.git import SnapshotError
from actors.tool_worker.snapshots.keeping import UNTRACKED_FILE_BYTES_MAX, Snapshots, kept_turns
from actors.tool_worker.snapshots.undoing import undo
from messages.base import ThreadId, TurnId
from messages.session import TurnUndone

THREAD, TURN = ThreadId("thread"), TurnId("turn-1")


def git(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    return subprocess.run(
        ("git", *who, *arguments), cwd=root, check=True, capture_output=True, text=True, env=environment
    ).stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    (made / ".gitattributes").write_text("*.txt text eol=lf\n")
    (made / ".gitignore").write_text("ignored\n")
    (made / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    (made / "b").write_bytes(b"\x00binary")
    (made / "run.sh").write_text("true\n")
    (made / "run.sh").chmod(0o755)
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "first")
    return made


@pytest.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[Snapshots]:
    handle = start_launcher()
    try:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                processes = LauncherProcesses(handle)
                await nursery.start(processes.run)
                yield Snapshots(production_ports(processes), home=str(tmp_path / "home"), environment=os.environ)
                nursery.cancel_scope.cancel()
    finally:
        handle.release()


async def turn(snapshots: Snapshots, root: Path, change: Callable[[], object], turn_id: TurnId = TURN) -> None:
    """A turn in which something is changed."""
    assert await snapshots.take(str(root), THREAD, turn_id, "before")
    change()
    assert await snapshots.take(str(root), THREAD, turn_id, "after")


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its mode, git's own left out."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def make_a_mess(root: Path) -> None:
    (root / "a.txt").write_bytes(b"changed\n")
    (root / "b").unlink()
    (root / "run.sh").chmod(0o644)
    (root / "notes").write_bytes(b"overwritten\n")
    (root / "new folder").mkdir()
    (root / "new folder" / "nëw\n file").write_bytes(b"made\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "the agent committed")


async def test_what_a_turn_and_its_commands_changed_is_taken_back_to_the_byte(root: Path, snapshots: Snapshots) -> None:
    (root / "notes").write_bytes(b"untracked, with work in it\r\n")
    (root / "a.txt").write_bytes(b"one\r\nedited by the user\r\n")
    before = contents(root)
    await turn(snapshots, root, lambda: make_a_mess(root))
    head, status = git(root, "rev-parse", "HEAD"), git(root, "for-each-ref")
    done = await undo(snapshots, str(root / "new folder"), THREAD, None)
    assert done == TurnUndone(
        turn_id=TURN,
        root=str(root),
        restored=("a.txt", "b", "notes", "run.sh"),
        removed=("new folder/nëw\n file",),
    )
    assert contents(root) == before
    assert (git(root, "rev-parse", "HEAD"), git(root, "for-each-ref")) == (head, status), "refs are the user's"


async def test_files_that_moved_on_since_are_not_overwritten_and_nothing_else_is_either(
    root: Path, snapshots: Snapshots
) -> None:
    def both() -> None:
        (root / "a.txt").write_text("agent")
        (root / "b").write_text("agent")

    await turn(snapshots, root, both)
    (root / "b").write_text("the user went on")
    (root / "elsewhere").write_text("harmless")
    after = contents(root)
    with pytest.raises(SnapshotError, match="these files were changed after the turn: b; nothing was taken back"):
        await undo(snapshots, str(root), THREAD, None)
    assert contents(root) == after


async def test_turns_are_taken_back_one_after_the_other_and_only_once(root: Path, snapshots: Snapshots) -> None:
    before = contents(root)
    await turn(snapshots, root, lambda: (root / "a.txt").write_text("1"), TurnId("turn-1"))
    await turn(snapshots, root, lambda: (root / "a.txt").write_text("2"), TurnId("turn-2"))
    with pytest.raises(SnapshotError, match=r"changed after the turn: a\.txt"):
        await undo(snapshots, str(root), THREAD, TurnId("turn-1"))
    assert (await undo(snapshots, str(root), THREAD, None)).turn_id == "turn-2"
    assert (await undo(snapshots, str(root), THREAD, None)).turn_id == "turn-1"
    assert contents(root) == before
    with pytest.raises(SnapshotError, match="no turn of this thread can be taken back"):
        await undo(snapshots, str(root), THREAD, None)


async def test_what_is_ignored_or_too_large_is_left_alone_and_the_latter_named(
    root: Path, snapshots: Snapshots
) -> None:
    (root / "ignored").write_text("mine")
    with (root / "huge").open("wb") as huge:
        huge.truncate(UNTRACKED_FILE_BYTES_MAX + 1)

    def change() -> None:
        (root / "ignored").write_text("agent")
        (root / "huge").write_text("agent")

    await turn(snapshots, root, change)
    done = await undo(snapshots, str(root), THREAD, None)
    assert done.left_out == "huge"
    assert (root / "ignored").read_text() == "agent"


async def test_a_turn_whose_end_nobody_saw_is_not_taken_back(root: Path, snapshots: Snapshots) -> None:
    assert await snapshots.take(str(root), THREAD, TURN, "before")
    with pytest.raises(SnapshotError, match="did not see the end of turn turn-1"):
        await undo(snapshots, str(root), THREAD, None)


async def test_outside_of_a_worktree_there_are_none(tmp_path: Path, snapshots: Snapshots) -> None:
    assert not await snapshots.take(str(tmp_path), THREAD, TURN, "before")
    with pytest.raises(SnapshotError, match="lies in no git worktree"):
        await undo(snapshots, str(tmp_path), THREAD, None)


async def test_a_linked_worktree_has_its_own(root: Path, tmp_path: Path, snapshots: Snapshots) -> None:
    linked = tmp_path / "linked"
    git(root, "worktree", "add", "-q", str(linked))
    await turn(snapshots, linked, lambda: (linked / "b").write_text("agent"))
    assert (await undo(snapshots, str(linked), THREAD, None)).restored == ("b",)
    assert (linked / "b").read_bytes() == b"\x00binary"
    shadow = await snapshots.repository(str(root))
    assert shadow is not None
    assert await kept_turns(shadow, THREAD) == ()


def folders_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts}


async def test_folders_that_the_turn_made_go_with_it_and_those_that_were_there_stay(
    root: Path, snapshots: Snapshots
) -> None:
    for name in ("src/deep", "empty", 'odd "n\u00e4me"\nhere', "src/held", "untracked/inner"):
        (root / name).mkdir(parents=True)
    (root / "src" / "main").write_text("x")
    (root / "src" / "held" / "ignored").write_text("mine")
    before = folders_of(root)

    def change() -> None:
        for name in ("new/a/b", "src/new/c", "untracked/made", "kept", "bare/one/two", 'odd "n\u00e4me"\nhere/x'):
            (root / name).mkdir(parents=True)
        for name in ("new/a/b/file", "new/top", "src/deep/file", "src/new/c/file", "untracked/file", "empty/file"):
            (root / name).write_text("agent")
        (root / "src" / "held" / "file").write_text("agent")
        (root / "src" / "main").unlink()
        (root / "kept" / "file").write_text("agent")
        (root / "kept" / "ignored").write_text("mine")

    await turn(snapshots, root, change)
    (root / "bare" / "one" / "mine").mkdir()  # after the turn; empty, but in a folder of its making
    (root / "users").mkdir()
    await undo(snapshots, str(root), THREAD, None)
    left = folders_of(root)
    assert before <= left, "nothing is removed that was there"
    assert left - before == {"kept", "users", "untracked/made", 'odd "n\u00e4me"\nhere/x'}


async def test_where_a_snapshot_does_not_name_its_folders_none_is_removed(
    root: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a folder of some length").mkdir()
    monkeypatch.setattr(folders, "LISTED_BYTES_MAX", 9)
    monkeypatch.setattr(keeping, "TELL_FOLDERS", folders.TELL_FOLDERS.replace("1048576", "9"))

    def change() -> None:
        (root / "new").mkdir()
        (root / "new" / "file").write_text("agent")

    await turn(snapshots, root, change)
    assert (await undo(snapshots, str(root), THREAD, None)).removed == ("new/file",)
    assert (root / "new").is_dir()


async def test_the_limits_are_not_meant_for_what_the_user_tracks(
    root: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "UNTRACKED_FILES_MAX", 2)
    with (root / "huge").open("wb") as huge:
        huge.truncate(UNTRACKED_FILE_BYTES_MAX + 1)
    git(root, "add", "huge")
    for name in ("u1", "u2", "u3"):
        (root / name).write_text("untracked")
    before = contents(root)

    def change() -> None:
        (root / "huge").write_text("agent")
        (root / "a.txt").write_text("agent")

    await turn(snapshots, root, change)
    done = await undo(snapshots, str(root), THREAD, None)
    assert (done.restored, done.left_out) == (("a.txt", "huge"), "3 untracked files (more than 2)")
    assert contents(root) == before
