"""What a script says about itself: its console and its progress, within their limits, at their pace, each thing once.

A script that is run again (a worker was lost, the daemon restarted) says it all again; what people have been shown is
not shown twice.
"""

from __future__ import annotations

from actors.sandbox_pool.driving import Effect, Tell
from actors.sandbox_pool.frames import FrameError, PrintedLine, Progress, line_of
from actors.sandbox_pool.limits import PROGRESS_INTERVAL_SECONDS
from actors.sandbox_pool.past import Past
from messages.script import ScriptLimits, ScriptPrinted, ScriptProgressed


class Saying:
    """Of one script."""

    def __init__(self, limits: ScriptLimits, past: Past) -> None:
        self._limits = limits
        self.shown = list(past.printed)
        """The lines of the console."""
        self._progress_shown = past.progressed
        self._next_progress = 0.0
        self._held: ScriptProgressed | None = None
        self.begin_again()

    def begin_again(self) -> None:
        """The script is run from its first line."""
        self._printed = 0
        self._printed_characters = 0
        self._progressed = 0

    @property
    def due(self) -> float | None:
        """When the progress that is held back is to be told; None: none is."""
        return None if self._held is None else self._next_progress

    def printed(self, line: PrintedLine, effects: list[Effect]) -> None:
        """Raises FrameError: a worker that keeps to the protocol holds the limits itself."""
        self._printed += 1
        self._printed_characters += len(line.text)
        if self._printed > self._limits.console_lines or self._printed_characters > self._limits.console_bytes:
            raise FrameError("its process printed more than it may")
        if self._printed > len(self.shown):
            self.shown.append(ScriptPrinted(level=line.level, text=line.text, line=line_of(line.stack)))
            effects.append(Tell(event=self.shown[-1]))

    def progressed(self, progress: Progress, now: float, effects: list[Effect]) -> None:
        """Raises FrameError."""
        self._progressed += 1
        if self._progressed > self._limits.progress_events or len(progress.text) > self._limits.console_bytes:
            raise FrameError("its process reported more than it may")
        if self._progressed > self._progress_shown:
            self._tell(ScriptProgressed(text=progress.text, line=line_of(progress.stack)), now, effects)

    def time_passed(self, now: float, effects: list[Effect]) -> None:
        """Tell what was held back, when its time has come."""
        if self._held is not None and now >= self._next_progress:
            self._tell(self._held, now, effects)

    def end(self, effects: list[Effect]) -> None:
        """Tell what was held back, whatever the pace."""
        if self._held is not None:
            effects.append(Tell(event=self._held))
            self._held = None

    def _tell(self, said: ScriptProgressed, now: float, effects: list[Effect]) -> None:
        if now < self._next_progress:
            self._held = said  # the latest is told when its time has come
            return
        self._progress_shown += 1
        self._next_progress = now + PROGRESS_INTERVAL_SECONDS
        self._held = None
        effects.append(Tell(event=said))
