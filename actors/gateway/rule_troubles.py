"""What a client is told of rules files that cannot be used: once per change, and of its own threads' folders only.

The files are read when a client comes, when it takes up a thread, and when a command is judged; whoever is connected
then hears of what is wrong. Silence would be dangerous in both directions: a rule that forbids is not in force, and
what was allowed is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from actors.gateway.house import House
from messages.client.event import ConfigWarning, TextPosition, TextRange
from messages.client.item import Wire
from messages.rules import RuleTrouble

BROKEN = (
    "Until it is mended no rule of this file is in force, and every command is asked about, or refused where nobody is "
    "asked. Mend it and look with: callboard rules check"
)
HARMLESS = "The rest of the file is in force. Look with: callboard rules check"


def warning(trouble: RuleTrouble) -> ConfigWarning:
    """In the wire's words."""
    at = TextPosition(line=trouble.line, column=1)
    return ConfigWarning(
        summary=f"{trouble.path}:{trouble.line}: {trouble.text}",
        details=HARMLESS if trouble.harmless else BROKEN,
        path=trouble.path,
        range=TextRange(start=at, end=at),
    )


class RuleWatch:
    """One client's."""

    def __init__(self, house: House, nursery: trio.Nursery, notify: Callable[[str, Wire], None]) -> None:
        self._house = house
        self._nursery = nursery
        self._notify = notify
        self._projects: frozenset[str] = frozenset()
        """Where its threads work."""
        self._told: frozenset[RuleTrouble] = frozenset()
        self._listening = False

    def begin(self, troubles: Sequence[RuleTrouble]) -> None:
        """The client may be told things; ``troubles`` are known already."""
        self._listening = True
        self.tell(troubles)
        self._nursery.start_soon(self._house.rules.for_folder, "/")

    def concern(self, cwd: str, troubles: Sequence[RuleTrouble]) -> None:
        """The client has a thread in ``cwd``."""
        self._projects |= frozenset(self._house.rules.folders(cwd))
        self.tell(troubles)
        self._nursery.start_soon(self._house.rules.for_folder, cwd)

    def tell(self, troubles: Sequence[RuleTrouble]) -> None:
        """This is all that is wrong now; what is of this client's concern, and new to it, it is told."""
        if not self._listening:
            return
        mine = tuple(each for each in troubles if each.project is None or each.project in self._projects)
        for trouble in mine:
            if trouble not in self._told:
                self._notify("configWarning", warning(trouble))
        self._told = frozenset(mine)
