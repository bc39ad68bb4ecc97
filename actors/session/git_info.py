"""What git knows of a folder, read from its files: branch, commit, origin. No process, no wait for git's locks.

Formats: gitrepository-layout(5), gitfile in gitglossary(7) (worktrees, submodules), git-config(1) as far as a remote's
URL needs it. Whatever is not understood is left out: this is for people to recognise a thread by.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from actors.ports import Files

FILE_BYTES_MAX = 1024 * 1024
"""Of HEAD, config and packed-refs looked at; only packed-refs of enormous repositories is larger."""

LEVELS_MAX = 64
"""Folders walked up in search of a repository."""

_OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SECRET = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
"""``user:token@`` in a URL: it must not get into a log."""


class GitInfo(msgspec.Struct, frozen=True, kw_only=True):
    branch: str | None = None
    commit: str | None = None
    origin: str | None = None


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worktree and its repository lie. ``common_dir`` holds what linked worktrees share: objects, config."""

    root: str
    git_dir: str
    common_dir: str


def read_git_info(files: Files, cwd: str) -> GitInfo:
    """All None outside a repository. Blocking; never raises."""
    try:
        found = find_repository(files, cwd)
        return GitInfo() if found is None else _read(files, found)
    except (OSError, UnicodeDecodeError):
        return GitInfo()


def find_repository(files: Files, cwd: str) -> Repository | None:
    """The worktree that a folder lies in; None outside of one. Blocking. Raises OSError, UnicodeDecodeError."""
    folder = cwd
    for _ in range(LEVELS_MAX):
        git_dir = _git_dir(files, folder)
        if git_dir is not None:
            common = _pointed_to(_text(files, posixpath.join(git_dir, "commondir")), "", git_dir) or git_dir
            return Repository(root=folder, git_dir=git_dir, common_dir=common)
        above = posixpath.dirname(folder)
        if above == folder:
            return None
        folder = above
    return None


def _git_dir(files: Files, folder: str) -> str | None:
    path = posixpath.join(folder, ".git")
    stat = files.stat(path)
    if stat is None:
        return None
    return path if stat.kind == "directory" else _pointed_to(_text(files, path), "gitdir:", folder)


def _read(files: Files, repository: Repository) -> GitInfo:
    git_dir, common = repository.git_dir, repository.common_dir
    head = _text(files, posixpath.join(git_dir, "HEAD")).strip()
    reference = head.removeprefix("ref:").strip() if head.startswith("ref:") else None
    commit = head if reference is None else _resolve(files, (git_dir, common), reference)
    branch = None if reference is None else reference.removeprefix("refs/heads/")
    return GitInfo(
        branch=branch or None,
        commit=commit if commit is not None and _OBJECT.fullmatch(commit) else None,
        origin=_origin(_text(files, posixpath.join(common, "config"))),
    )


def _resolve(files: Files, places: tuple[str, ...], reference: str) -> str | None:
    for place in places:
        loose = _text(files, posixpath.join(place, reference)).strip()
        if loose:
            return loose
        for line in _text(files, posixpath.join(place, "packed-refs")).splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    return None


def _origin(config: str) -> str | None:
    section = ""
    for line in config.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]':
            key, equals, value = line.partition("=")
            if equals and key.strip().lower() == "url":
                return _SECRET.sub(r"\1", value.strip())
    return None


def _pointed_to(text: str, prefix: str, base: str) -> str | None:
    target = text.strip()
    if not target or not target.startswith(prefix):
        return None
    return posixpath.normpath(posixpath.join(base, target.removeprefix(prefix).strip()))


def _text(files: Files, path: str) -> str:
    """A file's text, "" if there is none."""
    stat = files.stat(path)
    return "" if stat is None or stat.kind != "file" else files.read(path, limit=FILE_BYTES_MAX).decode()
