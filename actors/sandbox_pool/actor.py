"""The sandbox pool's life: an engine that is kept alive, and a pool that is kept warm, from the first script on.

It has no mailbox. Whoever runs a script calls `ScriptPool.run` in a task of its own, so that the script is part of that
task's tree: cancelled with its turn, and reported to whoever waits for it.

Nothing is started before a model has begun to write a script: most daemons start to serve a turn, and the engine's
process would take its time from that. An engine that cannot be had is no reason to end the daemon: scripts fail with
the reason, and it is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Protocol

import trio

from actors.kernel import Context
from actors.ports.scripts import EngineUnavailableError
from actors.sandbox_pool.pool import ScriptPool

RETRY_SECONDS = 5.0
"""Between attempts to have an engine. What kept it from starting is seldom cured sooner."""

logger = logging.getLogger(__name__)


class RunsEngine(Protocol):
    """An engine that has to be kept going, like `ZygoteEngine`."""

    def run(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]:
        """Until cancelled. Raises EngineUnavailableError when the engine cannot be kept alive."""
        ...


async def run(
    ctx: Context,
    engine: RunsEngine,
    pool: ScriptPool,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. Ready at once."""
    task_status.started()
    ctx.state = "not needed yet"
    await pool.wanted.wait()
    while True:
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(engine.run)
                await nursery.start(pool.serve)
                ctx.state = "serving"
        except* EngineUnavailableError as group:
            reason = "; ".join(dict.fromkeys(str(error) for error in group.exceptions))
            logger.warning("scripts cannot be run: %s", reason)
            ctx.state = f"no engine: {reason}"
        await trio.sleep(RETRY_SECONDS)
