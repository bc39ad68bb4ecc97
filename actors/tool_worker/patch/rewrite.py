"""One file's content and its chunks -> the new content.

Chunks are in file order: each is searched from behind the one before. A context line stays as the *file* has it, even
where only a forgiving match found it: a patch changes what it says it changes. Every line keeps its own ending; a new
line gets the file's prevailing one. A non-empty result ends with a newline, as every tool that will read the file next
expects.
"""

from __future__ import annotations

from actors.tool_worker.patch.locate import Lines
from actors.tool_worker.patch.parse import ChangeLine, Chunk, PatchError

BYTE_ORDER_MARK = "\ufeff"
"""Models do not see it, so it is kept aside while their lines are compared with the file's first one."""

_Ended = tuple[str, str]
"""A line's text and its ending: "\n", "\r\n", or "" for an unfinished last line."""


class LocateError(PatchError):
    """A chunk's place was not found: the file is not what the patch was written for."""


def rewrite(content: str, chunks: tuple[Chunk, ...], *, path: str) -> str:
    """Apply ``chunks`` to ``content``; ``path`` is for the error. Raises LocateError."""
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK) else ""
    old = _split(content.removeprefix(mark))
    ending = _prevailing_ending(old)
    lines = Lines([text for text, _ in old])
    new: list[_Ended] = []
    additions: list[_Ended] = []
    copied = cursor = 0
    for chunk in chunks:
        if chunk.header is not None:
            header = lines.find([chunk.header], cursor)
            if header is None:
                raise LocateError(f"Failed to find context '{chunk.header}' in {path}")
            cursor = header + 1
        if not chunk.old:
            additions += [(line.text, ending) for line in chunk.lines]
            continue
        start, changes = _place(lines, chunk, cursor, path)
        new += old[copied:start]
        cursor = start
        for change in changes:
            if change.kind == "added":
                new.append((change.text, ending))
                continue
            if change.kind == "context":
                new.append(old[cursor])
            cursor += 1
        copied = cursor
    new += old[copied:] + additions
    return mark + "".join(text + (own or ending) for text, own in new)


def _place(lines: Lines, chunk: Chunk, cursor: int, path: str) -> tuple[int, tuple[ChangeLine, ...]]:
    """Where the chunk starts, and its change lines, less a last empty one that the file does not have.

    Models often end a chunk with an empty line that is only the file's last newline.
    """
    wanted = chunk.old
    start = lines.find(wanted, cursor, at_end=chunk.end_of_file)
    if start is not None:
        return start, chunk.lines
    if wanted[-1] == "":
        start = lines.find(wanted[:-1], cursor, at_end=chunk.end_of_file)
        if start is not None:
            return start, _without_last_empty(chunk.lines)
    raise LocateError(f"Failed to find expected lines in {path}:\n" + "\n".join(wanted))


def _without_last_empty(changes: tuple[ChangeLine, ...]) -> tuple[ChangeLine, ...]:
    """Drop the last old line, and with it a matching empty line at the end of the new ones."""
    last_old = max(index for index, change in enumerate(changes) if change.kind != "added")
    rest = changes[:last_old] + changes[last_old + 1 :]
    if changes[last_old].kind == "context" and last_old < len(changes) - 1:
        # The empty context line stood before added lines: it is a new line of theirs, unless their last is empty too.
        if changes[-1].text == "":
            return (*changes[:last_old], ChangeLine("added", ""), *changes[last_old + 1 : -1])
        return (*changes[:last_old], ChangeLine("added", ""), *changes[last_old + 1 :])
    if changes[last_old].kind == "removed" and rest and rest[-1] == ChangeLine("added", ""):
        return rest[:-1]
    return rest


def _split(content: str) -> list[_Ended]:
    """Lines with their endings. Only newlines end a line: `str.splitlines` would also cut at form feeds and more."""
    lines: list[_Ended] = []
    pieces = content.split("\n")
    for piece in pieces[:-1]:
        text = piece.removesuffix("\r")
        lines.append((text, "\r\n" if len(text) < len(piece) else "\n"))
    if pieces[-1]:
        lines.append((pieces[-1], ""))
    return lines


def _prevailing_ending(lines: list[_Ended]) -> str:
    endings = [ending for _, ending in lines]
    return "\r\n" if endings.count("\r\n") > endings.count("\n") else "\n"
