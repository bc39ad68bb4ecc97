"""A few kills of `make kill`, which has them by the hundred."""

from __future__ import annotations

from pathlib import Path

from tests.system.deadline import deadline
from tests.system.kill import Count, run

KILLS = 4
SEED = 20


async def test_after_kill_9_nothing_is_left_lost_or_done_twice(tmp_path: Path) -> None:
    count = Count()
    with deadline(90):
        await run(KILLS, SEED, tmp_path, count, lambda words: None)
    assert count.kills == KILLS
    assert count.checks["what was shown is resumed"] >= 3
