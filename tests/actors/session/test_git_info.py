"""What git itself says of a repository is what we read from its files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from actors.ports.production import SystemFiles
from actors.session.git_info import GitInfo, read_git_info


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "init.defaultBranch=trunk")
    done = subprocess.run(("git", *identity, *words), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    git(folder, "remote", "add", "origin", "https://me:s3cret@host.invalid/x.git")
    return folder


def read(folder: Path) -> GitInfo:
    return read_git_info(SystemFiles(), str(folder))


def test_branch_commit_and_origin_are_read_also_from_below_and_a_secret_in_the_url_is_not(repository: Path) -> None:
    (repository / "sub" / "deep").mkdir(parents=True)
    expected = GitInfo(branch="trunk", commit=git(repository, "rev-parse", "HEAD"), origin="https://host.invalid/x.git")
    assert read(repository) == expected
    assert read(repository / "sub" / "deep") == expected


def test_packed_references_a_detached_head_and_a_branch_with_slashes(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "feature/x")
    git(repository, "pack-refs", "--all")
    commit = git(repository, "rev-parse", "HEAD")
    assert (read(repository).branch, read(repository).commit) == ("feature/x", commit)
    git(repository, "checkout", "-q", "--detach")
    assert (read(repository).branch, read(repository).commit) == (None, commit)


def test_a_worktree_is_read_through_its_pointer(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    found = read(tmp_path / "side")
    assert found == GitInfo(
        branch="side", commit=git(repository, "rev-parse", "HEAD"), origin="https://host.invalid/x.git"
    )


def test_outside_a_repository_and_in_a_broken_one_nothing_is_claimed(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == GitInfo()
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert read(tmp_path) == GitInfo()
    (tmp_path / ".git").write_bytes(b"\xff")
    assert read(tmp_path) == GitInfo()


def test_a_new_repository_has_a_branch_but_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert read(tmp_path) == GitInfo(branch="trunk")
