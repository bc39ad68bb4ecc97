"""AGENTS.md: what users and projects tell every agent, found and put into one message.

The user's own file lies in the daemon's home and has no budget; a project's files lie on the way from its root (the
nearest folder above with a root marker) down to the working folder and share one. In each folder the first of
AGENTS.override.md, AGENTS.md and the configured other names counts. What could not be read, or was cut, is said in a
warning: instructions that silently do not hold are worse than none.

Source: CORE §4.5. Reads through the files port, blocking: call it in a thread.
"""

from __future__ import annotations

import codecs
import posixpath
from collections.abc import Iterator

import msgspec

from actors.ports import Files

OVERRIDE_NAME = "AGENTS.override.md"
DOC_NAME = "AGENTS.md"
OPENING = "# AGENTS.md instructions for "
"""How the message begins, followed by the folder: by this it is known again in a log."""

SEPARATOR = "\n\n--- project-doc ---\n\n"

LEVELS_MAX = 64
"""Folders walked up in search of a project's root."""

USER_DOC_BYTES_MAX = 1024 * 1024
"""The user's file has no budget; this keeps a mistaken link to something huge out of memory."""


class DocRules(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look and how much to take: settings of the same names."""

    home: str
    max_bytes: int = 32 * 1024
    fallback_names: tuple[str, ...] = ()
    root_markers: tuple[str, ...] = (".git",)


class Docs(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one folder. ``text`` is the whole message for the model; None: nothing."""

    text: str | None = None
    paths: tuple[str, ...] = ()
    """Whose words it holds, in their order."""
    warnings: tuple[str, ...] = ()


def read_docs(files: Files, cwd: str, rules: DocRules) -> Docs:
    """The instructions that hold in ``cwd``. Never raises: what cannot be read is a warning."""
    reading = _Reading(files)
    user = reading.first_of(rules.home, (OVERRIDE_NAME, DOC_NAME), USER_DOC_BYTES_MAX, skip_empty=True)
    project = _project_parts(reading, cwd, rules) if rules.max_bytes > 0 else []
    parts = [part for part in (user, "\n\n".join(project)) if part]
    text = None
    if parts:
        text = f"{OPENING}{cwd}\n\n<INSTRUCTIONS>\n{SEPARATOR.join(parts)}\n</INSTRUCTIONS>"
    return Docs(text=text, paths=tuple(reading.paths), warnings=tuple(reading.warnings))


def _project_parts(reading: _Reading, cwd: str, rules: DocRules) -> list[str]:
    names = (OVERRIDE_NAME, DOC_NAME, *rules.fallback_names)
    left = rules.max_bytes
    parts: list[str] = []
    for folder in _folders(reading, cwd, rules.root_markers):
        if left <= 0:
            reading.unread(folder, names)
            continue
        part = reading.first_of(folder, names, left)
        if part:
            parts.append(part)
            left -= reading.last_bytes
    return parts


def _folders(reading: _Reading, cwd: str, markers: tuple[str, ...]) -> list[str]:
    """From the project's root down to the working folder; only the latter where there is no root."""
    above: list[str] = []
    for folder in _upwards(cwd):
        above.append(folder)
        if any(reading.exists(posixpath.join(folder, marker)) for marker in markers):
            return above[::-1]
    return [cwd]


def _upwards(cwd: str) -> Iterator[str]:
    folder = cwd
    for _ in range(LEVELS_MAX):
        yield folder
        if folder in ("/", ""):
            return
        folder = posixpath.dirname(folder)


_Utf8 = codecs.getincrementaldecoder("utf-8")


class _Reading:
    """Reads, and remembers whose words were taken and what went wrong."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.paths: list[str] = []
        self.warnings: list[str] = []
        self.last_bytes = 0

    def exists(self, path: str) -> bool:
        try:
            return self._files.stat(path) is not None
        except OSError:
            return False

    def first_of(self, folder: str, names: tuple[str, ...], limit: int, *, skip_empty: bool = False) -> str | None:
        """The first file there is, at most ``limit`` bytes of it; with ``skip_empty`` the first that says something."""
        for name in names:
            path = posixpath.join(folder, name)
            try:
                stat = self._files.stat(path)
                if stat is None or stat.kind != "file":
                    continue
                data = self._files.read(path, limit=limit + 1)
            except OSError as error:
                self.warnings.append(f"{path} cannot be read ({error.strerror}); its instructions do not hold.")
                continue
            if skip_empty and not data.strip():
                continue
            return self._text(path, data, limit)
        return None

    def unread(self, folder: str, names: tuple[str, ...]) -> None:
        """Say that a file is left out because the budget is used up."""
        for name in names:
            path = posixpath.join(folder, name)
            if self.exists(path):
                self.warnings.append(f"{path} is left out: project_doc_max_bytes is used up by the files above it.")
                return

    def _text(self, path: str, data: bytes, limit: int) -> str:
        self.paths.append(path)
        whole = len(data) <= limit
        if not whole:
            self.warnings.append(f"{path} is cut after {limit} bytes: project_doc_max_bytes allows no more.")
            data = data[:limit]
        self.last_bytes = len(data)
        # Not final: half a letter at the cut is left out rather than replaced.
        text = _Utf8(errors="replace").decode(data, final=whole)
        if "\ufffd" in text and b"\xef\xbf\xbd" not in data:
            self.warnings.append(f"{path} is not all UTF-8; what is not was replaced.")
        return text
