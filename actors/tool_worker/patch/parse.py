"""The text of a patch -> hunks.

    *** Begin Patch
    *** Add File: PATH          then lines starting with +
    *** Delete File: PATH
    *** Update File: PATH       optionally `*** Move to: PATH`, then chunks:
    @@ optional header line     what follows is found after this line
     context / -old / +new
    *** End of File             optional: the chunk is at the end of the file
    *** End Patch

Models are sloppy writers, so the reader is lenient where no second meaning is possible: padding around marker lines,
CRLF, a missing first `@@`, an empty line standing for an empty context line, a heredoc wrapper around the whole, an
`*** Environment ID:` line. It is strict where leniency could change the wrong line: anything else inside a chunk is an
error that names its line.

A hand-written reader rather than the Lark grammar models are sent: the grammar accepts none of the leniencies and its
errors would not tell a model what to write instead.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

BEGIN = "*** Begin Patch"
END = "*** End Patch"
ADD = "*** Add File: "
DELETE = "*** Delete File: "
UPDATE = "*** Update File: "
MOVE = "*** Move to: "
END_OF_FILE = "*** End of File"
ENVIRONMENT = "*** Environment ID: "

HEREDOC_OPENERS = ("<<EOF", "<<'EOF'", '<<"EOF"')
HEREDOC_LINES_MIN = 4
"""Opener, begin, end, closer: with fewer it cannot be a wrapped patch."""


_SURROGATES = re.compile("[\ud800-\udfff]")


class PatchError(Exception):
    """A patch that cannot be used. ``command_text`` is for the stand-alone command, ``str()`` for the model's tool."""

    @property
    def command_text(self) -> str:
        return str(self)


class InvalidPatchError(PatchError):
    """The text as a whole is no patch."""

    def __init__(self, message: str) -> None:
        super().__init__(f"invalid patch: {message}")
        self.message = message

    @property
    def command_text(self) -> str:
        return f"Invalid patch: {self.message}"


class InvalidHunkError(PatchError):
    """One hunk is malformed; ``line`` counts from 1 at `*** Begin Patch`."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"invalid hunk at line {line}, {message}")
        self.line = line
        self.message = message

    @property
    def command_text(self) -> str:
        return f"Invalid patch hunk on line {self.line}: {self.message}"


class ChangeLine(msgspec.Struct, frozen=True):
    """One line of a chunk, without its ending."""

    kind: Literal["context", "removed", "added"]
    text: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One place in a file: old lines (context and removed) become new lines (context and added)."""

    header: str | None
    """The text after `@@`: a line the chunk comes after."""
    lines: tuple[ChangeLine, ...]
    end_of_file: bool = False

    @property
    def old(self) -> list[str]:
        return [line.text for line in self.lines if line.kind != "added"]


