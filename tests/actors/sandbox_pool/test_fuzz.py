"""A bounded sample of `fuzz`; new seeds each day would make the suite say something else each day."""

from __future__ import annotations

import trio
import trio.testing

from tests.actors.sandbox_pool.fuzz import fuzz_frames, fuzz_scripts, fuzz_workers
from tests.actors.sandbox_pool.test_attacks import zygote

SCRIPTS, FRAMES_IN, FRAMES_OUT = 25, 15, 150


async def test_programs_of_a_grammar_leave_nothing_behind() -> None:
    with trio.fail_after(60):
        async with zygote() as engine:
            assert await fuzz_scripts(engine, iter(range(SCRIPTS))) == SCRIPTS
            assert await fuzz_workers(engine, iter(range(FRAMES_IN))) == FRAMES_IN


async def test_frames_that_are_nearly_right_are_not_believed(autojump_clock: trio.testing.MockClock) -> None:
    assert await fuzz_frames(iter(range(FRAMES_OUT))) == FRAMES_OUT
