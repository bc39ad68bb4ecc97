"""Which paths a few typed letters mean, best first. Pure.

First come the paths that hold the letters: a word matches where its letters occur in order; all words of a query must
match. Lower-case letters match both cases, and a query with a capital is taken as it is written. How good a match is,
is judged as fzf's first algorithm does:

* the match that ends earliest is taken, and drawn together from its end;
* a letter is worth more at the start of a name or a part of one, and right behind the letter before it;
* gaps cost, the first letter of one more than the others;
* a word that lies in the last part of the path beats one that is spread over the folders.

rapidfuzz, which measures in C++ how alike two texts are, does what that cannot: where so many paths match that judging
all would take a core for seconds, it chooses those that are judged (`JUDGED_MAX`); and where nothing matches it finds
what is nearly what was typed (two letters swapped, one that is wrong).

Rejected: rapidfuzz alone (three letters of a long path are like nothing, and where they stand counts more than how many
they are), and judging by it first and in all cases (it would drop `file_search` for `fs` behind every `offset`).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

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

JUDGED_MAX = 5_000
"""Matching paths that are judged letter by letter, 10 µs each: 50 ms of a thread that the loop has to share a core
with. More match only when next to nothing has been typed yet."""

MEASURED_AT_ONCE = 5_000
"""Paths that rapidfuzz is given in one call, 5 ms: it does not let go of the interpreter in between."""

NEARLY = 80.0
"""How alike, in percent, a path must be that does not hold the letters: one wrong letter in five."""

NEARLY_CHARS_MIN = 5
"""Of a query: less is like too much."""

SEPARATORS = frozenset("_-. ")


class Candidate(msgspec.Struct, frozen=True):
    """A path below a root, with ``/`` between its parts."""

    root: str
    path: str
    kind: Literal["file", "directory"]


class Match(msgspec.Struct, frozen=True):
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
    words = list(map(fold, words))
    patterns = [(word, re.compile(".*?".join(map(re.escape, word)), re.DOTALL)) for word in words]
    holding: list[Candidate] = []
    others: list[Candidate] = []
    for candidate in candidates:
        folded = fold(candidate.path)
        (holding if all(pattern.search(folded) for _, pattern in patterns) else others).append(candidate)
    typed = "".join(words)
    if len(holding) > JUDGED_MAX:
        alike = _most_alike(typed, holding, fold, limit=JUDGED_MAX, at_least=0.0)
        holding = [candidate for candidate, _ in alike]
    judged = (match for candidate in holding if (match := _match(candidate, fold, patterns)) is not None)
    best = tuple(heapq.nsmallest(limit, judged, key=_order))
    if best or len(typed) < NEARLY_CHARS_MIN:
        return best
    nearly = _most_alike(typed, others, fold, limit=limit, at_least=NEARLY)
    return tuple(_nearly(typed, candidate, fold, alike) for candidate, alike in nearly)


def _most_alike(
    typed: str, candidates: list[Candidate], fold: Callable[[str], str], *, limit: int, at_least: float
) -> list[tuple[Candidate, float]]:
    """Those with a stretch that is most like what was typed, and how alike it is, in percent."""
    from rapidfuzz import fuzz, process  # up to 0.2 s of import, for those who need it

    found: list[tuple[float, int, str, Candidate]] = []
    for start in range(0, len(candidates), MEASURED_AT_ONCE):
        some = candidates[start : start + MEASURED_AT_ONCE]
        measured = process.extract(
            typed, [fold(each.path) for each in some], scorer=fuzz.partial_ratio, limit=limit, score_cutoff=at_least
        )
        found += [(-alike, len(some[index].path), some[index].path, some[index]) for _, alike, index in measured]
    best = heapq.nsmallest(limit, found, key=lambda each: each[:3])
    return [(candidate, -alike) for alike, _, _, candidate in best]


def _nearly(typed: str, candidate: Candidate, fold: Callable[[str], str], alike: float) -> Match:
    """A path that is only like what was typed."""
    from rapidfuzz import fuzz
    from rapidfuzz.distance import Indel

    path = fold(candidate.path)
    place = fuzz.partial_ratio_alignment(typed, path)
    start, end = (0, len(path)) if place is None else (place.dest_start, place.dest_end)
    same = Indel.opcodes(typed, path[start:end])
    indices = tuple(start + at for code in same if code.tag == "equal" for at in range(code.dest_start, code.dest_end))
    return Match(candidate, round(LETTER * len(typed) * alike / 100), indices)


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
