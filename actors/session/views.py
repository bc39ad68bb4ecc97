"""A thread as clients are shown it, at one instant. Partial texts are filled in by whoever holds them."""

from __future__ import annotations

import msgspec

from actors.session import terminals
from actors.session.state import SessionState, status_of
from messages.session import ThreadSummary, ThreadView, Turn


def thread(state: SessionState, *, include_turns: bool) -> ThreadView:
    """The whole thread, the running turn last."""
    turn = state.turn
    turns: tuple[Turn, ...] = ()
    if include_turns:
        turns = state.turns
        if turn is not None:
            turns = (
                *turns,
                Turn(id=turn.id, status="inProgress", started_at=turn.started_at, items=turn.items),
            )
    return ThreadView(
        summary=state.summary,
        settings=state.settings,
        status=status_of(state),
        turns=turns,
        usage=state.usage,
        approvals=() if turn is None else tuple(call.approval for call in turn.calls if call.approval is not None),
        terminals=terminals.views(state.terminals),
    )


def named(summary: ThreadSummary, name: str) -> ThreadSummary:
    """The summary under a new name."""
    return msgspec.structs.replace(summary, name=name)
