"""A thread as clients are shown it, at one instant. Partial texts are filled in by whoever holds them."""

from __future__ import annotations

import msgspec

from actors.session import spawns, terminals
from actors.session.state import SessionState, only_people_missing, status_of
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
        turn_count=len(state.turns) + (turn is not None),
        item_count=sum(len(each.items) for each in state.turns) + (0 if turn is None else len(turn.items)),
        usage=state.usage,
        approvals=() if turn is None else tuple(call.approval for call in turn.calls if call.approval is not None),
        terminals=(*terminals.views(state.terminals), *spawns.views(state.spawned)),
    )


def named(summary: ThreadSummary, name: str) -> ThreadSummary:
    """The summary under a new name."""
    return msgspec.structs.replace(summary, name=name)


def doing(state: SessionState) -> str:
    """One word or two for the live tree."""
    turn = state.turn
    if turn is None:
        return "idle" if state.stopping is None else "closing"
    if turn.closing is not None or turn.suspended:
        return "ending a turn"
    if turn.sampling is not None:
        return "sampling" if turn.compaction is None else "compacting"
    if only_people_missing(turn):
        return "waiting on approval"
    return "running tools"
