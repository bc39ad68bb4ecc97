"""Two sequences of lines -> the regions that differ -> unified hunks.

A patience diff (Bram Cohen): lines that occur exactly once on both sides anchor the comparison, the longest increasing
run of them is kept, and what lies between is compared again. It groups changes the way people read them and it is
O(n log n). Where no unique line is left, difflib compares what remains if that is small; else it counts as rewritten.

Rejected: difflib alone. Its time is cubic in the worst case, and the texts come from a model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

CONTEXT_LINES = 3
"""Around each change, as git and diff -u show by default."""

EXHAUSTIVE_CELLS = 10_000
"""Up to 100 lines against 100 without an anchor are compared exhaustively: a millisecond or two at worst."""

NO_NEWLINE = "\\ No newline at end of file\n"


class Region(msgspec.Struct, frozen=True):
    """``old[old_start:old_end]`` was replaced by ``new[new_start:new_end]``; one of them may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def split_lines(text: str) -> list[str]:
    """Lines with their newlines; only "\n" ends one. They join to the same text."""
    lines = text.split("\n")
    last = lines.pop()
    ended = [line + "\n" for line in lines]
    return [*ended, last] if last else ended


def differences(old: Sequence[str], new: Sequence[str]) -> list[Region]:
    """The changed regions, in order, with at least one equal line between neighbours."""
    found: list[Region] = []
    for region in _compare(old, new):
        if found and found[-1].old_end == region.old_start and found[-1].new_end == region.new_start:
            last = found.pop()
            region = Region(last.old_start, region.old_end, last.new_start, region.new_end)
        found.append(region)
    return found


def _compare(old: Sequence[str], new: Sequence[str]) -> Iterator[Region]:
    """Yields regions in order. An explicit stack, because the depth of the recursion would be the model's to choose."""
    pending = [(0, len(old), 0, len(new))]
    while pending:
        old_start, old_end, new_start, new_end = pending.pop()
        while old_start < old_end and new_start < new_end and old[old_start] == new[new_start]:
            old_start += 1
            new_start += 1
        while old_start < old_end and new_start < new_end and old[old_end - 1] == new[new_end - 1]:
            old_end -= 1
            new_end -= 1
        if old_start == old_end and new_start == new_end:
            continue
        anchors: list[tuple[int, int]] = []
        if old_start < old_end and new_start < new_end:
            anchors = _anchors(old, new, old_start, old_end, new_start, new_end)
        if anchors:
            gaps: list[tuple[int, int, int, int]] = []
            for old_index, new_index in anchors:
                gaps.append((old_start, old_index, new_start, new_index))
                old_start, new_start = old_index + 1, new_index + 1
            gaps.append((old_start, old_end, new_start, new_end))
            pending += reversed(gaps)
        elif (old_end - old_start) * (new_end - new_start) <= EXHAUSTIVE_CELLS:
            matcher = SequenceMatcher(None, old[old_start:old_end], new[new_start:new_end], autojunk=False)
            for tag, i1, i2, j1, j2 in matcher.get_opcodes():
                if tag != "equal":
                    yield Region(old_start + i1, old_start + i2, new_start + j1, new_start + j2)
        else:
            yield Region(old_start, old_end, new_start, new_end)


def _anchors(
    old: Sequence[str], new: Sequence[str], old_start: int, old_end: int, new_start: int, new_end: int
) -> list[tuple[int, int]]:
    """The longest run, increasing on both sides, of lines that are unique on both sides."""
    old_counts = Counter(old[old_start:old_end])
    new_counts = Counter(new[new_start:new_end])
    new_places = {new[index]: index for index in range(new_start, new_end) if new_counts[new[index]] == 1}
    pairs = [
        (index, new_places[old[index]])
        for index in range(old_start, old_end)
        if old_counts[old[index]] == 1 and old[index] in new_places
    ]
    return _longest_increasing(pairs)


def _longest_increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Patience sorting by the second member; ``pairs`` is already sorted by the first."""
    tops: list[int] = []
    ends: list[int] = []
    previous = [-1] * len(pairs)
    for index, (_, place) in enumerate(pairs):
        pile = bisect_left(tops, place)
        if pile == len(tops):
            tops.append(place)
            ends.append(index)
        else:
            tops[pile] = place
            ends[pile] = index
        if pile:
            previous[index] = ends[pile - 1]
    run: list[tuple[int, int]] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        run.append(pairs[index])
        index = previous[index]
    return run[::-1]


def unified_hunks(old: str, new: str, *, context: int = CONTEXT_LINES) -> str:
    """Unified hunks without file headers; "" for equal texts."""
    old_lines, new_lines = split_lines(old), split_lines(new)
    return "".join(_hunk(old_lines, new_lines, group, context) for group in _groups(old_lines, new_lines, context))


def _groups(old: Sequence[str], new: Sequence[str], context: int) -> list[list[Region]]:
    """Regions whose context would touch share a hunk."""
    groups: list[list[Region]] = []
    for region in differences(old, new):
        if groups and region.old_start - groups[-1][-1].old_end <= 2 * context:
            groups[-1].append(region)
        else:
            groups.append([region])
    return groups


def _hunk(old: Sequence[str], new: Sequence[str], group: list[Region], context: int) -> str:
    first, last = group[0], group[-1]
    before = min(context, first.old_start)
    after = min(context, len(old) - last.old_end)
    old_range = _range(first.old_start - before, last.old_end + after)
    new_range = _range(first.new_start - before, last.new_end + after)
    parts = [f"@@ -{old_range} +{new_range} @@\n"]
    cursor = first.old_start - before
    for region in group:
        parts += [_shown(" ", line) for line in old[cursor : region.old_start]]
        parts += [_shown("-", line) for line in old[region.old_start : region.old_end]]
        parts += [_shown("+", line) for line in new[region.new_start : region.new_end]]
        cursor = region.old_end
    parts += [_shown(" ", line) for line in old[cursor : last.old_end + after]]
    return "".join(parts)


def _shown(sign: str, line: str) -> str:
    return sign + line if line.endswith("\n") else f"{sign}{line}\n{NO_NEWLINE}"


def _range(start: int, end: int) -> str:
    """A range as diff writes it: 1-based, the length left out when it is 1, and an empty one names the line before."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
