"""Claim: what a turn leaves in the log is cheap to encode.

The baseline is the standard library's JSON encoder on the same values, already taken apart into dictionaries.
"""

from __future__ import annotations

import json

from actors.rollout_writer.lines import encode
from bench.harness import Case, Suite, timed
from bench.micro_resume import AT, THREAD, turn


def suites() -> tuple[Suite, ...]:
    """All suites of this file."""
    records = turn(7)
    lines = encode(records, thread_id=THREAD, first_ordinal=0, at=AT)
    values = [json.loads(line) for line in lines]

    def standard(units: int) -> None:
        for _ in range(units):
            b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)

    def ours(units: int) -> None:
        for _ in range(units):
            b"".join(encode(records, thread_id=THREAD, first_ordinal=0, at=AT))

    return (
        Suite(
            name="log_encode",
            claim=f"the {len(records)} records of a short turn ({sum(map(len, lines))} bytes) as lines",
            unit="turn",
            cases=(
                Case(name="json.dumps of dictionaries", run=timed(standard)),
                Case(name="lines.encode", run=timed(ours)),
            ),
        ),
    )
