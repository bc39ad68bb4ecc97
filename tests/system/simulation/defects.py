"""A defect strikes: an error is raised in one of the daemon's actors, right where it waits.

It stands for every bug that we do not know of. What supervision promises must hold all the same: only the one that was
struck ends, it is started again if it has to be, whoever had asked it something hears so, and no law of the log or of
the feed is broken on the way.

Struck is whatever task rests next at an await of our actors. Not the supervisors, the kernel's own tasks, and the
rounds: what watches is assumed to be sound, or the daemon would end, as it should. Nor a daemon that still starts: it
ends as well, and says why.
"""

from __future__ import annotations

from typing import NoReturn

import trio

from tests.simulation.stepping import CURRENT_LIFE
from tests.system.simulation.machine import Machine

WATCHES = tuple(f"/supervisors/{name}.py" for name in ("supervisor", "dynamic", "tree", "daemon"))
"""A task with one of these on its way is a supervisor, or the daemon's own."""

SOUND = ("/actors/kernel/children.py", "/actors/kernel/watchdog.py", "/actors/ports/")
"""Where no defect strikes although an actor waits there."""


class DefectError(Exception):
    """The bug nobody knew of."""


class Striker(trio.abc.Instrument):
    """Strikes once, after step ``at`` or as soon as somebody rests who can be struck."""

    def __init__(self, at: int, machine: Machine) -> None:
        self._at = at
        self._machine = machine
        self._steps = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        life = task.context.get(CURRENT_LIFE)
        if life is None or life.number != 1:
            return
        self._steps += 1
        # An abort function means that the task waits and can be woken with an error, as a cancellation would wake it.
        machine = self._machine
        if self._steps < self._at or not machine.up or machine.struck or task._abort_func is None:
            return
        where = _place(task)
        if where:
            machine.struck = f"{task.name} in {where}"
            task._attempt_abort(_strike)


def _strike() -> NoReturn:
    raise DefectError("a defect strikes")


def _place(task: trio.lowlevel.Task) -> str:
    """The innermost function of our actors in which a task rests; empty if it is not to be struck."""
    innermost = None
    for frame, _ in task.iter_await_frames():
        name = frame.f_code.co_filename
        if any(part in name for part in WATCHES):
            return ""
        if "/actors/" in name:
            innermost = frame.f_code
    if innermost is None or any(part in innermost.co_filename for part in SOUND):
        return ""
    return innermost.co_qualname
