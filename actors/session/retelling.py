"""What those who stayed through a crash of a session are told, from the log, when its next life begins.

Two stretches of records: those that the former life appended and had no time to show (`untold_from`), and those that
its recovery appended. Both are told as the events they stand for, each once: what the feed has told already is left
out, because a life whose log was full has shown what was only written later.

The feed is its thread's and outlives the session's lives, so whoever reads it hears of the crash nothing but how it
ended what was open.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.session.feed import Feed
from actors.session.state import SessionState
from messages.base import ItemId, TurnId
from messages.client.item import ThreadItem
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    ItemShown,
    Record,
    ThreadNamed,
    TurnClosed,
    TurnOpened,
    UsageRecorded,
)
from messages.session import (
    ApprovalRequested,
    ApprovalResolved,
    ItemCompleted,
    ItemStarted,
    NameChanged,
    StatusChanged,
    Turn,
    TurnCompleted,
    TurnStarted,
    UsageUpdated,
)

UNTOLD_RECORDS = 1024
"""At most so many are read back: an append holds half of that, and a session has one under way."""


def untold_from(feed: Feed) -> int:
    """The ordinal of the first record that no event of the feed has told."""
    return feed.tail[-1].ordinal if feed.tail else feed.dropped_ordinal


def left_open(feed: Feed) -> tuple[tuple[TurnId, ThreadItem], ...]:
    """Items that an earlier life showed as started and never completed."""
    events = [entry.event for entry in feed.open_items.values()]
    return tuple((event.turn_id, event.item) for event in events if isinstance(event, ItemStarted))


def tell_open(feed: Feed, state: SessionState, ordinal: int) -> None:
    """For a feed that begins: what a turn that is taken up has open has been shown, to those who watched then and in
    every snapshot from now on. The feed must know, or its end would be told as a beginning."""
    turn = state.turn
    if turn is None:
        return
    for call in turn.calls:
        if call.shown is not None and call.phase != "answered":
            started = ItemStarted(turn_id=turn.id, item=call.shown, at_ms=call.shown.started_at_ms or 0)
            feed.put(started, ordinal=ordinal)
            if call.approval is not None:
                feed.put(ApprovalRequested(approval=call.approval), ordinal=ordinal)


def retell(feed: Feed, records: Iterable[Record], state: SessionState, ordinal: int) -> None:
    """Tell what these records say. ``state`` is the one the new life begins with."""
    events = [entry.event for entry in feed.tail]
    completed = {event.item.id for event in events if isinstance(event, ItemCompleted)}
    started = {event.turn.id for event in events if isinstance(event, TurnStarted)}
    ended = {event.turn.id for event in events if isinstance(event, TurnCompleted)}
    asked = {event.approval.id for event in events if isinstance(event, ApprovalRequested)}
    turns = {turn.id: turn for turn in state.turns}
    for record in records:
        match record:
            case TurnOpened() if record.turn_id not in started:
                turn = Turn(id=record.turn_id, status="inProgress", started_at=record.started_at)
                feed.put(TurnStarted(turn=turn), ordinal=ordinal)
            case ItemShown() if ItemId(record.item.id) in feed.open_items or record.item.id not in completed:
                turn_id, item, at_ms = record.turn_id, record.item, record.at_ms
                if ItemId(item.id) not in feed.open_items:
                    # A reader that resumes takes an end without a beginning for one whose beginning it has seen.
                    feed.put(ItemStarted(turn_id=turn_id, item=item, at_ms=at_ms), ordinal=ordinal)
                feed.put(ItemCompleted(turn_id=turn_id, item=item, at_ms=at_ms), ordinal=ordinal)
            case ApprovalAsked() if record.approval.id not in asked:
                feed.put(ApprovalRequested(approval=record.approval), ordinal=ordinal)
            case ApprovalAnswered() if record.approval_id in feed.approvals:
                resolved = ApprovalResolved(approval_id=record.approval_id, decision=record.decision, by=record.by)
                feed.put(resolved, ordinal=ordinal)
            case UsageRecorded():
                usage = UsageUpdated(
                    turn_id=record.turn_id,
                    last=record.last,
                    total=record.total,
                    context_window=state.offer.window_of(state.settings),
                )
                feed.put(usage, ordinal=ordinal)
            case ThreadNamed():
                feed.put(NameChanged(name=record.name), ordinal=ordinal)
            case TurnClosed() if record.turn_id not in ended and record.turn_id in turns:
                kept = turns[record.turn_id]
                turn = Turn(
                    id=kept.id,
                    status=kept.status,
                    started_at=kept.started_at,
                    completed_at=kept.completed_at,
                    failure=kept.failure,
                )
                feed.put(StatusChanged(status=state.shown_status), ordinal=ordinal)
                feed.put(TurnCompleted(turn=turn), ordinal=ordinal)
            case _:
                pass  # clients see nothing of it, or have been told
