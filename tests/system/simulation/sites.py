"""Where the daemon waits: each task step, by the await in our code at which it came to rest.

A crash at step k finds the daemon with that task resting just there, so what is covered can be told in lines of code
and not only in numbers.
"""

from __future__ import annotations

from pathlib import Path

import trio

from tests.simulation.stepping import CURRENT_LIFE

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("actors", "supervisors")


class SiteRecorder(trio.abc.Instrument):
    """The site of each step of one life, in order."""

    def __init__(self, life: int) -> None:
        self.sites: list[str] = []
        self._life = life
        self._names: dict[tuple[str, int], str] = {}

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        life = task.context.get(CURRENT_LIFE)
        if life is not None and life.number == self._life:
            self.sites.append(self._site(task))

    def _site(self, task: trio.lowlevel.Task) -> str:
        ours, line = None, 0
        for frame, number in task.iter_await_frames():
            name = frame.f_code.co_filename
            if "/actors/" in name or "/supervisors/" in name:
                ours, line = frame.f_code, number
        if ours is None:
            return "(a task that ended, or that waits in a library)"
        key = ours.co_filename, line
        if key not in self._names:
            path = Path(ours.co_filename)
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            self._names[key] = f"{shown}:{line} {ours.co_qualname}"
        return self._names[key]
