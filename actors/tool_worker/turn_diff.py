"""What a turn has changed so far, as one git diff, from what its patches reported alone: no disk, no git.

So it says what the *agent* did: what a user or a command changed meanwhile does not appear in it. Each file is compared
with what it was before the turn first touched it; what was changed back disappears, a move followed by changes is one
rename. `git apply` takes it.

Source: CORE §4.6. The state is immutable and holds both contents of each file touched, for the length of a turn.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator

import msgspec

from actors.tool_worker.patch.line_diff import unified_hunks
from actors.tool_worker.patch.report import text_of
from messages.patch import LINK, REGULAR, FileContent, FileRevision, Unread

replace = msgspec.structs.replace

NO_BLOB = "0" * 40
"""git's name for the content of a file that is not there."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """One path: what was there when the turn began, what is there now, and where that came from by moves."""

    at_start: FileContent
    now: FileContent
    start_mode: int
    now_mode: int
    origin: str | None = None


class _Section(msgspec.Struct, frozen=True, kw_only=True):
    """One file compared: the costly part of its diff, made again only when a content changes."""

    old_path: str
    new_path: str
    old: FileContent
    new: FileContent
    old_mode: int
    new_mode: int
    blobs: str
    hunks: str | None
    """None: not text on both sides."""


class TurnDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The files touched since the turn began. Make an empty one per turn; ``root`` is what paths are relative to.

    Recording costs what the changed files cost; rendering writes down what is there.
    """

    root: str
    files: dict[str, _File] = {}
    sections: dict[str, _Section] = {}
    """By the new path, sorted."""

    def record(self, revisions: Iterable[FileRevision]) -> TurnDiff:
        """With these changes added, in order."""
        files = dict(self.files)
        for revision in revisions:
            source = files.get(revision.path) or _first_touched(revision.before, revision.mode_before)
            if revision.moved_to is None:
                origin = source.origin if revision.before is not None and revision.after is not None else None
                files[revision.path] = replace(source, now=revision.after, now_mode=revision.mode_after, origin=origin)
                continue
            target = files.get(revision.moved_to) or _first_touched(revision.overwritten, revision.mode_overwritten)
            files[revision.path] = replace(source, now=None, origin=None)
            origin = source.origin or revision.path
            files[revision.moved_to] = replace(target, now=revision.after, now_mode=revision.mode_after, origin=origin)
        sections = {new: self._section(old, new, files[old], files[new]) for old, new in _pairs(files)}
        return TurnDiff(root=self.root, files=files, sections=sections)

    def render(self) -> str:
        """The diff, sorted by path; files outside the root keep their absolute paths. "" when nothing is changed."""
        sections = (section for each in self.sections.values() for section in _of_a_kind(each))
        return "".join(_file_diff(section, self.root) for section in sections)

    def _section(self, old_path: str, new_path: str, before: _File, after: _File) -> _Section:
        known = self.sections.get(new_path)
        old, new, modes = before.at_start, after.now, (before.start_mode, after.now_mode)
        if known is not None and known.old is old and known.new is new and known.old_path == old_path:
            return replace(known, old_mode=modes[0], new_mode=modes[1]) if _modes(known) != modes else known
        old_text, new_text = text_of(old), text_of(new)
        return _Section(
            old_path=old_path,
            new_path=new_path,
            old=old,
            new=new,
            old_mode=modes[0],
            new_mode=modes[1],
            blobs=f"{_blob(old)}..{_blob(new)}",
            hunks=None if old_text is None or new_text is None else unified_hunks(old_text, new_text),
        )


def _first_touched(content: FileContent, mode: int) -> _File:
    return _File(at_start=content, now=content, start_mode=mode, now_mode=mode)


def _modes(section: _Section) -> tuple[int, int]:
    return section.old_mode, section.new_mode


def _of_a_kind(section: _Section) -> Iterator[_Section]:
    """A link that became a file, or the other way round, is to git one thing that went and another that came."""
    if section.old is None or section.new is None or (section.old_mode == LINK) is (section.new_mode == LINK):
        yield section
        return
    for old, new in ((section.old, None), (None, section.new)):
        old_text, new_text = text_of(old), text_of(new)
        yield replace(
            section,
            old_path=section.old_path if new is None else section.new_path,
            new_path=section.old_path if new is None else section.new_path,
            old=old,
            new=new,
            blobs=f"{_blob(old)}..{_blob(new)}",
            hunks=None if old_text is None or new_text is None else unified_hunks(old_text, new_text),
        )


def _pairs(files: dict[str, _File]) -> list[tuple[str, str]]:
    """Which path at the start of the turn each path is compared with: its own, or the one it was moved from.

    A move is a rename when a new file stands for one that is gone; git has no word for one over an existing file.
    """
    renamed: dict[str, str] = {}
    for path, file in files.items():
        origin = file.origin
        if origin is None or origin == path or file.at_start is not None:
            continue
        if files[origin].at_start is not None and files[origin].now is None:
            renamed[path] = origin
    gone = set(renamed.values())
    return [(renamed.get(path, path), path) for path in sorted(files) if path not in gone]


def _file_diff(section: _Section, root: str) -> str:
    old, new = section.old, section.new
    old_path, new_path = _relative(section.old_path, root), _relative(section.new_path, root)
    lines = [f"diff --git {_quoted('a/' + old_path)} {_quoted('b/' + new_path)}"]
    same = old == new and not isinstance(new, Unread)
    stays = old is not None and new is not None
    mode_changed = stays and section.old_mode != section.new_mode
    if mode_changed:
        lines += [f"old mode {section.old_mode:o}", f"new mode {section.new_mode:o}"]
    if section.old_path != section.new_path:
        if same:
            lines.append("similarity index 100%")
        lines += [f"rename from {_quoted(old_path)}", f"rename to {_quoted(new_path)}"]
        if same:
            return "\n".join(lines) + "\n"
    elif same:
        return "\n".join(lines) + "\n" if mode_changed else ""
    elif old is None:
        lines.append(f"new file mode {section.new_mode:o}")
    elif new is None:
        lines.append(f"deleted file mode {section.old_mode:o}")
    # git names a mode that did not change; the clients of this wire know the line without it where it is the usual one.
    named = stays and not mode_changed and section.new_mode != REGULAR
    lines.append(f"index {section.blobs} {section.new_mode:o}" if named else f"index {section.blobs}")
    old_name = "/dev/null" if old is None else _quoted("a/" + old_path)
    new_name = "/dev/null" if new is None else _quoted("b/" + new_path)
    if section.hunks is None:
        lines.append(f"Binary files {old_name} and {new_name} differ")
    elif section.hunks:
        lines += [f"--- {_ended(old_name)}", f"+++ {_ended(new_name)}"]
    return "\n".join(lines) + "\n" + (section.hunks or "")


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
