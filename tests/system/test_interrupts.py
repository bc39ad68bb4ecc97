"""A few interrupts of `make interrupts`, which has them by the hundred."""

from __future__ import annotations

from pathlib import Path

from tests.system.deadline import deadline
from tests.system.interrupts import Count, run

INTERRUPTS = 4
SEED = 5


async def test_when_it_says_it_stopped_it_stopped(tmp_path: Path) -> None:
    count = Count()
    with deadline(60):
        await run(INTERRUPTS, SEED, tmp_path, count, lambda words: None)
    assert count.interrupts == INTERRUPTS
    assert count.checks["no process is left when turn/completed is shown"] == INTERRUPTS
