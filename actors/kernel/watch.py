"""Watching: exactly one `Down` per watch, also for an actor that had already ended or never existed.

A watch costs nothing while both live. It is forgotten when the watcher ends, so a long-lived service does not collect
the watches of everybody who ever looked at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.kernel.signals import Down, DownReason

if TYPE_CHECKING:
    from actors.kernel.address import Address
    from actors.kernel.mailbox import Mailbox


class Watch:
    """One watch; `cancel` is the unwatch."""

    __slots__ = ("_down", "_target", "_watcher")

    def __init__(self, target: Mailbox[Any] | None, watcher: Mailbox[Any]) -> None:
        self._target = target
        self._watcher = watcher
        self._down: Down | None = None

    def cancel(self) -> bool:
        """Stop watching. True: the `Down` of this watch has not been received and never will be."""
        if self._down is None:
            self._detach()
            return True
        lane = self._watcher._control
        for index, (message, _) in enumerate(lane):
            if message is self._down:
                del lane[index]
                return True
        return False

    def _detach(self) -> None:
        if self._target is not None and self._target._watchers is not None:
            self._target._watchers.pop(self, None)
        self._target = None
        if self._watcher._watching is not None:
            self._watcher._watching.pop(self, None)

    def _forget(self) -> None:
        """The watcher ends."""
        if self._target is not None and self._target._watchers is not None:
            self._target._watchers.pop(self, None)
        self._target = None

    def _fire(self, reason: DownReason, detail: str) -> None:
        """The target ended."""
        target = self._target
        if target is not None:
            self._target = None
            if self._watcher._watching is not None:
                self._watcher._watching.pop(self, None)
            self._send(Down(name=target.name, incarnation=target.incarnation, reason=reason, detail=detail))

    def _send(self, down: Down) -> None:
        self._down = down
        self._watcher._deliver(down)


def watch(target: Address[Any] | None, *, to: Address[Down], name: str = "") -> Watch:
    """Have one `Down` delivered to ``to`` when ``target``'s life ends; at once, as ``noproc``, if it is over.

    A target of None was never there; ``name`` says what was looked for.
    """
    watcher = to._box
    if target is None or not target.alive:
        watch_ = Watch(None, watcher)
        incarnation = 0 if target is None else target.incarnation
        watch_._send(Down(name=target.name if target else name, incarnation=incarnation, reason="noproc"))
        return watch_
    box = target._box
    watch_ = Watch(box, watcher)
    if watcher.closed:
        return watch_
    if box._watchers is None:
        box._watchers = {}
    box._watchers[watch_] = None
    if watcher._watching is None:
        watcher._watching = {}
    watcher._watching[watch_] = None
    return watch_
