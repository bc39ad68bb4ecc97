"""The cases that need a network or a session: errors, cancellation, concurrent calls, end to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trio.testing import MockClock

from tests.actors.model_stream.anthropic.matrix import faults, turns
from tests.actors.model_stream.anthropic.matrix.registry import chapter

assert faults, turns  # they register their cases by being imported

Check = Callable[[], Awaitable[None]]


@chapter("EH")
async def test_errors(check: Check, autojump_clock: MockClock) -> None:
    await check()


@chapter("CX")
async def test_cancellation(check: Check, autojump_clock: MockClock) -> None:
    await check()


@chapter("TC", of="turns")
async def test_calls_of_a_turn(check: Check, autojump_clock: MockClock) -> None:
    await check()


@chapter("IT")
async def test_end_to_end(check: Check, autojump_clock: MockClock) -> None:
    await check()
