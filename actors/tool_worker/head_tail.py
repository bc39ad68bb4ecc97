"""A command's output in bounded memory: its first and its last bytes, and a count of what lay between.

The beginning says what was started and the end says how it went; what a runaway command printed in between is worth
nothing to anybody. Appending costs the size of the chunk and no more, however much came before.

Rejected: keeping lines (a progress bar is one endless line) and spilling to a file (nobody reads it, and it must be
deleted).
"""

from __future__ import annotations

import msgspec

OUTPUT_BYTES_MAX = 1024 * 1024
"""Kept per command: a hundred times what a model is shown, so that a person can still look into it."""

UTF8_CONTINUATIONS_MAX = 3
"""A character has at most this many bytes after its first."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Output as it can be shown: the head, the marker for what is missing, the tail."""

    text: str
    total_bytes: int
    """As the command wrote them."""
    omitted_bytes: int = 0

    @property
    def marker(self) -> str | None:
        """The line that stands for the missing middle."""
        return omitted_marker(self.omitted_bytes) if self.omitted_bytes else None


def omitted_marker(omitted_bytes: int) -> str:
    return f"... {omitted_bytes} bytes omitted ..."


class HeadTail:
    """Collects output. One for a command's whole life, another for what is new since the last poll (`take`)."""

    def __init__(self, bytes_max: int = OUTPUT_BYTES_MAX) -> None:
        self._head_max = bytes_max // 2
        self._tail_max = bytes_max - self._head_max
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    @property
    def total_bytes(self) -> int:
        """Everything appended since the start or the last `take`."""
        return self._total

    @property
    def kept_bytes(self) -> int:
        return len(self._head) + len(self._tail)

    def append(self, chunk: bytes | memoryview) -> None:
        """Add what the command wrote. Deleting at a bytearray's front moves no memory, so this is O(len(chunk))."""
        self._total += len(chunk)
        room = self._head_max - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk[-self._tail_max :] if self._tail_max else b""
        excess = len(self._tail) - self._tail_max
        if excess > 0:
            del self._tail[:excess]

    def output(self) -> Output:
        """What is kept, decoded; bytes that are no UTF-8 become U+FFFD, a character cut by the limit is left out."""
        if self._total == self.kept_bytes:
            text = (bytes(self._head) + bytes(self._tail)).decode("utf-8", "replace")
            return Output(text=text, total_bytes=self._total)
        head = bytes(self._head[: _whole_characters(self._head)])
        tail = bytes(self._tail[_first_character(self._tail) :])
        omitted = self._total - len(head) - len(tail)
        parts = (head.decode("utf-8", "replace"), omitted_marker(omitted), tail.decode("utf-8", "replace"))
        return Output(text="\n".join(parts), total_bytes=self._total, omitted_bytes=omitted)

    def take(self) -> Output:
        """The output since the last `take`, and start over."""
        output = self.output()
        self._head.clear()
        self._tail.clear()
        self._total = 0
        return output


def _first_character(data: bytearray) -> int:
    """Where the first whole character starts."""
    for index, byte in enumerate(data[:UTF8_CONTINUATIONS_MAX]):
        if byte & 0xC0 != 0x80:
            return index
    return min(len(data), UTF8_CONTINUATIONS_MAX)


def _whole_characters(data: bytearray) -> int:
    """How many bytes remain when a last, unfinished character is taken off."""
    for back in range(1, min(len(data), UTF8_CONTINUATIONS_MAX + 1) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        return len(data) if back >= needed else len(data) - back
    return len(data)
