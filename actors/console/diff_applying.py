"""A unified diff applied to a working tree by git: all of it, or nothing.

git applies a diff that fits as a whole and changes nothing when a hunk does not fit. Where what is there has changed,
``--3way`` merges, but on a conflict it leaves markers in some files and the merged text in others. So the merge is done
on the side: an index of our own gets the files as they are in the working tree, the diff is merged into that
(``--3way --cached`` touches no file), and only if that went well, the difference between the two trees of that index is
applied, which fits exactly. The user's index is never touched.

Outside a repository the diff is applied if it fits; there is nothing to merge with.

Rejected: `patch` (fuzz puts hunks where they do not belong; half of a diff stays), our own `apply_patch` (another
format, and it knows no modes, renames and binary files), `git stash` around it (a conflict at the way back is worse).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping

import msgspec

GIT_SECONDS = 120.0
"""For one git command; an index of a large repository on a cold disk takes some."""

NAMED_MAX = 20
"""Conflicts named in a message; who has more looks at the diff."""


class NotAppliedError(Exception):
    """Nothing was changed; the text says why, and what to do."""


class ConflictError(NotAppliedError):
    """What is there and the diff contradict one another in the files named."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. ``already``: nothing had to be."""

    root: str
    paths: tuple[str, ...]
    merged: bool = False
    already: bool = False


def apply_diff(diff: str, folder: str) -> Applied:
    """Apply a diff to the repository that ``folder`` is in, or to the folder itself. Blocking. Raises NotAppliedError,
    ConflictError; then no file has changed."""
    if not os.path.isdir(folder):
        raise NotAppliedError(f"{folder} is no folder")
    text = (diff if diff.endswith("\n") else f"{diff}\n").encode("utf-8", "surrogateescape")
    top = _git(folder, "rev-parse", "--show-toplevel")
    # From the top: in a folder below it, git leaves out all files that are not under that folder, and says nothing.
    root = os.fsdecode(top.stdout).rstrip("\n") if top.returncode == 0 else folder
    paths = _paths(root, text)
    if _apply(root, text, "--check").returncode == 0:
        _apply_now(root, text)
        return Applied(root=root, paths=paths)
    if _apply(root, text, "--check", "--reverse").returncode == 0:
        return Applied(root=root, paths=paths, already=True)
    if top.returncode != 0:
        why = _reason(_apply(root, text, "--check"))
        raise ConflictError(f"the diff does not fit {root}, and nothing was changed: {why} ({_reason(top)})")
    _apply_now(root, _merged(root, text, paths))
    return Applied(root=root, paths=paths, merged=True)


def _merged(root: str, text: bytes, paths: tuple[str, ...]) -> bytes:
    """The diff from the working tree to what a merge with ``text`` makes of it."""
    with tempfile.TemporaryDirectory(prefix="callboard-apply-") as scratch:
        own = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        if _git(root, "read-tree", "HEAD", own=own).returncode != 0:
            _done(_git(root, "read-tree", "--empty", own=own), "read-tree")
        listing = b"".join(os.fsencode(path) + b"\0" for path in paths if _is_ours(root, path, own))
        if listing:
            # As they are now, committed or not; one that is gone here goes from the index as well.
            added = _git(root, "update-index", "--add", "--remove", "-z", "--stdin", own=own, given=listing)
            _done(added, "update-index")
        before = _done(_git(root, "write-tree", own=own), "write-tree").stdout.strip()
        merge = _apply(root, text, "--3way", "--cached", own=own)
        unmerged = _git(root, "ls-files", "--unmerged", "-z", own=own).stdout
        conflicts = sorted({os.fsdecode(line.partition(b"\t")[2]) for line in unmerged.split(b"\0") if line})
        if conflicts:
            raise ConflictError(_conflicts(root, conflicts))
        if merge.returncode != 0:
            raise ConflictError(f"the diff does not fit {root}, and nothing was changed: {_reason(merge)}")
        after = _done(_git(root, "write-tree", own=own), "write-tree").stdout.strip()
        trees = (os.fsdecode(before), os.fsdecode(after))
        options = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        return _done(_git(root, "diff-tree", "-p", *options, *trees), "diff-tree").stdout


def _is_ours(root: str, path: str, own: Mapping[str, str]) -> bool:
    """Whether a path of the diff is a file here, or one that git knows: the others the diff is to make."""
    if os.path.lexists(os.path.join(root, path)):
        return True
    known = _git(root, "ls-files", "--error-unmatch", "--", f":(literal){path}", own=own)
    return known.returncode == 0


def _conflicts(root: str, paths: list[str]) -> str:
    named = "".join(f"\n  {_shown(path)}" for path in paths[:NAMED_MAX])
    more = f"\n  and {len(paths) - NAMED_MAX} more" if len(paths) > NAMED_MAX else ""
    return (
        f"the diff and {root} have changed the same lines, so nothing was applied. Commit or take back your changes "
        f"there and try again. Conflicts in:{named}{more}"
    )


def _paths(root: str, text: bytes) -> tuple[str, ...]:
    """What the diff touches, as git reads it, old names of renamed files included."""
    listed = _apply(root, text, "--numstat", "-z")
    if listed.returncode != 0:
        raise NotAppliedError(f"the diff of this task cannot be read: {_reason(listed)}")
    found = [entry.split(b"\t", 2)[2] for entry in listed.stdout.split(b"\0") if entry.count(b"\t") >= 2]
    names = {os.fsdecode(path) for path in found if path}
    for line in text.split(b"\n"):
        for mark in (b"rename from ", b"copy from "):
            if line.startswith(mark):
                names.add(os.fsdecode(line[len(mark) :]))
    if not names:
        raise NotAppliedError("the diff of this task changes no file")
    return tuple(sorted(names))


def _apply(
    root: str, text: bytes, *options: str, own: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return _git(root, "apply", "--whitespace=nowarn", *options, "-", own=own, given=text)


def _apply_now(root: str, text: bytes) -> None:
    done = _apply(root, text, "--allow-empty")
    if done.returncode != 0:
        raise NotAppliedError(f"git could not apply the diff to {root}: {_reason(done)}")


def _git(
    folder: str, *words: str, own: Mapping[str, str] | None = None, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """One git command. Its own locks are taken only where it writes; nobody is asked for a password."""
    # Its words are quoted to people, and read by nobody: so in one language, and whole.
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(own or {})}
    command = ["git", "-c", "core.quotePath=false", *words]
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, input=given, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise NotAppliedError("git is needed to apply a diff, and was not found; install it") from None
    except subprocess.TimeoutExpired:
        raise NotAppliedError(f"git {words[0]} took more than {GIT_SECONDS:g} s in {folder}") from None


def _done(ran: subprocess.CompletedProcess[bytes], verb: str) -> subprocess.CompletedProcess[bytes]:
    if ran.returncode != 0:
        raise NotAppliedError(f"git {verb} failed, and nothing was changed: {_reason(ran)}")
    return ran


def _reason(ran: subprocess.CompletedProcess[bytes]) -> str:
    """git's own words, on one line each."""
    lines = [_shown(line) for line in ran.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(line.removeprefix("error: ") for line in lines[:NAMED_MAX]) or f"git ended with {ran.returncode}"


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
