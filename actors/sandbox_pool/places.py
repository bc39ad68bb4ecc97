"""Where in a script something happened, as its author counts: the engine counts columns in bytes of UTF-8.

Types are erased in place, so what is run has the lines of what was written, and its columns: but for what stands behind
a type that is not ASCII, whose characters are blanked by one byte each.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

from actors.sandbox_pool.frames import stack_frames
from messages.script import ScriptFrame


class Places:
    """Of one script."""

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def _lines(self) -> list[bytes] | None:
        """None: characters are bytes."""
        return None if self._source.isascii() else self._source.encode("utf-8", "replace").split(b"\n")

    def frames(self, stack: str) -> tuple[ScriptFrame, ...]:
        """The script's own lines of a stack, which may be anybody's text; columns from 1, in characters."""
        frames = stack_frames(stack)
        if self._lines is None:
            return frames
        return tuple(msgspec.structs.replace(frame, column=self.column(frame.line, frame.column)) for frame in frames)

    def column(self, line: int, column: int) -> int:
        """The engine's column in characters; a place that the script does not have stays as it is."""
        lines = self._lines
        if lines is None or not 0 < line <= len(lines) or not 0 < column <= len(lines[line - 1]) + 1:
            return column
        return len(lines[line - 1][: column - 1].decode("utf-8", "ignore")) + 1
