"""A whole tree from the outside: start it, use it, end it in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors.kernel import Context, Life, Node, NotStartedError, Start, System, run_life
from actors.kernel.children import report_ending


class Tree:
    """A running tree."""

    def __init__(self, life: Life) -> None:
        self._life = life

    @property
    def context(self) -> Context:
        """Of the root."""
        return self._life.context

    def snapshot(self) -> Node:
        """The whole live tree as data. Call it from a trio task."""
        return self._life.context.snapshot()

    def stop(self) -> None:
        """Ask the root to end; does not wait. May be called twice, also before everything has started."""
        if not self._life.request_stop(float("inf")):
            self._life.cancel("the tree is stopped")

    async def wait_gone(self) -> None:
        """Return when nothing of it runs any more."""
        await self._life.wait_gone()


@asynccontextmanager
async def open_tree(
    start: Start[Any], *, system: System, id_: str = "root", on_stuck: Callable[[], None] | None = None
) -> AsyncIterator[Tree]:
    """Start a root supervisor's ``run`` (any `Start` will do) and enter the block when it has started.

    Leaving the block, also by an exception or a cancellation, ends the tree in order and waits for it: children take
    at most their `shutdown` and the cancel grace. If a stuck task then keeps it from ending, ``on_stuck`` is called:
    everything else has ended (logs are flushed), and only ending the process helps. If the root fails, the block's
    body is cancelled and the root's error (StartError, EscalationError, StuckError) is raised.
    """
    life = Life(Context(system, id_, kind="supervisor"))
    if on_stuck is not None:
        life.context.on_stuck(on_stuck)
    tree = Tree(life)
    started = trio.Event()
    body = trio.CancelScope()

    async def run() -> None:
        try:
            # Shielded: whatever cancels the block around it, the tree ends in order, asked by the `finally` below.
            with trio.CancelScope(shield=True):
                await run_life(life, start, lambda _: started.set())
        finally:
            report_ending(id_, life)
            started.set()
            body.cancel("the tree has ended")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, name=id_)
        try:
            await started.wait()
            if life.started:
                with body:
                    yield tree
        finally:
            if life.ending is None:
                tree.stop()
                with trio.CancelScope(shield=True):  # bounded by the children's own deadlines
                    await life.wait_gone()
    life.context.retire()
    if life.error is not None:
        raise life.error
    if not life.started:
        raise NotStartedError(f"{id_!r} ended before it had started")
