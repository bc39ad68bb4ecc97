"""Folders, of which git knows nothing: which there were, and which an undo may remove.

A snapshot's message ends with the folders that hold none of its files, of each such tree the topmost. What lies in none
of them and has no file in the snapshot was not there. So an undo removes a folder that the turn made, once it is empty;
where the message does not say (an older snapshot, or too many to be named) it removes none. Removing is `rmdir`, which
takes nothing that is not empty, whoever put it there a moment ago.

Rejected: naming every folder (thousands of names in each snapshot, to find the few that are empty).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Final

from actors.ports import Files

BEGIN, END = "folders:", "end of folders"

LISTED_BYTES_MAX = 1024 * 1024
"""Of all names together. A list of that length was cut, and counts as none."""

TELL_FOLDERS: Final = (
    f"echo {BEGIN}; "
    f"git --literal-pathspecs ls-files --others --exclude-standard --directory | head -c {LISTED_BYTES_MAX}; "
    f"echo {END}"
)
"""For the shell, after the snapshot's files are in the index: one name a line, folders with a slash at their end, and
names that would break a line in C quotes (git-ls-files(1), `core.quotePath`)."""

LOOKED_AT_MAX = 10_000
"""Folders inside those that a turn made: more is no source tree, and what is left of it empty harms nobody."""

_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)")
_NAMED: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def heard(message: str) -> frozenset[str] | None:
    """The folders that a snapshot's message names; None when it does not say."""
    _, begun, listed = message.rpartition(f"{BEGIN}\n")
    names, ended, _ = listed.rpartition(f"{END}\n")
    if not begun or not ended or len(names.encode("utf-8", "surrogateescape")) >= LISTED_BYTES_MAX:
        return None
    found = (_unquoted(line) for line in names.split("\n") if line)
    return frozenset(name[:-1] for name in found if name.endswith("/"))


def without(message: str) -> str:
    """The message as far as it is for people."""
    told, begun, _ = message.rpartition(f"{BEGIN}\n")
    return told if begun else message


def made(before: str, after: str, added: Iterable[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Which folders a turn may have made, deepest first, and which were there: from the messages of its snapshots, and
    the files it added. Relative to the worktree."""
    old = heard(before)
    if old is None:
        return (), frozenset()
    candidates = {folder for path in added for folder in _above(path)} | (heard(after) or frozenset())
    new = (folder for folder in candidates if not was_there(folder, old))
    return tuple(sorted(new, key=lambda folder: (-folder.count("/"), folder))), old


def was_there(folder: str, old: frozenset[str]) -> bool:
    """Whether it is one of these, or lies in one."""
    return folder in old or any(each in old for each in _above(folder))


def remove_empty(files: Files, root: str, folders: Iterable[str], old: frozenset[str]) -> None:
    """Remove those of them, and of the folders in them, that are empty. Blocking; what cannot be removed stays."""
    room = LOOKED_AT_MAX
    for folder in folders:
        found = [folder]
        for each in found:  # grows: a folder stands before what is in it
            room -= 1
            if room < 0:
                return
            found += [name for name in _inside(files, root, each) if not was_there(name, old)]
        for each in reversed(found):
            try:
                files.remove_dir(posixpath.join(root, each))
            except OSError:
                continue  # it holds something, or has gone


def _inside(files: Files, root: str, folder: str) -> list[str]:
    try:
        entries = files.list_dir(posixpath.join(root, folder))
    except OSError:
        return []
    return [f"{folder}/{entry.name}" for entry in entries if entry.kind == "directory" and entry.name != ".git"]


def _above(path: str) -> list[str]:
    """The folders that a path lies in, innermost first."""
    found: list[str] = []
    while path := posixpath.dirname(path):
        found.append(path)
    return found


def _unquoted(line: str) -> str:
    if not line.startswith('"'):
        return line
    raw = _ESCAPE.sub(_meant, line[1:-1].encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def _meant(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    return bytes([int(code, 8)]) if len(code) == 3 else _NAMED.get(code, code)
