"""A diff applied by the real git: whole, merged, or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from actors.console.diff_applying import Applied, ConflictError, NotAppliedError, apply_diff

LINES = [f"line {number}" for number in range(1, 31)]
BEFORE = "\n".join(LINES) + "\n"
AFTER = BEFORE.replace("line 3\n", "line three\n")


def git(folder: Path, *words: str) -> str:
    options = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(["git", *options, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with three files, one in a folder."""
    root = tmp_path / "repo"
    (root / "deep").mkdir(parents=True)
    git(root, "init", "-q")
    for name in ("a.txt", "b.txt", "deep/c ö.txt"):
        (root / name).write_text(BEFORE)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "before")
    return root


@pytest.fixture
def diff(tree: Path) -> str:
    """Changes in all of them, a new file, and one that goes away."""
    (tree / "a.txt").write_text(AFTER)
    (tree / "deep/c ö.txt").write_text(AFTER)
    (tree / "b.txt").unlink()
    (tree / "new.txt").write_text("new\n")
    git(tree, "add", "-A")
    made = git(tree, "diff", "--cached", "--full-index", "--no-renames")
    git(tree, "reset", "-q", "--hard")
    return made


def contents(root: Path) -> dict[str, bytes]:
    """Every file, and the index as git tells it."""
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }
    staged = git(root, "ls-files", "--stage").encode() if (root / ".git").exists() else b""
    return {**files, "(index)": staged}


PATHS = ("a.txt", "b.txt", "deep/c ö.txt", "new.txt")


def test_a_diff_that_fits_is_applied_from_the_top_wherever_one_stands(tree: Path, diff: str) -> None:
    before = contents(tree)
    assert apply_diff(diff, str(tree / "deep")) == Applied(root=os.path.realpath(tree), paths=PATHS)
    after = {name: data for name, data in before.items() if name != "b.txt"}
    assert contents(tree) == {
        **after,
        "a.txt": AFTER.encode(),
        "deep/c ö.txt": AFTER.encode(),
        "new.txt": b"new\n",
    }
    assert apply_diff(diff, str(tree)).already
    assert (tree / "a.txt").read_text() == AFTER


def test_what_changed_here_meanwhile_is_merged_uncommitted_as_it_is(tree: Path, diff: str) -> None:
    mine = BEFORE.replace("line 5\n", "line five, mine\n")  # within the hunk's context: it fits no more as it is
    (tree / "a.txt").write_text(mine)
    (tree / "untouched.txt").write_text("mine\n")
    staged = contents(tree)["(index)"]
    done = apply_diff(diff, str(tree))
    assert done == Applied(root=os.path.realpath(tree), paths=PATHS, merged=True)
    assert (tree / "a.txt").read_text() == mine.replace("line 3\n", "line three\n")
    assert (tree / "new.txt").read_text() == "new\n"
    assert not (tree / "b.txt").exists()
    assert contents(tree)["(index)"] == staged
    assert (tree / "untouched.txt").read_text() == "mine\n"


def test_a_conflict_names_its_files_and_changes_none(tree: Path, diff: str) -> None:
    (tree / "a.txt").write_text(BEFORE.replace("line 3\n", "line drei\n"))
    (tree / "new.txt").write_text("mine\n")
    before = contents(tree)
    with pytest.raises(ConflictError, match="nothing was applied") as caught:
        apply_diff(diff, str(tree))
    assert "\n  a.txt\n  new.txt" in str(caught.value)
    assert "deep" not in str(caught.value)
    assert contents(tree) == before


def test_a_diff_whose_base_is_unknown_here_is_refused_whole(tree: Path, diff: str) -> None:
    unknown = diff.replace("line 30\n", "line 30\n").replace("-line 3\n", "-line never\n").replace("index ", "index 0")
    before = contents(tree)
    with pytest.raises(NotAppliedError):
        apply_diff(unknown, str(tree))
    assert contents(tree) == before


def test_outside_a_repository_it_is_applied_if_it_fits(
    tree: Path, diff: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    plain = tmp_path / "plain"
    (plain / "deep").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "deep/c ö.txt"):
        (plain / name).write_text(BEFORE)
    assert apply_diff(diff, str(plain)) == Applied(root=str(plain), paths=PATHS)
    (plain / "a.txt").write_text("other\n")
    before = contents(plain)
    with pytest.raises(ConflictError, match=r"does not fit .* not a git repository"):
        apply_diff(diff, str(plain))
    assert contents(plain) == before


def test_nothing_outside_the_tree_is_written_and_what_is_no_diff_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "out").symlink_to(tmp_path)
    added = "new file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+x\n"
    for path in ("../escaped.txt", ".git/hooks/post-commit", "out/escaped.txt"):
        with pytest.raises(NotAppliedError):
            apply_diff(f"diff --git a/{path} b/{path}\n" + added.format(path), str(tree))
    assert not (tmp_path / "escaped.txt").exists()
    assert not (tree / ".git/hooks/post-commit").exists()
    for nothing in ("", "hello\n"):
        with pytest.raises(NotAppliedError, match=r"cannot be read|changes no file"):
            apply_diff(nothing, str(tree))


def test_without_git_it_says_so(tree: Path, diff: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NotAppliedError, match="git is needed"):
        apply_diff(diff, str(tree))
