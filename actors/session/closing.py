"""How a turn ends before its time, and how every turn ends.

`begin` tells everything to stop and nothing else; the turn is over only when nothing of it is left (`core.advance`
sees to that), and then `close` writes what has to be said: an output for each call, a completion for each item, the
marker of an interrupt, input that had not entered yet, and last, durably, the turn's own end.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from actors.session import approvals, calls, compaction, history, partials, scripts, steering
from actors.session.effects import Cancel, KillTerminal, SetDeadline
from actors.session.shown import ended, partial
from actors.session.state import Call, Closing, TurnState
from actors.session.step import Step, item_id
from messages.client.item import AgentMessage, ThreadItem
from messages.log import TurnClosed
from messages.session import Turn, TurnCompleted, TurnFailing


def begin(step: Step, end: Closing) -> None:
    """Stop everything the turn has running. The first reason to end is the one that counts."""
    turn = step.turn
    if turn.closing is not None:
        return
    step.put_turn(closing=end)
    if end.failure is not None:
        step.show(TurnFailing(turn_id=turn.id, failure=end.failure, will_retry=False))
    for child in sorted(turn.live):
        step.at_once(Cancel(child=child))
    for call in turn.calls:
        scripts.stop(step, call)
        for terminal in () if call.script is None else call.script.terminals:
            step.at_once(KillTerminal(terminal=terminal.terminal))
            step.put_turn(dying=step.turn.dying | {terminal.terminal})
        if call.approval is not None:
            approvals.close(step, call)


def close(step: Step, end: Closing) -> None:
    """End the turn: nothing of it is left."""
    partials.complete_attempt(step)
    compaction.abandon(step)
    for call in (*sorted(step.turn.calls, key=lambda call: call.call.place is None), *step.turn.asides):
        # A script's calls before the script: it tells what became of them.
        if call.phase != "answered":
            _abort(step, step.call(call.call_id) or call)
    calls.all_answered(step)
    if end.status == "interrupted":
        step.remember(step.turn.id, history.text_item(history.ABORT_MARKER))
    steering.enter_all(step)
    turn = step.turn
    step.log(
        TurnClosed(
            turn_id=turn.id,
            status=end.status,
            completed_at=step.at.now,
            failure=end.failure,
            last_message=turn.last_message,
        ),
        barrier=True,
    )
    if turn.budget.deadline_seconds is not None:
        step.do(SetDeadline(turn_id=turn.id, seconds=None))
    told = Turn(
        id=turn.id,
        status=end.status,
        started_at=turn.started_at,
        completed_at=step.at.now,
        failure=end.failure,
        items=_last_words(turn),
    )
    kept = msgspec.structs.replace(told, items=turn.items)
    summary = msgspec.structs.replace(
        step.state.summary,
        updated_at=step.at.now,
        turns=step.state.summary.turns + 1,
        total_tokens=step.state.usage.total,
    )
    step.put(turn=None, turns=(*step.state.turns, kept), failed=end.status == "failed", summary=summary)
    step.show_status()
    step.show(TurnCompleted(turn=told, last_message=turn.last_message))


def _last_words(turn: TurnState) -> tuple[ThreadItem, ...]:
    """The final message of a turn that came to one: the summary that clients of this wire look for in its end."""
    if turn.last_message is None:
        return ()
    said = (item for item in reversed(turn.items) if isinstance(item, AgentMessage) and item.text == turn.last_message)
    return tuple(islice(said, 1))


def _abort(step: Step, call: Call) -> None:
    """Nobody said how this call ended, so it was stopped."""
    item = call.left
    if item is None and call.shown is not None:
        texts = step.at.texts.partial(item_id(call.shown))
        item = ended(partial(call.shown, texts), "denied" if call.started_at is None else "cancelled")
    result = calls.aborted(step, call)
    whole = call.script is not None or call.ran is not None
    calls.settle(step, call, result if whole else msgspec.structs.replace(result, item=item))
