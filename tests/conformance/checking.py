"""One recording: played, compared, judged."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import trio

from tests.conformance.compare import Comparison, compare
from tests.conformance.differences import (
    declared,
    with_final_results,
    without_live_output,
    without_unasked,
    without_what_came_after,
)
from tests.conformance.lacking import consequential, is_stand_in, lacking, not_offered
from tests.conformance.replay import Replay, replay
from tests.conformance.segments import before
from tests.conformance.shape import events
from tests.conformance.transcripts import Line, Transcript, read_transcript

Verdict = Literal["clean", "differs", "not ours", "empty"]


PAST = re.compile(r".*:thread\.(status\.type|turns.*|forkedFromId|name|threadSource)|thread/(turns|items)/list:data.*")
"""What an answer tells of a thread that was there before a recording began, and that nobody can know to make."""


@dataclass
class Judgement:
    """What came of one recording."""

    name: str
    verdict: Verdict
    report: list[str] = field(default_factory=list)
    """What is not as recorded and not declared."""
    lacks: list[str] = field(default_factory=list)
    """What it needs that we do not have."""
    not_offered: list[str] = field(default_factory=list)
    """Methods it asks for in passing that we do not have."""
    declared: Counter[str] = field(default_factory=Counter)
    """Which declared differences were found, and how often."""
    seconds: float = 0.0
    frames: int = 0


def load(folder: Path) -> list[Transcript]:
    """All recordings of a folder, by name."""
    return [read_transcript(path) for path in sorted(folder.glob("*.jsonl"))]


def check(transcript: Transcript, others: Sequence[Transcript], keep: Path | None = None) -> Judgement:
    """Play it and compare. ``keep``: a folder for what this daemon said."""
    if not any(line.direction == "c2s" for line in transcript.lines):
        return Judgement(transcript.name, "empty")
    lacks = lacking(transcript)
    if lacks:
        return Judgement(transcript.name, "not ours", lacks=lacks)
    begun_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="callboard-") as folder:
        played = trio.run(replay, transcript, Path(folder), before(transcript, others), homes(others))
    if keep is not None:
        _write(played.lines, keep / f"{transcript.name}.jsonl")
    judgement = judge(transcript, played)
    judgement.seconds = round(time.monotonic() - begun_at, 1)
    return judgement


def homes(transcripts: Sequence[Transcript]) -> list[str]:
    """The recorded server's home, wherever it is told."""
    found = {
        str(((answer.frame or {}).get("result") or {}).get("codexHome", ""))
        for transcript in transcripts
        for asked, answer in transcript.answers()
        if asked.method == "initialize" and not is_stand_in(transcript)
    }
    return sorted(found - {""})


def judge(transcript: Transcript, played: Replay) -> Judgement:
    """Compare what was played with what was recorded."""
    recorded = with_final_results(without_live_output(events(transcript.lines)))
    recorded = [event for event in recorded if (event.conn, event.request) not in played.unsent]
    ours = with_final_results(without_live_output(events(played.lines, played.recorded)))
    unknown = not_offered(ours)
    lacks = consequential(unknown)
    if lacks:
        return Judgement(transcript.name, "not ours", lacks=lacks, frames=played.validated)
    ours = without_unasked(ours, played.unasked)
    found = _without(unknown, played.past, compare(recorded, ours, played.threads))
    found, used = declared(without_what_came_after(found, recorded))
    if is_stand_in(transcript):
        # What it said is nobody's protocol; that each request of a real client is answered is.
        found = Comparison(missing=[event for event in found.missing if event.kind == "answer"])
    report = [*found.report(), *played.problems]
    return Judgement(
        transcript.name,
        "differs" if report else "clean",
        report=report,
        not_offered=sorted(unknown),
        declared=used,
        frames=played.validated,
    )


def _without(unknown: set[str], past: set[str], comparison: Comparison) -> Comparison:
    """Without the answers to what is not offered: a clean error is what there is to give; and without what threads of
    the past held: the replay has just made them, as far as the recording tells of them."""
    comparison.mismatches = [
        (event, mismatch)
        for event, mismatch in comparison.mismatches
        if not (event.kind == "answer" and event.method in unknown)
        and not (event.asked_about in past and PAST.fullmatch(mismatch.path))
    ]
    return comparison


def _write(lines: Sequence[Line], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for line in lines:
            frame = line.frame if line.frame is not None else line.text
            file.write(msgspec.json.encode({"conn": line.conn, "dir": line.direction, "msg": frame}) + b"\n")
