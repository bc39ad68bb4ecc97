"""A deterministic `trio.run`: seeded scheduling, virtual time, and an eye on every task step.

trio shuffles each batch of runnable tasks with a private generator, and sorts it first only when told to (a switch
made for Hypothesis). Both are reached here and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import trio
import trio.testing

# The scheduler's generator and switch are private; there is no public way to a reproducible order.
from trio._core import _run as scheduler
from trio._core._run import CancelStatus

from tests.simulation.life import Life

T = TypeVar("T")

CURRENT_LIFE: ContextVar[Life | None] = ContextVar("current_life", default=None)
"""Set in the daemon's tasks (children inherit it), so that its steps are told from those of the world around it."""


@contextmanager
def seeded_scheduler(seed: str) -> Iterator[None]:
    """Inside, trio's order of tasks is a function of ``seed``."""
    generator: random.Random = scheduler._r
    state, allowed = generator.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    generator.seed(seed)
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # declared Final for everybody but tests
    try:
        yield
    finally:
        generator.setstate(state)
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = allowed  # type: ignore[misc]  # as above


def run_deterministically(main: Callable[[], Awaitable[T]], seed: str) -> T:
    """`trio.run` in virtual time, from a seed."""
    with seeded_scheduler(seed):
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


class StepCounter(trio.abc.Instrument):
    """Tells a life of each step of its tasks, and keeps its tasks from hiding behind shields once it has ended."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        life = self._life
        if task.context.get(CURRENT_LIFE) is not life:
            return
        life.stepped(task.name)
        if not life.plugged:
            take_shields(task)


def take_shields(task: trio.lowlevel.Task) -> None:
    """SIGKILL knows no shielded scope: a task of an ended life must not wait behind one."""
    status: CancelStatus | None = task._cancel_status
    while status is not None:
        if status._scope.shield:
            status._scope.shield = False
        status = status._parent


def tasks_below(nursery: trio.Nursery) -> Iterator[trio.lowlevel.Task]:
    """All tasks in a nursery's subtree."""
    for task in nursery.child_tasks:
        yield task
        for child in task.child_nurseries:
            yield from tasks_below(child)
