"""Hunks -> changed files.

Hunks run in order and there is no rollback: when one fails, those before it stay done and the outcome names them. A
rollback could itself fail and would then leave a state nobody described; and the model copes well with "this far".
What protects the user is that a tool call is *planned* first, over an overlay that writes nothing, so that a patch that
does not fit is refused whole. A plan is the same code run over that overlay, so the two cannot drift apart.

Blocking: run it in a thread. Paths are normalised lexically against the working directory, so that what was asked
about is what is written.
"""

from __future__ import annotations

import errno
import posixpath
from typing import Literal, Protocol, assert_never

import msgspec

from actors.ports.files import FileStat
from actors.tool_worker.os_errors import os_error_text
from actors.tool_worker.patch.parse import AddFile, DeleteFile, Hunk, PatchError, UpdateFile, parse_patch
from actors.tool_worker.patch.rewrite import rewrite
from messages.patch import EXECUTABLE, LINK, REGULAR, UNREAD, FileContent, FileRevision

PATCHED_FILE_BYTES_MAX = 16 * 1024 * 1024
"""A file larger than this is data, not source: reading it into a patch would cost more than any patch is worth."""

SHOWN_FILE_BYTES_MAX = 1024 * 1024
"""Of a file that is deleted or overwritten, whose content is wanted for a diff only, this is all anybody will read."""

NEW_FILE_MODE = 0o644
"""Under the usual mask."""

OWNER_RUNS = 0o100
"""The bit that git looks at."""

NO_FILES_MODIFIED = "No files were modified."


class PatchFiles(Protocol):
    """The part of the files port a patch needs."""

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes: ...
    def write(self, path: str, data: bytes) -> None: ...
    def stat(self, path: str, *, follow: bool = True) -> FileStat | None: ...
    def make_dirs(self, path: str, *, mode: int = 0o777) -> None: ...
    def read_link(self, path: str) -> str: ...
    def rename(self, source: str, destination: str) -> None: ...
    def remove(self, path: str) -> None: ...


class PatchFileError(PatchError):
    """A file could not be read, written or deleted as the patch wants. ``cause``: why, which the command leaves out."""

    def __init__(self, message: str, cause: str | None = None) -> None:
        super().__init__(message if cause is None else f"{message}: {cause}")
        self.message = message

    @property
    def command_text(self) -> str:
        return self.message


class AppliedHunk(msgspec.Struct, frozen=True, kw_only=True):
    """One hunk that is done."""

    letter: Literal["A", "M", "D"]
    shown_path: str
    """As the patch wrote it; of a move, the destination."""
    revision: FileRevision


class PatchOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How far a patch got. ``error`` is None when all of it is done."""

    applied: tuple[AppliedHunk, ...]
    error: PatchError | None = None

    @property
    def revisions(self) -> tuple[FileRevision, ...]:
        return tuple(hunk.revision for hunk in self.applied)


class PatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A patch that fits the files as they are now, and what it would do to them."""

    hunks: tuple[Hunk, ...]
    cwd: str
    revisions: tuple[FileRevision, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file it touches, absolute, move destinations included, each once, in order."""
        touched = [path for each in self.revisions for path in (each.path, each.moved_to) if path is not None]
        return tuple(dict.fromkeys(touched))


def plan_patch(text: str, cwd: str, files: PatchFiles) -> PatchPlan:
    """Parse and try out a patch without writing. Raises PatchError when it does not parse or does not fit."""
    hunks = parse_patch(text)
    outcome = apply_hunks(hunks, cwd, Overlay(files))
    if outcome.error is not None:
        raise outcome.error
    return PatchPlan(hunks=hunks, cwd=cwd, revisions=outcome.revisions)


def apply_plan(plan: PatchPlan, files: PatchFiles) -> PatchOutcome:
    """Carry out a plan. The files are read again: they may have changed while people were asked."""
    return apply_hunks(plan.hunks, plan.cwd, files)


def apply_hunks(hunks: tuple[Hunk, ...], cwd: str, files: PatchFiles) -> PatchOutcome:
    """Change the files hunk by hunk, as far as it goes."""
    if not hunks:
        return PatchOutcome(applied=(), error=PatchFileError(NO_FILES_MODIFIED))
    applied: list[AppliedHunk] = []
    for hunk in hunks:
        try:
            applied.append(_apply(hunk, cwd, files))
        except PatchError as error:
            return PatchOutcome(applied=tuple(applied), error=error)
    return PatchOutcome(applied=tuple(applied))


def resolve_path(path: str, cwd: str) -> str:
    """Absolute and without `..`, decided by the text alone."""
    return posixpath.normpath(posixpath.join(cwd, path))


def _apply(hunk: Hunk, cwd: str, files: PatchFiles) -> AppliedHunk:
    path = resolve_path(hunk.path, cwd)
    match hunk:
        case AddFile():
            before, mode_before = _content_to_show(path, files), _git_mode(path, files)
            after = hunk.content.encode()
            _write(path, after, files)
            revision = FileRevision(
                path=path, before=before, after=after, mode_before=mode_before, mode_after=_git_mode(path, files)
            )
            return AppliedHunk(letter="A", shown_path=hunk.path, revision=revision)
        case DeleteFile():
            mode_before = _git_mode(path, files, follow=False)
            before = _delete(path, files)
            revision = FileRevision(path=path, before=before, after=None, mode_before=mode_before)
            return AppliedHunk(letter="D", shown_path=hunk.path, revision=revision)
        case UpdateFile():
            source, mode_before = _read_to_update(path, files), _git_mode(path, files)
            after = rewrite(_decode(source, path), hunk.chunks, path=path).encode()
            destination = path if hunk.move_to is None else resolve_path(hunk.move_to, cwd)
            if destination == path:
                _write(path, after, files)
                mode_after = _git_mode(path, files)
                revision = FileRevision(
                    path=path, before=source, after=after, mode_before=mode_before, mode_after=mode_after
                )
            else:
                overwritten, mode_overwritten = _content_to_show(destination, files), _git_mode(destination, files)
                _move(path, destination, after, files)
                revision = FileRevision(
                    path=path,
                    before=source,
                    after=after,
                    moved_to=destination,
                    overwritten=overwritten,
                    mode_before=mode_before,
                    mode_after=_git_mode(destination, files),
                    mode_overwritten=mode_overwritten,
                )
            return AppliedHunk(letter="M", shown_path=hunk.move_to or hunk.path, revision=revision)
        case _:
            assert_never(hunk)


def _git_mode(path: str, files: PatchFiles, *, follow: bool = True) -> int:
    """For diffs only, so what cannot be told is no error."""
    try:
        found = files.stat(path, follow=follow)
    except OSError:
        return REGULAR
    if found is None:
        return REGULAR
    if found.kind == "symlink":
        return LINK
    return EXECUTABLE if found.mode & OWNER_RUNS else REGULAR


def _read_to_update(path: str, files: PatchFiles) -> bytes:
    try:
        found = files.stat(path)
        if found is not None and found.kind == "other":  # a pipe or device: reading it could last for ever
            raise PatchFileError(f"Failed to read file to update {path}: it is not a regular file")
        if found is not None and found.size > PATCHED_FILE_BYTES_MAX:
            raise PatchFileError(
                f"Failed to read file to update {path}: it is larger than {PATCHED_FILE_BYTES_MAX} bytes"
            )
        return files.read(path)
    except OSError as error:
        raise PatchFileError(f"Failed to read file to update {path}: {os_error_text(error)}") from error


def _decode(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PatchFileError(f"Failed to read file to update {path}: stream did not contain valid UTF-8") from error


def _content_to_show(path: str, files: PatchFiles) -> FileContent:
    """What will be overwritten or deleted: for diffs only, so what cannot be read is no error."""
    try:
        found = files.stat(path)
        if found is None:
            return None
        if found.kind != "file" or found.size > SHOWN_FILE_BYTES_MAX:
            return UNREAD
        return files.read(path)
    except OSError:
        return UNREAD


def _write(path: str, data: bytes, files: PatchFiles) -> None:
    _make_parents(path, files)
    try:
        found = files.stat(path)
        if found is not None and found.kind == "other":  # opening a pipe for writing waits for a reader
            raise PatchFileError(f"Failed to write file {path}", "it is not a regular file")
        files.write(path, data)
    except OSError as error:
        raise PatchFileError(f"Failed to write file {path}", os_error_text(error)) from error


def _delete(path: str, files: PatchFiles) -> FileContent:
    try:
        found = files.stat(path, follow=False)
        if found is None or found.kind == "directory":
            raise PatchFileError(f"Failed to delete file {path}")
        before: FileContent = UNREAD
        if found.kind == "file":
            before = _content_to_show(path, files)
        elif found.kind == "symlink":
            before = files.read_link(path).encode("utf-8", "surrogateescape")  # git's content of a link
        files.remove(path)
    except OSError as error:
        raise PatchFileError(f"Failed to delete file {path}") from error
    return before


def _move(source: str, destination: str, data: bytes, files: PatchFiles) -> None:
    """A regular file is renamed first, which keeps its mode (a script stays executable), and then written."""
    _make_parents(destination, files)
    try:
        found = files.stat(source, follow=False)
        target = files.stat(destination)
        renamed = found is not None and found.kind == "file" and (target is None or target.kind == "file")
        if renamed:
            try:
                files.rename(source, destination)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                renamed = False
        try:
            _write(destination, data, files)
        except PatchFileError as error:
            if renamed:
                raise PatchFileError(f"{error}; {source} had already been moved there") from error
            raise
        if not renamed:
            files.remove(source)
    except OSError as error:
        raise PatchFileError(f"Failed to move {source} to {destination}: {os_error_text(error)}") from error


def _make_parents(path: str, files: PatchFiles) -> None:
    try:
        files.make_dirs(posixpath.dirname(path))
    except OSError as error:
        raise PatchFileError(f"Failed to create parent directories for {path}", os_error_text(error)) from error


class Overlay:
    """Files as they would be: reads what was changed from memory and the rest from below. Writes nothing."""

    def __init__(self, below: PatchFiles) -> None:
        self._below = below
        self._changed: dict[str, bytes | None] = {}
        self._modes: dict[str, int] = {}

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes:
        if path not in self._changed:
            return self._below.read(path, start=start, limit=limit)
        content = self._changed[path]
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return content[start : None if limit is None else start + limit]

    def stat(self, path: str, *, follow: bool = True) -> FileStat | None:
        if path not in self._changed:
            return self._below.stat(path, follow=follow)
        content = self._changed[path]
        if content is None:
            return None
        return FileStat(kind="file", size=len(content), modified_at=0.0, mode=self._modes[path])

    def write(self, path: str, data: bytes) -> None:
        found = self.stat(path)
        if found is not None and found.kind == "directory":
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        self._changed[path], self._modes[path] = data, NEW_FILE_MODE if found is None else found.mode

    def read_link(self, path: str) -> str:
        if path in self._changed:
            raise OSError(errno.EINVAL, "Invalid argument")
        return self._below.read_link(path)

    def make_dirs(self, path: str, *, mode: int = 0o777) -> None:  # noqa: ARG002 - the port's signature
        """Creates nothing, and fails where a file stands in the way."""
        while path not in ("", "/"):
            found = self.stat(path)
            if found is not None:
                if found.kind != "directory":
                    raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
                return
            path = posixpath.dirname(path)

    def rename(self, source: str, destination: str) -> None:
        data, found = self.read(source), self.stat(source)
        self.write(destination, data)
        if found is not None:
            self._modes[destination] = found.mode
        self._changed[source] = None

    def remove(self, path: str) -> None:
        self._changed[path] = None
