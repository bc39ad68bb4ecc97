"""The table of the matrix. ``python -m tests.actors.model_stream.anthropic.matrix.table`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from tests.actors.model_stream.anthropic.matrix import faults, requests, responses, streams, tools, turns
from tests.actors.model_stream.anthropic.matrix.registry import CASES, CHAPTERS

MODULES = (faults, requests, responses, streams, tools, turns)
TABLE = Path(__file__).resolve().parents[5] / "docs" / "anthropic-matrix.md"

INTRODUCTION = """\
# The Messages wire, case by case

Each line is a test: `pytest tests/actors/model_stream/anthropic/matrix -k RF-12` runs one. The table is written by
`python -m tests.actors.model_stream.anthropic.matrix.table` from what the tests say of themselves, and a test keeps it
true. Beside it, every recorded stream is heard at fifty cuts (`test_corpus.py`), and any history, whoever made it, is
held against the wire's rules (`rendering/test_round_trips.py`).
"""


def table() -> str:
    """The whole document."""
    chapters = [INTRODUCTION]
    for prefix, title in CHAPTERS.items():
        cases = sorted((each for each in CASES.values() if each.id.startswith(prefix)), key=lambda each: each.id)
        rows = [f"| {each.id} | {each.asserts} |" for each in cases]
        chapters.append("\n".join((f"## {title}", "", "| id | asserts |", "|---|---|", *rows)) + "\n")
    return "\n".join(chapters)


if __name__ == "__main__":
    TABLE.write_text(table())
