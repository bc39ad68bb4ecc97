"""read_file: some lines of a file, by number or by the block they belong to.

Two modes. *Slice*: ``limit`` lines from ``offset``. *Indentation*: from an anchor line outwards, up and down in turns,
as long as the lines are indented at least as deep as wanted; so a model that found one line with a search gets the
function around it without knowing where that starts.

Lines come back as `L<number>: <text>`. Nothing here trusts the file: lines and files may be of any size and need not be
text. Source: CORE appendix A.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from actors.ports.files import FileStat
from actors.tool_worker.os_errors import os_error_text

LINE_BYTES_MAX = 500
"""Of one line shown: minified code and data would drown the rest."""

TAB_WIDTH = 4

BLOCK_BYTES = 256 * 1024
"""Read at a time."""

SCANNED_BYTES_MAX = 64 * 1024 * 1024
"""Of one file gone through in search of an offset: beyond it, tail and sed are better tools."""

INDENTED_FILE_BYTES_MAX = 8 * 1024 * 1024
"""Indentation mode holds every line of the file; no source file is larger."""

CHANGED = "(the file changed while it was read: these lines may be of different versions of it)"

COMMENT_STARTS = ("#", "//", "--")


class ReadableFiles(Protocol):
    """The part of the files port that reading needs."""

    def read(self, path: str, *, start: int = 0, limit: int | None = None) -> bytes: ...
    def stat(self, path: str, *, follow: bool = True) -> FileStat | None: ...


class ReadingError(Exception):
    """The text is for the model: what was wrong with its request, or with the file."""


class Indentation(msgspec.Struct, frozen=True, kw_only=True):
    """How far indentation mode goes."""

    anchor_line: int | None = None
    """Where to start; the offset if not given."""
    max_levels: int = 0
    """How many levels of indentation above the anchor's; 0: all."""
    include_siblings: bool = False
    """Also other blocks at the outermost level reached."""
    include_header: bool = True
    """Also the comment lines above the block."""
    max_lines: int | None = None
    """At most this many lines; the limit if not given."""


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to read. ``path`` is absolute; ``offset`` counts lines from 1."""

    path: str
    offset: int = 1
    limit: int = 2000
    mode: Literal["slice", "indentation"] = "slice"
    indentation: Indentation = Indentation()


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    text: str

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()

    @property
    def is_comment(self) -> bool:
        return self.text.lstrip().startswith(COMMENT_STARTS)

    @property
    def indent(self) -> int:
        width = 0
        for char in self.text:
            if char == "\t":
                width += TAB_WIDTH
            elif char == " ":
                width += 1
            else:
                break
        return width


def read_file(request: ReadRequest, files: ReadableFiles) -> str:
    """The lines asked for, joined by newlines. Blocking. Raises ReadingError."""
    if request.offset < 1:
        raise ReadingError("offset must be a 1-indexed line number")
    if request.limit < 1:
        raise ReadingError("limit must be greater than zero")
    if not posixpath.isabs(request.path):
        raise ReadingError("file_path must be an absolute path")
    if "\0" in request.path:
        raise ReadingError("failed to read file: the path contains a NUL character")
    try:
        found = files.stat(request.path)
        if found is not None and found.kind == "directory":
            raise ReadingError("failed to read file: Is a directory (os error 21)")
        if found is not None and found.kind == "other":  # a pipe would be waited for, a device never ends
            raise ReadingError("failed to read file: it is not a regular file")
        if request.mode == "slice":
            lines = read_slice(_blocks(request.path, files), offset=request.offset, limit=request.limit)
        elif found is not None and found.size > INDENTED_FILE_BYTES_MAX:
            raise ReadingError(
                f"failed to read file: it is larger than {INDENTED_FILE_BYTES_MAX} bytes; use slice mode"
            )
        else:
            lines = read_indented(_blocks(request.path, files), request)
    except OSError as error:
        raise ReadingError(f"failed to read file: {os_error_text(error)}") from error
    shown = "\n".join(f"L{line.number}: {line.text}" for line in lines)
    return shown if _is_as_it_was(request.path, found, files) else f"{shown}\n{CHANGED}"


def _is_as_it_was(path: str, before: FileStat | None, files: ReadableFiles) -> bool:
    """Whether a file that took several reads is still the same; one that fits one read is whole by itself."""
    if before is None or before.size <= BLOCK_BYTES:
        return True
    try:
        after = files.stat(path)
    except OSError:
        return False
    return after is not None and (after.size, after.modified_at) == (before.size, before.modified_at)


def read_slice(blocks: Iterator[bytes], *, offset: int, limit: int) -> list[_Line]:
    """``limit`` lines from ``offset``, reading no further. Raises ReadingError when there is no such line."""
    taken: list[_Line] = []
    for line in _lines(blocks, first=offset):
        taken.append(line)
        if len(taken) == limit:
            break
    if not taken:
        raise ReadingError("offset exceeds file length")
    return taken


def read_indented(blocks: Iterator[bytes], request: ReadRequest) -> list[_Line]:
    """The block around the anchor. Raises ReadingError."""
    options = request.indentation
    anchor = request.offset if options.anchor_line is None else options.anchor_line
    if anchor < 1:
        raise ReadingError("anchor_line must be a 1-indexed line number")
    if options.max_lines is not None and options.max_lines < 1:
        raise ReadingError("max_lines must be greater than zero")
    lines = list(_lines(blocks))
    if anchor > len(lines):
        raise ReadingError("anchor_line exceeds file length")
    limit = min(request.limit, options.max_lines or request.limit)
    block = _grow(lines, anchor - 1, limit, options)
    while block and block[0].is_blank:
        block.popleft()
    while block and block[-1].is_blank:
        block.pop()
    return list(block)


def _grow(lines: list[_Line], anchor: int, limit: int, options: Indentation) -> deque[_Line]:
    """From the anchor, one line up and one line down in turns, until both directions end or the limit is reached."""
    indents = _effective_indents(lines)
    least = max(indents[anchor] - options.max_levels * TAB_WIDTH, 0) if options.max_levels else 0
    block = deque([lines[anchor]])
    up, down = anchor - 1, anchor + 1
    # Without siblings each direction ends at its first line on the outermost level: the block's own head or its end.
    ended_up = ended_down = False
    while len(block) < limit and (up >= 0 or down < len(lines)):
        if up >= 0:
            header = indents[up] == least and options.include_header and lines[up].is_comment
            if indents[up] < least or (ended_up and not header):
                up = -1
            else:
                ended_up = indents[up] == least and not options.include_siblings
                block.appendleft(lines[up])
                up -= 1
        if len(block) < limit and down < len(lines):
            if indents[down] < least or ended_down:
                down = len(lines)
            else:
                ended_down = indents[down] == least and not options.include_siblings
                block.append(lines[down])
                down += 1
    return block


def _effective_indents(lines: list[_Line]) -> list[int]:
    """The indentation of each line; a blank one has that of the line before."""
    indents: list[int] = []
    previous = 0
    for line in lines:
        if not line.is_blank:
            previous = line.indent
        indents.append(previous)
    return indents


def _blocks(path: str, files: ReadableFiles) -> Iterator[bytes]:
    start = 0
    while block := files.read(path, start=start, limit=BLOCK_BYTES):
        yield block
        start += len(block)
        if start >= SCANNED_BYTES_MAX:
            raise ReadingError(
                f"failed to read file: only its first {SCANNED_BYTES_MAX} bytes can be read this way; "
                "use exec_command with tail or sed for what lies beyond"
            )


def _lines(blocks: Iterator[bytes], *, first: int = 1) -> Iterator[_Line]:
    """Lines from ``first`` as they are shown: cut to size, decoded as far as possible, without their endings."""
    number = 0
    pending = b""
    for block in blocks:
        passed = block.count(b"\n")
        if passed and number + passed < first:  # only counted, which is a hundred times faster
            number += passed
            pending = block[block.rindex(b"\n") + 1 :][: LINE_BYTES_MAX + 1]
            continue
        *ended, rest = block.split(b"\n")
        for piece in ended:
            number += 1
            if number >= first:
                yield _line(number, pending + piece)
            pending = b""
        # Only what could be shown of an endless line is kept, and one byte to tell that it was cut.
        pending = (pending + rest)[: LINE_BYTES_MAX + 1]
    if pending and number + 1 >= first:
        yield _line(number + 1, pending)


def _line(number: int, raw: bytes) -> _Line:
    raw = raw.removesuffix(b"\r")
    if len(raw) > LINE_BYTES_MAX:
        end = LINE_BYTES_MAX
        while end > LINE_BYTES_MAX - 4 and raw[end] & 0xC0 == 0x80:
            end -= 1
        raw = raw[:end]
    return _Line(number=number, text=raw.decode("utf-8", "replace"))
