"""The diff of a turn: what its patches come to, as git would write it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.tool_worker.turn_diff import TurnDiff
from messages.patch import UNREAD, FileRevision

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


NAMES = ("a", "b c", "d\u00e9")
CONTENTS = st.lists(st.sampled_from(["1\n", "2\n", "3\n", "\n", "4"]), max_size=5).map(lambda x: "".join(x).encode())
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([None, *NAMES]), CONTENTS, st.booleans()), max_size=6
)


def revisions_of(state: dict[str, bytes], steps: list[tuple[str, str | None, bytes, bool]]) -> list[FileRevision]:
    """What a patch would report for each step, carried out on ``state``: delete, add, change, or move and change."""
    found: list[FileRevision] = []
    for name, target, content, delete in steps:
        before = state.get(name)
        if delete:
            if before is not None:
                found.append(revision(name, state.pop(name), None))
        elif target is None or target == name or before is None:
            found.append(revision(name, before, content))
            state[name] = content
        else:
            found.append(revision(name, state.pop(name), content, target, state.get(target)))
            state[target] = content
    return found


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git apply")
def test_git_apply_turns_the_start_of_the_turn_into_its_end(tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None)
    @given(start=st.dictionaries(st.sampled_from(NAMES), CONTENTS), steps=STEPS)
    def check(start: dict[str, bytes], steps: list[tuple[str, str | None, bytes, bool]]) -> None:
        end = dict(start)
        diff = diff_of(*revisions_of(end, steps))
        assert (diff == "") == (end == start)
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in start.items():
            (tmp_path / name).write_bytes(content)
        if diff:
            subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == end

    check()
