"""Where the daemon waits: each task step, by the await in our code (beyond the kernel) at which it came to rest.

A crash at step k finds the daemon with that task resting just there, so what is covered can be told in lines of code
and not only in numbers.
"""

from __future__ import annotations

from pathlib import Path
from types import CodeType

import trio

from tests.simulation.stepping import CURRENT_LIFE

ROOT = Path(__file__).resolve().parents[3]

ELSEWHERE = "(a task that is over, or rests in a library)"


class SiteRecorder(trio.abc.Instrument):
    """The site of each step of one life, in order; or only of one step, because looking costs more than stepping."""

    def __init__(self, life: int, *, only: int | None = None) -> None:
        self.sites: list[str] = []
        self._life = life
        self._only = only
        self._steps = 0
        self._names: dict[tuple[str, int], str] = {}

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        life = task.context.get(CURRENT_LIFE)
        if life is not None and life.number == self._life:
            self._steps += 1
            if self._only in (None, self._steps):
                self.sites.append(self._site(task))

    def _site(self, task: trio.lowlevel.Task) -> str:
        ours: CodeType | None = None
        line = 0
        for frame, number in task.iter_await_frames():
            name = frame.f_code.co_filename
            if ("/actors/" in name and "/actors/kernel/" not in name) or "/supervisors/" in name:
                ours, line = frame.f_code, number
        if ours is None:
            return ELSEWHERE
        key = ours.co_filename, line
        if key not in self._names:
            path = Path(ours.co_filename)
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            self._names[key] = f"{shown}:{line} {ours.co_qualname}"
        return self._names[key]
