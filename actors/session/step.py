"""One step of the core: the state being replaced, and the effects so far.

Made when `handle` begins and thrown away when it ends, so that the functions in between can be written as verbs and
the whole is still a function of its arguments. Whatever one step logs is one `Append`, ahead of everything the step
shows or starts: *append, then show* holds by construction.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.session.effects import Append, Effect, Instant, Reply, Show, Token
from actors.session.shown import stamped
from actors.session.state import Call, SessionState, TurnState, status_of
from messages.base import CallId, ItemId, TurnId
from messages.client.item import ThreadItem
from messages.items import HistoryItem
from messages.log import ItemShown, Record, ResponseItem
from messages.session import ItemCompleted, ItemStarted, SessionEvent, StatusChanged

_replace = msgspec.structs.replace


class Step:
    """The working copy."""

    __slots__ = ("_barrier", "_effects", "_records", "_urgent", "at", "state")

    def __init__(self, state: SessionState, at: Instant) -> None:
        self.state = state
        self.at = at
        self._records: list[Record] = []
        self._barrier = False
        self._effects: list[Effect] = []
        self._urgent: list[Effect] = []

    def finish(self) -> tuple[SessionState, tuple[Effect, ...]]:
        """The new state, and the effects in order."""
        self.show_status()
        records = self._records
        if records:
            append = Append(records=tuple(records), barrier=self._barrier)
            return self.state, (*self._urgent, append, *self._effects)
        return self.state, (*self._urgent, *self._effects)

    # --- state ---

    @property
    def turn(self) -> TurnState:
        """The turn that runs; asking for it when there is none is our bug."""
        turn = self.state.turn
        assert turn is not None, "no turn runs"
        return turn

    def put(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = _replace(self.state, **changes)

    def put_turn(self, **changes: Any) -> None:
        """Replace fields of the running turn."""
        self.state = _replace(self.state, turn=_replace(self.turn, **changes))

    def call(self, call_id: CallId) -> Call | None:
        """A call of the running turn's last response, or a command beside them."""
        turn = self.state.turn
        if turn is not None:
            for call in (*turn.calls, *turn.asides):
                if call.call.call_id == call_id:
                    return call
        return None

    def put_call(self, call: Call, /, **changes: Any) -> Call:
        """Replace fields of one call; the new call."""
        changed: Call = _replace(call, **changes)
        kind = "asides" if any(each.child == call.child for each in self.turn.asides) else "calls"
        among: tuple[Call, ...] = getattr(self.turn, kind)
        self.put_turn(**{kind: tuple(changed if each.child == call.child else each for each in among)})
        return changed

    def new_id(self) -> str:
        """An id that neither this nor any other life of the session gives out again."""
        number = self.state.next_number
        self.put(next_number=number + 1)
        return f"{self.state.ids}-{number}"

    # --- effects ---

    def log(self, *records: Record, barrier: bool = False) -> None:
        """Log in this step's one write."""
        self._records.extend(records)
        self._barrier = self._barrier or barrier

    def do(self, *effects: Effect) -> None:
        """Do this after what was logged."""
        self._effects.extend(effects)

    def at_once(self, effect: Effect) -> None:
        """Do this without waiting for the log."""
        self._urgent.append(effect)

    def show(self, event: SessionEvent) -> None:
        """Tell whoever watches."""
        self._effects.append(Show(event=event))

    def reply(self, token: Token | None, value: object) -> None:
        """Answer a command, if somebody waits for it."""
        if token is not None:
            self._effects.append(Reply(token=token, value=value))

    def show_status(self) -> None:
        """Tell of the thread's status if it is another than was told last."""
        status = status_of(self.state)
        if status != self.state.shown_status:
            self.put(shown_status=status)
            self.show(StatusChanged(status=status))

    # --- items and history ---

    def remember(
        self, turn_id: TurnId, item: HistoryItem, *, response_id: str | None = None, shown_as: ItemId | None = None
    ) -> None:
        """Add to what the model is sent, on disk and in memory.

        ``shown_as``: the very next thing logged must be that item's completion, or its passing to the thread.
        """
        self.log(ResponseItem(turn_id=turn_id, item=item, item_id=shown_as, response_id=response_id))
        self.put(history=(*self.state.history, item))

    def start_item(self, item: ThreadItem) -> ThreadItem:
        """Show an item of the running turn as started; returns it as shown."""
        started = stamped(item, started_at_ms=self.at.now_ms)
        turn = self.turn
        self.put_turn(items=(*turn.items, started))
        self.show(ItemStarted(turn_id=turn.id, item=started, at_ms=self.at.now_ms))
        return started

    def complete_item(self, turn_id: TurnId, item: ThreadItem, *, partial: bool = False) -> None:
        """Log an item that had been started, and show it, as completed."""
        before = self._shown(turn_id, item.id)
        completed = stamped(
            item,
            started_at_ms=before.started_at_ms if before is not None else None,
            completed_at_ms=self.at.now_ms,
        )
        self.log(ItemShown(turn_id=turn_id, item=completed, at_ms=self.at.now_ms, partial=partial))
        self._replace_shown(turn_id, completed)
        self.show(ItemCompleted(turn_id=turn_id, item=completed, at_ms=self.at.now_ms))

    def update_shown(self, item: ThreadItem) -> None:
        """Let snapshots show an open item of the running turn as it is now."""
        self._replace_shown(self.turn.id, item)

    def _shown(self, turn_id: TurnId, item_id: str) -> ThreadItem | None:
        turn = self.state.turn
        if turn is not None and turn.id == turn_id:
            items = turn.items
        else:
            items = next((each.items for each in reversed(self.state.turns) if each.id == turn_id), ())
        return next((each for each in reversed(items) if each.id == item_id), None)

    def _replace_shown(self, turn_id: TurnId, item: ThreadItem) -> None:
        turn = self.state.turn
        if turn is not None and turn.id == turn_id:
            self.put_turn(items=_with(turn.items, item))
        else:
            turns = tuple(
                _replace(each, items=_with(each.items, item)) if each.id == turn_id else each
                for each in self.state.turns
            )
            self.put(turns=turns)


def _with(items: tuple[ThreadItem, ...], item: ThreadItem) -> tuple[ThreadItem, ...]:
    """``items`` with the one of that id replaced."""
    return tuple(item if each.id == item.id else each for each in items)


def item_id(item: ThreadItem) -> ItemId:
    """An item's id, typed."""
    return ItemId(item.id)
