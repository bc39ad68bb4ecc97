"""Two conversations, and where they part. Pure.

Answers are paired by the request they answer. What is told and asked is paired by what it is about (connection, thread,
turn, item, kind), and then the order of any two is compared where order says something: two conversations are the same
if one can be had from the other by swapping neighbours that are independent (what trace theory calls equivalent), so
that parallel tools may end in any order and bookkeeping may come when it comes.

Of values, ids have to correspond one to one; times, durations and token counts have to be numbers; what machines and
people word differently (`FREE_TEXT`) has to be text; all else has to be equal.

Rejected: aligning by longest common subsequence (it calls any swap a loss and a gain, and hides which), and comparing
sorted bags (it hides the order).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.shape import Event

MAX_REPORTED = 40
"""Of one conversation: the first few tell the story."""

FREE_TEXT = frozenset(
    {
        "additionalDetails", "aggregatedOutput", "appliedReason", "cliVersion", "codexHome", "description", "details",
        "displayName", "filePath", "message", "originator", "path", "preview", "reason", "stderr", "stdout", "summary", "title",
        "userAgent", "version",
    }
)  # fmt: skip
"""Words for people, versions, and what a command prints on this machine: members whose text may be any. So may cursors:
they mean something to the server that gave them only."""

EXACT_NUMBERS = frozenset({"exitCode", "summaryIndex", "contentIndex"})
"""Numbers that say something; the others are times and counts."""

TOOL_ITEMS = frozenset(
    {"commandExecution", "fileChange", "mcpToolCall", "dynamicToolCall", "webSearch", "imageView", "plan"}
)

BOOKKEEPING = frozenset(
    {
        "thread/tokenUsage/updated", "turn/diff/updated", "turn/plan/updated", "thread/settings/updated",
        "thread/name/updated", "account/rateLimits/updated", "warning",
    }
)  # fmt: skip
"""What accompanies a turn without a place of its own inside it."""

INSTALLATION = re.compile(
    r"(config/read|model/list|thread/list|thread/loaded/list|thread/search|skills/list|hooks/list|plugin/installed"
    r"|collaborationMode/list|permissionProfile/list|experimentalFeature/list|modelProvider/.*|mcpServerStatus/list"
    r"|configRequirements/read|account/.*|fs/readDirectory|app/list):(data|config|origins|layers|marketplaces|readStates"
    r"|featuredPluginIds|nextCursor|backwardsCursor|account|rateLimits.*)?.*"
)
"""Answers that tell what is installed, configured and there: their contents are the machine's."""

REPOSITORY = re.compile(r".*[:.]thread\.gitInfo.*")
"""Of what repository a folder is, and at which commit."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that is not as recorded. ``path`` begins with the method: ``turn/started:turn.status``."""

    path: str
    problem: str
    recorded: Any = None
    ours: Any = None

    @property
    def key(self) -> str:
        """The last member of the path."""
        return self.path.rpartition(".")[2].rpartition(":")[2].rstrip("[]")

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(slots=True)
class Comparison:
    """What was found."""

    missing: list[Event] = field(default_factory=list)
    """Recorded, and not ours."""
    extra: list[Event] = field(default_factory=list)
    """Ours, and not recorded."""
    swapped: list[tuple[Event, Event]] = field(default_factory=list)
    """Recorded in this order, and ours in the other."""
    mismatches: list[tuple[Event, Mismatch]] = field(default_factory=list)
    """Both, and not the same."""
    last: dict[str, int] = field(default_factory=dict)
    """By connection: the place, among ours, of the last thing that was recorded as well."""

    @property
    def clean(self) -> bool:
        return not (self.missing or self.extra or self.swapped or self.mismatches)

    def report(self) -> list[str]:
        """In words, the same thing once."""
        lines = [f"{event.conn}: not sent: {event.label}" for event in self.missing]
        lines += [f"{event.conn}: sent besides: {event.label}" for event in self.extra]
        lines += [f"{first.conn}: {second.label} came before {first.label}" for first, second in self.swapped]
        lines += [f"{event.conn}: {mismatch}" for event, mismatch in self.mismatches]
        counted = Counter(lines)
        return [line if count == 1 else f"{line} ({count} times)" for line, count in counted.items()][:MAX_REPORTED]


