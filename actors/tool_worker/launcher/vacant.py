"""Containers that their calls have left empty and unchanged, kept for a while for the next ones.

Half of what a call costs is the making and the unmaking of its container. A model's commands follow each other, often
several at once; so a handful is kept, and let go when nobody has wanted it for some time. A container is given away
only by who has read of its vacancy, so a kill of one call can never hit another's.

Rejected: making more spares ahead (that moves the work, and does none less), and emptying a container by force to use
it again (then emptiness would be our claim, not the kernel's).
"""

from __future__ import annotations

from actors.tool_worker.launcher.link import Container

VACANT_MAX = 8
"""At once: as many calls as a model makes in parallel in practice. Each has 1.6 MB of its own, and two descriptors in
the daemon (`VACANT_DESCRIPTORS`)."""

VACANT_DESCRIPTORS = 2

VACANT_SECONDS = 30.0
"""How long each is kept: longer than most models think between two commands."""


class Vacancies:
    """Of one launcher."""

    def __init__(self) -> None:
        self._containers: list[Container] = []

    def __len__(self) -> int:
        return len(self._containers)

    def take(self, steps: tuple[str, ...]) -> Container | None:
        """The one that was used last (its pages are warm, and the others can go), if there is one for such calls."""
        for index in range(len(self._containers) - 1, -1, -1):
            if self._containers[index].steps == steps:
                container = self._containers.pop(index)
                if not container.is_gone():
                    return container
                container.close()
        return None

    def put(self, container: Container, now: float) -> None:
        """Keep it, in the place of the oldest if there are too many."""
        container.vacant_since = now
        self._containers.append(container)
        if len(self._containers) > VACANT_MAX:
            self._containers.pop(0).close()

    @property
    def deadline(self) -> float:
        """When there will be something to `tidy`."""
        return self._containers[0].vacant_since + VACANT_SECONDS if self._containers else float("inf")

    def tidy(self, now: float) -> None:
        """Let go of those that nobody has wanted."""
        while self.deadline <= now:
            self._containers.pop(0).close()

    def clear(self) -> None:
        """Let go of all."""
        while self._containers:
            self._containers.pop().close()
