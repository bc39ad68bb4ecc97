"""The diff of a turn: what its patches come to, as git would write it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ports.production import SystemFiles
from actors.tool_worker.patch.execute import apply_hunks
from actors.tool_worker.patch.parse import parse_patch
from actors.tool_worker.turn_diff import TurnDiff
from messages.patch import EXECUTABLE, REGULAR, UNREAD, FileRevision

ROOT = "/project"


def revision(
    name: str, before: bytes | None, after: bytes | None, moved_to: str | None = None, overwritten: bytes | None = None
) -> FileRevision:
    return FileRevision(
        path=f"{ROOT}/{name}",
        before=before,
        after=after,
        moved_to=None if moved_to is None else f"{ROOT}/{moved_to}",
        overwritten=overwritten,
    )


def diff_of(*revisions: FileRevision) -> str:
    return TurnDiff(root=ROOT).record(revisions).render()


def test_changed_new_and_deleted_files_are_sorted_sections() -> None:
    assert diff_of(
        revision("new.txt", None, b"line one\nline two\n"),
        revision("hello.txt", b"hello world\n", b"hello patched world\n"),
        revision("gone.txt", b"x", None),
    ) == (
        "diff --git a/gone.txt b/gone.txt\n"
        "deleted file mode 100644\n"
        "index c1b0730e0133447badcfd47fd144e254807b06e1..0000000000000000000000000000000000000000\n"
        "--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
        "diff --git a/hello.txt b/hello.txt\n"
        "index 3b18e512dba79e4c8300dd08aeb37f8e728b8dad..f0c552d5c34ca2d4d50655cd107de23f60aa0297\n"
        "--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1 @@\n-hello world\n+hello patched world\n"
        "diff --git a/new.txt b/new.txt\n"
        "new file mode 100644\n"
        "index 0000000000000000000000000000000000000000..e5c5c5583f49a34e86ce622b59363df99e09d4c6\n"
        "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,2 @@\n+line one\n+line two\n"
    )


def test_several_patches_come_to_one_change_and_what_was_undone_is_gone() -> None:
    first = TurnDiff(root=ROOT).record([revision("a", b"1\n", b"2\n"), revision("b", b"1\n", b"2\n")])
    second = first.record([revision("a", b"2\n", b"3\n"), revision("b", b"2\n", b"1\n")])
    assert second.render() == diff_of(revision("a", b"1\n", b"3\n"))
    assert first.render() == diff_of(revision("a", b"1\n", b"2\n"), revision("b", b"1\n", b"2\n"))


def test_a_file_is_compared_again_only_when_it_changed() -> None:
    first = TurnDiff(root=ROOT).record([revision("a", b"1\n", b"2\n"), revision("b", b"1\n", b"2\n")])
    second = first.record([revision("b", b"2\n", b"3\n")])
    assert second.sections[f"{ROOT}/a"] is first.sections[f"{ROOT}/a"]
    assert second.sections[f"{ROOT}/b"] is not first.sections[f"{ROOT}/b"]


def test_a_file_made_and_deleted_in_the_turn_leaves_no_trace() -> None:
    assert diff_of(revision("a", None, b"1\n"), revision("a", b"1\n", None)) == ""


def test_moves_are_one_rename_however_many_steps() -> None:
    moved = diff_of(revision("a", b"1\n", b"1\n", moved_to="b"), revision("b", b"1\n", b"1\n", moved_to="c d"))
    assert moved == "diff --git a/a b/c d\nsimilarity index 100%\nrename from a\nrename to c d\n"
    assert diff_of(revision("a", b"1\n", b"2\n", moved_to="b c")).endswith(
        "--- a/a\n+++ b/b c\t\n@@ -1 +1 @@\n-1\n+2\n"
    )
    back = diff_of(revision("a", b"1\n", b"2\n", moved_to="b"), revision("b", b"2\n", b"1\n", moved_to="a"))
    assert back == ""


def test_a_move_over_a_file_is_a_change_there_and_a_deletion_here() -> None:
    assert diff_of(revision("a", b"1\n", b"2\n", moved_to="b", overwritten=b"old\n")) == diff_of(
        revision("a", b"1\n", None), revision("b", b"old\n", b"2\n")
    )


def test_odd_names_and_contents_are_said_as_git_says_them() -> None:
    assert diff_of(revision('q"\n', None, b"")).startswith('diff --git "a/q\\"\\n" "b/q\\"\\n"\nnew file mode 100644\n')
    assert diff_of(revision("bin", b"\xff", None)).endswith("Binary files a/bin and /dev/null differ\n")
    unread = FileRevision(path="/else/where", before=UNREAD, after=b"x\n")
    assert "Binary files a//else/where and b//else/where differ" in diff_of(unread)


def test_a_binary_file_changed_by_several_patches_and_back_leaves_no_trace() -> None:
    first = TurnDiff(root=ROOT).record([revision("bin", b"\xff", b"\xfe")])
    assert first.render() == (
        "diff --git a/bin b/bin\n"
        "index ce542efaa5124a0437f0c4db329d7ec4b7ba70a7..050ac90ecbd9ce5a88212058fad711b4231d104d\n"
        "Binary files a/bin and b/bin differ\n"
    )
    assert first.record([revision("bin", b"\xfe", b"\xff")]).render() == ""


def test_a_path_outside_the_root_stays_absolute() -> None:
    outside = FileRevision(path="/else/where", before=None, after=b"x\n")
    assert diff_of(outside).startswith("diff --git a//else/where b//else/where\n")


def test_modes_are_said_as_git_says_them() -> None:
    path = f"{ROOT}/run"
    made = FileRevision(path=path, before=None, after=b"1\n")
    edited = FileRevision(path=path, before=b"1\n", after=b"2\n", mode_before=EXECUTABLE, mode_after=EXECUTABLE)
    assert "\nnew file mode 100755\n" in diff_of(made, edited), "a command made it executable in between"
    turned = FileRevision(path=path, before=b"1\n", after=b"1\n", mode_after=EXECUTABLE)
    assert diff_of(turned) == "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n"


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git diff")
def test_what_patches_did_to_real_files_reads_as_in_git_diff(tmp_path: Path) -> None:
    """Word for word, but for the usual mode behind `index`, which the clients of this wire know without."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def shown() -> str:
        diff = git("diff", "--cached", "--full-index", "-M100%")
        return re.sub(r"(?m)^(index \S+) 100644$", r"\1", diff)

    turn = TurnDiff(root=str(tmp_path))

    def patch(*lines: str) -> None:
        nonlocal turn
        text = "\n".join(["*** Begin Patch", *lines, "*** End Patch"])
        outcome = apply_hunks(parse_patch(text), str(tmp_path), SystemFiles())
        assert outcome.error is None
        turn = turn.record(outcome.revisions)

    for name, content in (("changed", "1\n"), ("gone", "2\n"), ("moved", "3\n"), ("over", "4\n"), ("under", "5\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o644 if name == "under" else 0o755)
    (tmp_path / "link").symlink_to("no/where")
    (tmp_path / "turned").symlink_to("changed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    patch("*** Add File: tool", "+echo")
    (tmp_path / "tool").chmod(0o755)
    patch("*** Update File: tool", "@@", "-echo", "+echo more")
    patch("*** Update File: changed", "@@", "-1", "+one")
    patch("*** Delete File: gone")
    patch("*** Delete File: link")
    patch("*** Delete File: turned")
    patch("*** Add File: turned", "+a file now")
    patch("*** Update File: moved", "*** Move to: there", "@@", "-3", "+3")
    patch("*** Update File: over", "*** Move to: under", "@@", "-4", "+four")
    git("add", "-A")
    theirs = shown()
    assert turn.render() == theirs
    git("reset", "-q", "--hard")
    subprocess.run(["git", "apply", "--index", "-"], input=turn.render().encode(), cwd=tmp_path, check=True)
    assert shown() == theirs


NAMES = ("a", "b c", "d\u00e9")
CONTENTS = st.lists(st.sampled_from(["1\n", "2\n", "3\n", "\n", "4"]), max_size=5).map(lambda x: "".join(x).encode())
MODES = st.sampled_from([REGULAR, EXECUTABLE])
State = dict[str, tuple[bytes, int]]


class Act(NamedTuple):
    """One step of a turn. ``mode``: what a command makes of a file that patches have touched, just before this one."""

    name: str
    target: str | None
    content: bytes
    delete: bool
    mode: int | None


STEPS = st.lists(
    st.builds(Act, st.sampled_from(NAMES), st.sampled_from([None, *NAMES]), CONTENTS, st.booleans(), st.none() | MODES),
    max_size=6,
)


def revisions_of(state: State, steps: list[Act]) -> list[FileRevision]:
    """What a patch would report for each step, carried out on ``state``: delete, add, change, or move and change."""
    found: list[FileRevision] = []
    touched: set[str] = set()
    for name, target, content, delete, mode in steps:
        where = name if target is None else target
        here, there = state.pop(name, None), state.get(where)
        if here is not None and mode is not None and name in touched:
            here = here[0], mode
        old, kept = here or (None, REGULAR)
        over, over_mode = there or (None, REGULAR)
        if old is None and delete:
            continue
        moves = old is not None and not delete and where != name
        found.append(
            FileRevision(
                path=f"{ROOT}/{name}",
                before=old,
                after=None if delete else content,
                moved_to=f"{ROOT}/{where}" if moves else None,
                overwritten=over if moves else None,
                mode_before=kept,
                mode_after=kept,
                mode_overwritten=over_mode,
            )
        )
        touched |= {name, where} if moves else {name}
        if not delete:
            state[where if moves else name] = content, kept
    return found


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git apply")
def test_git_apply_turns_the_start_of_the_turn_into_its_end(tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None)
    @given(start=st.dictionaries(st.sampled_from(NAMES), st.tuples(CONTENTS, MODES)), steps=STEPS)
    def check(start: State, steps: list[Act]) -> None:
        end = dict(start)
        diff = diff_of(*revisions_of(end, steps))
        assert (diff == "") == (end == start)
        for path in tmp_path.iterdir():
            path.unlink()
        for name, (content, mode) in start.items():
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o777 & mode)
        if diff:
            subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
        came_to = {
            path.name: (path.read_bytes(), EXECUTABLE if path.stat().st_mode & 0o100 else REGULAR)
            for path in tmp_path.iterdir()
        }
        assert came_to == end

    check()