def compare(recorded: list[Event], ours: list[Event], threads: dict[str, str]) -> Comparison:
    """Where ours parts from what was recorded. ``threads``: what our threads are called in the recording."""
    found = Comparison()
    pairs = _answers(recorded, ours, found)
    pairs += _rest(recorded, ours, threads, found)
    pairs.sort(key=lambda pair: pair[0].number)
    for _, our in pairs:
        found.last[our.conn] = max(found.last.get(our.conn, 0), our.number)
    ids = Correspondence()
    for theirs, our in pairs:
        name = theirs.method + (" (error)" if theirs.failed else "")
        if theirs.method == "item/started":
            ids.forget(theirs.item_id)  # begun again after a stream that broke, it may be another one here
        # Lists of everything that is there are in another order on each machine: nothing corresponds by its place.
        of_lists = theirs.kind == "answer" and INSTALLATION.fullmatch(f"{name}:data") is not None
        found.mismatches += [
            (theirs, each)
            for each in mismatches(theirs.body, our.body, f"{name}:", Correspondence() if of_lists else ids)
            if not (theirs.cut and each.key == "delta") and not _is_of_the_installation(theirs, each)
        ]
    return found


def _is_of_the_installation(event: Event, mismatch: Mismatch) -> bool:
    if event.method == "fuzzyFileSearch/sessionUpdated":
        return mismatch.path.partition(":")[2].startswith("files[]")
    if REPOSITORY.fullmatch(mismatch.path):
        return True
    return event.kind == "answer" and not event.failed and INSTALLATION.fullmatch(mismatch.path) is not None


# --- pairing --------------------------------------------------------------------------------------------------------


def _answers(recorded: list[Event], ours: list[Event], found: Comparison) -> list[tuple[Event, Event]]:
    given = {(event.conn, event.request): event for event in ours if event.kind == "answer"}
    pairs = []
    for event in recorded:
        if event.kind != "answer":
            continue
        our = given.pop((event.conn, event.request), None)
        if our is None:
            found.missing.append(event)
        elif our.failed != event.failed:
            said = our.body.get("message", "") if isinstance(our.body, dict) else ""
            what = ("failed", said) if our.failed else ("succeeded", "where the recorded one failed")
            found.mismatches.append((event, Mismatch(f"{event.method}:{what[0]}", what[1], event.body, our.body)))
        else:
            pairs.append((event, our))
    found.extra += given.values()
    return pairs


Key = tuple[str, ...]


def _rest(
    recorded: list[Event], ours: list[Event], threads: dict[str, str], found: Comparison
) -> list[tuple[Event, Event]]:
    waiting: dict[Key, list[tuple[int, Event]]] = {}
    for number, (key, event) in enumerate(_keyed(ours, threads)):
        waiting.setdefault(key, []).append((number, event))
    pairs: list[tuple[Event, Event]] = []
    places: list[tuple[Event, int]] = []
    for key, event in _keyed(recorded, {}):
        candidates = waiting.get(key)
        if not candidates:
            found.missing.append(event)
            continue
        number, our = candidates.pop(0)
        pairs.append((event, our))
        places.append((event, number))
    found.extra += [event for candidates in waiting.values() for _, event in candidates]
    for index, (later, place) in enumerate(places):
        for earlier, other in places[:index]:
            if other > place and ordered(earlier, later):
                found.swapped.append((earlier, later))
    return pairs


def _keyed(events: list[Event], threads: dict[str, str]) -> Iterator[tuple[Key, Event]]:
    """Each event with what it is about, in words that are the same in both conversations."""
    turns = _turns(events)
    names: dict[tuple[str, str], str] = {}
    counts: Counter[Key] = Counter()
    for event in events:
        if event.kind == "answer":
            continue
        thread = threads.get(event.thread, event.thread)
        turn = turns.get(event.turn, "")
        item = event.item_id
        if item:
            place = event.conn, item
            if event.method == "item/started" or place not in names:
                about = event.conn, thread, turn, _about(event)
                counts[about] += 1
                names[place] = f"{about[-1]} {counts[about]}"
            item = names[place]
        yield (event.conn, event.kind, event.label, thread, turn, item), event


