"""Where a chunk's old lines are in a file.

Four passes over all positions, each more forgiving: exact; trailing whitespace ignored; whitespace at both ends
ignored; typographic characters folded to the ASCII a model types instead. An exact match further down is better than a
forgiving one nearby, hence pass by pass and not position by position.

A pass is one `str.find` on the joined lines: C speed, and linear even where a naive search over lines is quadratic (a
log of a million equal lines). Rejected: edit distance. A patch put in a place that is merely similar is worse than an
error the model can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_FOLDED = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    }
)


def _exact(line: str) -> str:
    return line


def _folded(line: str) -> str:
    return line.strip().translate(_FOLDED)


PASSES: tuple[Callable[[str], str], ...] = (_exact, str.rstrip, str.strip, _folded)


class Lines:
    """The lines of a file, without their endings, ready to be searched."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._joined: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def find(self, pattern: Sequence[str], start: int, *, at_end: bool = False) -> int | None:
        """The first index >= ``start`` where ``pattern`` stands, or None; an empty pattern stands everywhere.

        ``at_end``: only where it ends the file.
        """
        if at_end:
            start = max(start, len(self._lines) - len(pattern))
        if len(pattern) > len(self._lines) - start:
            return None
        if not pattern:
            return start
        for number, prepare in enumerate(PASSES):
            haystack = self._haystack(number)
            offset = _line_offset(haystack, self._lines, start, prepare)
            found = haystack.find("\n" + "\n".join(map(prepare, pattern)) + "\n", offset)
            if found >= 0:
                return start + haystack.count("\n", offset, found)
        return None

    def _haystack(self, number: int) -> str:
        while len(self._joined) <= number:
            prepare = PASSES[len(self._joined)]
            self._joined.append("\n" + "".join(prepare(line) + "\n" for line in self._lines))
        return self._joined[number]


def _line_offset(haystack: str, lines: Sequence[str], start: int, prepare: Callable[[str], str]) -> int:
    """Where in ``haystack`` the newline before line ``start`` is."""
    if start <= len(lines) // 2:
        return sum(len(prepare(line)) + 1 for line in lines[:start])
    return len(haystack) - 1 - sum(len(prepare(line)) + 1 for line in lines[start:])
