"""What a turn has changed so far, as one git diff, from what its patches reported alone: no disk, no git.

So it says what the *agent* did: what a user or a command changed meanwhile does not appear in it. Each file is compared
with what it was before the turn first touched it; what was changed back disappears, a move followed by changes is one
rename. `git apply` takes it.

Source: CORE §4.6. The state is immutable and holds both contents of each file touched, for the length of a turn.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable

import msgspec

from actors.tool_worker.patch.line_diff import unified_hunks
from actors.tool_worker.patch.report import text_of
from messages.patch import FileContent, FileRevision, Unread

NO_BLOB = "0" * 40
"""git's name for the content of a file that is not there."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """One path: what was there when the turn began, what is there now, and where that came from by moves."""

    at_start: FileContent
    now: FileContent
    origin: str | None = None


class TurnDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The files touched since the turn began. Make an empty one per turn."""

    files: dict[str, _File] = {}

    def record(self, revisions: Iterable[FileRevision]) -> TurnDiff:
        """With these changes added, in order."""
        files = dict(self.files)
        for revision in revisions:
            source = files.get(revision.path) or _File(at_start=revision.before, now=revision.before)
            if revision.moved_to is None:
                origin = source.origin if revision.before is not None and revision.after is not None else None
                files[revision.path] = _File(at_start=source.at_start, now=revision.after, origin=origin)
                continue
            target = files.get(revision.moved_to)
            files[revision.path] = _File(at_start=source.at_start, now=None)
            files[revision.moved_to] = _File(
                at_start=revision.overwritten if target is None else target.at_start,
                now=revision.after,
                origin=source.origin or revision.path,
            )
        return TurnDiff(files=files)

    def render(self, root: str) -> str:
        """The diff, sorted by path, paths relative to ``root`` (those outside it stay absolute); "" without changes."""
        moved_from = {
            file.origin
            for path, file in self.files.items()
            if file.origin is not None and self._is_rename(path, file, file.origin)
        }
        return "".join(
            self._section(path, file, root) for path, file in sorted(self.files.items()) if path not in moved_from
        )

    def _is_rename(self, path: str, file: _File, origin: str) -> bool:
        """True when a new file stands for one that is gone; git has no word for a rename over an existing file."""
        source = self.files[origin]
        return path != origin and file.at_start is None and source.at_start is not None and source.now is None

    def _section(self, path: str, file: _File, root: str) -> str:
        origin = file.origin
        if origin is not None and self._is_rename(path, file, origin):
            return _file_diff(_relative(origin, root), _relative(path, root), self.files[origin].at_start, file.now)
        if file.at_start == file.now and not isinstance(file.now, Unread):
            return ""
        shown = _relative(path, root)
        return _file_diff(shown, shown, file.at_start, file.now)


def _file_diff(old_path: str, new_path: str, old: FileContent, new: FileContent) -> str:
    lines = [f"diff --git {_quoted('a/' + old_path)} {_quoted('b/' + new_path)}"]
    if old_path != new_path:
        if old == new:
            lines.append("similarity index 100%")
        lines += [f"rename from {_quoted(old_path)}", f"rename to {_quoted(new_path)}"]
        if old == new:
            return "\n".join(lines) + "\n"
    elif old is None:
        lines.append("new file mode 100644")
    elif new is None:
        lines.append("deleted file mode 100644")
    lines.append(f"index {_blob(old)}..{_blob(new)}")
    old_name = "/dev/null" if old is None else _quoted("a/" + old_path)
    new_name = "/dev/null" if new is None else _quoted("b/" + new_path)
    old_text, new_text = text_of(old), text_of(new)
    if old_text is None or new_text is None:
        return "\n".join([*lines, f"Binary files {old_name} and {new_name} differ"]) + "\n"
    hunks = unified_hunks(old_text, new_text)
    if hunks:
        lines += [f"--- {_ended(old_name)}", f"+++ {_ended(new_name)}"]
    return "\n".join(lines) + "\n" + hunks


def _blob(content: FileContent) -> str:
    """git's object name of a content."""
    if content is None or isinstance(content, Unread):
        return NO_BLOB
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _relative(path: str, root: str) -> str:
    relative = posixpath.relpath(path, root)
    return path if relative.startswith("../") else relative


def _ended(name: str) -> str:
    """A name with a blank in it ends with a tab, as git writes it: else readers take the rest for a time stamp."""
    return name + "\t" if " " in name else name


def _quoted(name: str) -> str:
    """A name as git writes it: in C quotes if it holds anything that would break the line."""
    if name.isprintable() and '"' not in name and "\\" not in name:
        return name
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    quoted = "".join(
        escapes.get(char) or (char if char.isprintable() else "".join(f"\\{byte:03o}" for byte in char.encode()))
        for char in name
    )
    return f'"{quoted}"'