def _turns(events: list[Event]) -> dict[str, str]:
    """Each turn's number in its thread, whoever was told of it first."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for event in events:
        if event.kind != "answer" and event.turn and event.turn not in names:
            counts[event.thread] += 1
            names[event.turn] = f"turn {counts[event.thread]}"
    return names


def _about(event: Event) -> str:
    item = event.item
    kind = str(item.get("type") or event.method)
    if kind == "commandExecution":
        return f"{kind} {item.get('command')}"
    if kind == "fileChange":
        return f"{kind} {[change.get('path') for change in item.get('changes') or []]}"
    return kind


def ordered(first: Event, second: Event) -> bool:
    """Whether it says something which of the two came first."""
    if first.conn != second.conn or first.thread != second.thread or not first.thread:
        return False
    if first.method == second.method and not first.item_id:
        return True
    edges = ("turn/started", "turn/completed")
    if first.method in edges or second.method in edges:
        return True
    if first.method in BOOKKEEPING or second.method in BOOKKEEPING:
        return False
    status = "thread/status/changed"
    if status in (first.method, second.method):
        return not (first.item_id and first.kind == "told") and not (second.item_id and second.kind == "told")
    if first.item_id and second.item_id and first.item_id != second.item_id:
        return not (_is_tool(first) and _is_tool(second))
    return True


def _is_tool(event: Event) -> bool:
    return event.item.get("type") in TOOL_ITEMS or event.method.startswith(("item/commandExecution", "item/fileChange"))


# --- values ---------------------------------------------------------------------------------------------------------


class Correspondence:
    """Which id of ours stands for which recorded one. One to one, or something was mixed up."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}
        self._recorded: dict[str, str] = {}

    def forget(self, recorded: str) -> None:
        """From now on something else may stand for it."""
        ours = self._ours.pop(recorded, None)
        if ours is not None:
            self._recorded.pop(ours, None)

    def fits(self, recorded: str, ours: str) -> bool:
        """Whether these two can stand for each other."""
        return self._ours.setdefault(recorded, ours) == ours and self._recorded.setdefault(ours, recorded) == recorded


def mismatches(recorded: Any, ours: Any, path: str, ids: Correspondence) -> Iterator[Mismatch]:
    """Where two bodies differ; what only ours has is no difference: the schema says what may be there."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key, value in recorded.items():
            inner = path + ("" if path.endswith(":") else ".") + key
            if key not in ours:
                yield Mismatch(inner, "left out", value)
            else:
                yield from mismatches(value, ours[key], inner, ids)
    elif isinstance(recorded, list) and isinstance(ours, list):
        if len(recorded) != len(ours):
            yield Mismatch(f"{path}[]", f"{len(ours)} entries for {len(recorded)}", recorded, ours)
        for theirs, our in zip(recorded, ours, strict=False):
            yield from mismatches(theirs, our, f"{path}[]", ids)
    else:
        yield from _value(recorded, ours, path, ids)


def _value(recorded: Any, ours: Any, path: str, ids: Correspondence) -> Iterator[Mismatch]:
    key = Mismatch(path, "").key
    if _is_id(key, recorded):
        if not ids.fits(str(recorded), str(ours)):
            yield Mismatch(path, "another id than before", recorded, ours)
        return
    if isinstance(recorded, bool) or isinstance(ours, bool) or type(recorded) is not type(ours):
        both = isinstance(recorded, int | float) and isinstance(ours, int | float)
        if recorded != ours and not (both and not isinstance(recorded, bool) and not isinstance(ours, bool)):
            yield Mismatch(path, f"{_short(ours)} for {_short(recorded)}", recorded, ours)
    elif isinstance(recorded, int | float):
        if key in EXACT_NUMBERS and recorded != ours:
            yield Mismatch(path, f"{ours} for {recorded}", recorded, ours)
    elif recorded != ours and key not in FREE_TEXT and not key.endswith("Cursor"):
        yield Mismatch(path, f"{_short(ours)} for {_short(recorded)}", recorded, ours)


def _is_id(key: str, value: Any) -> bool:
    if isinstance(value, str) and _UUID.fullmatch(value):
        return True
    named = key in ("id", "revision") or key.endswith(("Id", "Ids"))
    return named and isinstance(value, str | int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
