"""Which paths a few typed letters mean, best first. Pure.

A word matches where its letters occur in order; all words of a query must match. Lower-case letters match both cases,
and a query with a capital is taken as it is written. How good a match is, is judged as fzf's first algorithm does:

* the match that ends earliest is taken, and drawn together from its end;
* a letter is worth more at the start of a name or a part of one, and right behind the letter before it;
* gaps cost, the first letter of one more than the others;
* a word that lies in the last part of the path beats one that is spread over the folders.

Rejected: rapidfuzz. It measures how alike two texts are, which is no use for three letters of a long path, and does not
say which letters matched; and a regular expression throws out what does not match at all faster than it scores.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

MAX_RESULTS = 50
"""What fits a picker, several times over."""

MAX_QUERY_CHARS = 256
"""Beyond the length of any file's name."""

LETTER = 16
AT_NAME, AT_PART, AT_HUMP = 10, 8, 7
"""For a letter at the start of a folder's or file's name, behind a separator within it, at a capital."""
NEXT = 6
"""Right behind the letter before."""
GAP, GAP_ON = 3, 1
IN_NAME = 32
"""For a word wholly in the last part of the path."""

SEPARATORS = frozenset("_-. ")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path below a root, with ``/`` between its parts."""

    root: str
    path: str
    kind: Literal["file", "directory"]


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate that matches: the higher the score the better; ``indices`` are the letters of the path, in order."""

    candidate: Candidate
    score: int
    indices: tuple[int, ...]


def rank(query: str, candidates: Iterable[Candidate], *, limit: int = MAX_RESULTS) -> tuple[Match, ...]:
    """The best matches, best first; of equally good ones the shorter path, then the alphabet. An empty query finds
    nothing."""
    words = query[:MAX_QUERY_CHARS].split()
    if not words:
        return ()
    fold: Callable[[str], str] = _as_it_is if any(letter.isupper() for letter in query) else _lower
    patterns = [(word, re.compile(".*?".join(map(re.escape, word)), re.DOTALL)) for word in map(fold, words)]
    found = (match for candidate in candidates if (match := _match(candidate, fold, patterns)) is not None)
    return tuple(heapq.nsmallest(limit, found, key=_order))


def _order(match: Match) -> tuple[int, int, str, str]:
    return -match.score, len(match.candidate.path), match.candidate.path, match.candidate.root


def _match(
    candidate: Candidate, fold: Callable[[str], str], patterns: list[tuple[str, re.Pattern[str]]]
) -> Match | None:
    path = candidate.path
    folded = fold(path)
    name_at = folded.rfind("/") + 1
    score = 0
    indices: set[int] = set()
    for word, pattern in patterns:
        found = pattern.search(folded, name_at)
        if found is not None:
            score += IN_NAME
        else:
            found = pattern.search(folded)
            if found is None:
                return None
        letters = _draw_together(word, folded, found.end())
        score += _worth(path, letters)
        indices.update(letters)
    return Match(candidate, score, tuple(sorted(indices)))


def _draw_together(word: str, text: str, end: int) -> list[int]:
    """Where the letters of a word are whose match ends at ``end``, each as late as it can be."""
    letters: list[int] = []
    at = end
    for letter in reversed(word):
        at = text.rindex(letter, 0, at)
        letters.append(at)
    letters.reverse()
    return letters


def _worth(path: str, letters: list[int]) -> int:
    worth = 0
    before = -1
    for at in letters:
        worth += LETTER + _bonus(path, at)
        if before >= 0:
            gap = at - before - 1
            worth += NEXT if gap == 0 else -(GAP + GAP_ON * (gap - 1))
        before = at
    return worth


def _bonus(path: str, at: int) -> int:
    previous = path[at - 1] if at else "/"
    if previous == "/":
        return AT_NAME
    if previous in SEPARATORS:
        return AT_PART
    return AT_HUMP if path[at].isupper() and not previous.isupper() else 0


def _lower(text: str) -> str:
    lowered = text.lower()
    # A few letters grow when lowered (İ); positions must stay those of the path as it is written.
    return lowered if len(lowered) == len(text) else text


def _as_it_is(text: str) -> str:
    return text
