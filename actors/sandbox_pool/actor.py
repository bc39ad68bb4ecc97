"""The sandbox pool's life: an engine that is kept alive, and a pool that is kept warm.

It has no mailbox. Whoever runs a script calls `ScriptPool.run` in a task of its own, so that the script is part of that
task's tree: cancelled with its turn, and reported to whoever waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import trio

from actors.kernel import Context
from actors.sandbox_pool.pool import ScriptPool


class RunsEngine(Protocol):
    """An engine that has to be kept going, like `ZygoteEngine`."""

    def run(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]:
        """Until cancelled; crashes when the engine cannot be kept alive."""
        ...


async def run(
    ctx: Context,
    engine: RunsEngine,
    pool: ScriptPool,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. Ready when the engine is; crashes with it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await nursery.start(pool.serve)
        ctx.state = "serving"
        task_status.started()
