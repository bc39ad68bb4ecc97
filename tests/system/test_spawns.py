"""A few calls of `python -m tests.system.spawns`, which makes ten thousand."""

from __future__ import annotations

from tests.system.deadline import deadline
from tests.system.spawns import run


async def test_calls_leave_no_descriptor_no_child_and_no_file() -> None:
    with deadline(60):
        assert "no descriptor, child or file left" in await run(60)