class AddFile(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    content: str


class DeleteFile(msgspec.Struct, frozen=True, kw_only=True):
    path: str


class UpdateFile(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    move_to: str | None
    chunks: tuple[Chunk, ...]


Hunk = AddFile | DeleteFile | UpdateFile


def parse_patch(text: str) -> tuple[Hunk, ...]:
    """The hunks in the order written; none for a patch without any. Raises PatchError."""
    reader = _Reader(_body(text))
    hunks: list[Hunk] = []
    reader.skip_environment()
    while not reader.at_end:
        hunks.append(reader.hunk())
    return tuple(hunks)


def _body(text: str) -> list[str]:
    """The lines between the markers, heredoc wrapper and carriage returns taken off."""
    if _SURROGATES.search(text):  # half a surrogate pair: no file could hold it
        raise InvalidPatchError("The patch is not valid Unicode text")
    lines = [line.removesuffix("\r") for line in text.strip().split("\n")]
    if len(lines) >= HEREDOC_LINES_MIN and lines[0] in HEREDOC_OPENERS and lines[-1] == "EOF":
        lines = lines[1:-1]
    if lines[0].strip() != BEGIN:
        raise InvalidPatchError(f"The first line of the patch must be '{BEGIN}'")
    if len(lines) == 1 or lines[-1].strip() != END:
        raise InvalidPatchError(f"The last line of the patch must be '{END}'")
    return lines[1:-1]


class _Reader:
    """A cursor over the body; line numbers in errors count the `*** Begin Patch` line."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next >= len(self._lines)

    def _error(self, message: str, *, index: int) -> InvalidHunkError:
        return InvalidHunkError(index + 2, message)

    def skip_environment(self) -> None:
        """The daemon has one environment per thread: whichever the patch names, it is that one."""
        if not self.at_end and self._lines[0].strip().startswith(ENVIRONMENT):
            self._next = 1

    def hunk(self) -> Hunk:
        index = self._next
        header = self._lines[index].strip()
        self._next += 1
        if header.startswith(ADD):
            return AddFile(path=self._path(header, ADD, index), content=self._added_content())
        if header.startswith(DELETE):
            return DeleteFile(path=self._path(header, DELETE, index))
        if header.startswith(UPDATE):
            return self._update(self._path(header, UPDATE, index), index)
        raise self._error(
            f"'{header}' is not a valid hunk header. Valid hunk headers: "
            f"'{ADD}{{path}}', '{DELETE}{{path}}', '{UPDATE}{{path}}'",
            index=index,
        )

    def _path(self, header: str, marker: str, index: int) -> str:
        path = header.removeprefix(marker).strip()
        if "\0" in path:
            raise self._error("the path contains a NUL character, which no file name can hold", index=index)
        return path

    def _added_content(self) -> str:
        start = self._next
        while not self.at_end and self._lines[self._next].startswith("+"):
            self._next += 1
        return "".join(line[1:] + "\n" for line in self._lines[start : self._next])

    def _update(self, path: str, index: int) -> UpdateFile:
        move_to: str | None = None
        if not self.at_end and self._lines[self._next].strip().startswith(MOVE):
            move_to = self._path(self._lines[self._next].strip(), MOVE, self._next)
            self._next += 1
        chunks: list[Chunk] = []
        while not self.at_end and not self._lines[self._next].startswith("***"):
            if not self._lines[self._next].strip():
                self._next += 1  # blank lines between chunks; inside one they are context
                continue
            chunks.append(self._chunk(first=not chunks))
        if not chunks:
            raise self._error(f"Update file hunk for path '{path}' is empty", index=index)
        return UpdateFile(path=path, move_to=move_to, chunks=tuple(chunks))

    def _chunk(self, *, first: bool) -> Chunk:
        opener = self._lines[self._next].rstrip()
        header: str | None = None
        opened = opener == "@@" or opener.startswith("@@ ")
        if opened:
            header = self._lines[self._next][3:] if opener != "@@" else None
            self._next += 1
        elif not first:
            raise self._unexpected()
        changes: list[ChangeLine] = []
        end_of_file = False
        while not self.at_end:
            line = self._lines[self._next]
            if line.rstrip() == END_OF_FILE and changes:
                end_of_file = True
                self._next += 1
                break
            change = _change(line)
            if change is None:
                break
            changes.append(change)
            self._next += 1
        if not changes:
            if self.at_end or self._lines[self._next].startswith("***"):
                raise self._error("Update hunk does not contain any lines", index=self._next)
            raise self._unexpected()
        if not self.at_end and not end_of_file and not self._lines[self._next].startswith(("***", "@@")):
            raise self._unexpected()
        return Chunk(header=header, lines=tuple(changes), end_of_file=end_of_file)

    def _unexpected(self) -> InvalidHunkError:
        return self._error(
            f"Unexpected line found in update hunk: '{self._lines[self._next]}'. Every line should start with "
            "' ' (context line), '+' (added line), or '-' (removed line)",
            index=self._next,
        )


def _change(line: str) -> ChangeLine | None:
    match line[:1]:
        case "":
            return ChangeLine("context", "")
        case " ":
            return ChangeLine("context", line[1:])
        case "-":
            return ChangeLine("removed", line[1:])
        case "+":
            return ChangeLine("added", line[1:])
        case _:
            return None
