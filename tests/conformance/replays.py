"""All recordings of a folder, played and judged: several at once, because playing is mostly waiting.

One that differs beside others is played once more by itself, and the report says so: what a busy machine did is no
difference, and one that is real differs again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.checking import Judgement, check, load
from tests.conformance.transcripts import Transcript
from tests.reference import reference_root

AT_ONCE = 3
"""More than cores: a replay waits for commands that sleep and for models that take their time."""


def recordings() -> list[Transcript]:
    """What there is to play; empty where the reference material is not at hand. Exits where it must be."""
    root = reference_root()
    if root is not None:
        return load(root / "protocol" / "transcripts")
    print("NOT RUN  the replays: the recorded conversations are not on this machine (set CALLBOARD_REFERENCE)")
    if os.environ.get("CALLBOARD_REQUIRE_REFERENCE"):
        sys.exit("CALLBOARD_REQUIRE_REFERENCE is set: their absence is a failure")
    return []


def play(chosen: Sequence[Transcript], everything: Sequence[Transcript], keep: Path) -> list[Judgement]:
    """Judge the chosen ones. ``everything``: where to find what happened before them."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = list(pool.map(lambda transcript: _told(check(transcript, everything, keep)), chosen))
    for number, transcript in enumerate(chosen):
        if judged[number].verdict == "differs":
            print(f"RETRY    {transcript.name}, by itself", flush=True)
            judged[number] = _told(check(transcript, everything, keep))
    return judged


def _told(judgement: Judgement) -> Judgement:
    why = f": needs {', '.join(judgement.lacks)}" if judgement.lacks else ""
    unknown = f"; answered as not offered: {', '.join(judgement.not_offered)}" if judgement.not_offered else ""
    print(
        f"{judgement.verdict:8} {judgement.name} ({judgement.seconds} s, {judgement.frames} frames checked)"
        f"{why}{unknown}" + "".join(f"\n    {line}" for line in judgement.report),
        flush=True,
    )
    return judgement
