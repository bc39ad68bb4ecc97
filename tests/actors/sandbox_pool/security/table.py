"""The table of the matrix. ``python -m tests.actors.sandbox_pool.security.table`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from tests.actors.sandbox_pool.security import forgeries, kernel, language, resources
from tests.actors.sandbox_pool.security.registry import CASES

MODULES = (forgeries, kernel, language, resources)
TABLE = Path(__file__).resolve().parents[4] / "docs" / "scripts-security-matrix.md"

INTRODUCTION = """\
# What a script cannot do, case by case

Each line is a test with many attacks in it: `pytest tests/actors/sandbox_pool/security -k S7` runs one. All of them run
against real confined workers. Each also runs its attack where the measure is missing (the bare engine, the bare
process) and asserts that it works there; otherwise the test would prove nothing. The table is written by
`python -m tests.actors.sandbox_pool.security.table` from what the tests say of themselves, and a test keeps it true.
[scripts.md](scripts.md) has the threat model.

| id | asserts | control |
|---|---|---|
"""


def table() -> str:
    """The whole document."""
    cases = sorted(CASES.values(), key=lambda each: int(each.id[1:]))
    return INTRODUCTION + "".join(f"| {each.id} | {each.asserts} | {each.control} |\n" for each in cases)


if __name__ == "__main__":
    TABLE.write_text(table())
