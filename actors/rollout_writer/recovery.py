"""What becomes of what a crash left open, decided from the log alone.

| the log says of the open turn                           | so                                                        |
|---------------------------------------------------------|-----------------------------------------------------------|
| no call waits for its output: it was sampling           | interrupted                                               |
| a call was started and has no output                    | that call is *unknown*, the turn interrupted              |
| a call was requested, never started                     | "never started" output; with the turn                     |
| a call was declined, its output is missing              | "declined" output; with the turn                          |
| questions unanswered, and no call started without end   | the turn stays open, waiting on approval                  |
| a script was running                                    | the turn stays open: the script is replayed (see below)   |
| - a call of it was started and has no end               | *unknown*, in the script, unless it only looked           |
| - a question about one of its calls has no answer       | it stands                                                 |
| a script of an interrupted turn has no result           | the model is told what each of its calls came to          |
| a question when the turn ends                           | it lapses (answered with no decision)                     |
| text was being shown (a checkpoint)                     | the item is completed with the text so far, as partial    |
| a command had passed to the thread; its process is gone | its item is completed, whatever became of its turn        |
| a call that a script spawned has no end                 | *unknown*; the next turn's model is told                  |
| any other item shown as started                         | completed as failed                                       |
| input was taken into the turn and had not entered it    | it enters behind all else, for the next turn's model      |
| input was taken into the turn and had not entered       | it enters, so that it is not lost; with the turn          |
| - a program of the user's had to hear it first          | it is shown, and withheld from the model                  |

Nothing is ever run again, a script's calls as little as others: it is fed what they gave from the log, in the order in
which it was fed then (`sandbox_pool/driver.py`). The records are appended in the order above with the turn's end last,
so that any prefix of them, cut by another crash, is again something this table decides, and comes to the same history.
Recovering what has been recovered adds nothing. Source: DESIGN §4, "Recovery of an open turn".
"""

from __future__ import annotations

from typing import Literal, assert_never

import msgspec

from actors.rollout_writer.loaded import LoadedThread, OpenCall, OpenItem, OpenScript, OpenTurn
from actors.rollout_writer.transcript import missing_text, output_for
from actors.sandbox_pool.report import render, spawn_report
from actors.session.history import told_of_script, user_item
from actors.session.ledger import ledger_of
from messages.base import CallId, ItemId
from messages.client.item import (
    AgentMessage,
    CommandExecution,
    ContextCompaction,
    DynamicToolCall,
    FileChange,
    ImageView,
    Plan,
    Reasoning,
    ThreadItem,
    UserMessage,
    WebSearch,
)
from messages.log import ApprovalAnswered, CallSpawned, ItemShown, Record, ResponseItem, SpawnEnded, TurnClosed
from messages.script import ScriptFailure, ScriptOutcome

SPAWN_LOST = (
    "callboard stopped while this call ran. Whether it took effect, wholly or in part, is unknown: look at the present "
    "state before you repeat it. Nothing of it runs any more."
)


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """The records to append, and how the thread stands once they are."""

    records: tuple[Record, ...]
    state: Literal["idle", "stays_open"]


def recover(thread: LoadedThread, *, at: float) -> Recovery:
    """Decide. ``at`` is the unix time that is written as the end of what ends now."""
    at_ms = int(at * 1000)
    turn = thread.open_turn
    items = {open_item.item.id: open_item for open_item in thread.open_items}
    records: list[Record] = []
    waits = turn is not None and stays_open(turn)
    if turn is not None:
        waiting_calls: set[CallId] = set()
        if waits:
            nested = [nested for script in turn.scripts if script.runs for nested in script.calls]
            waiting_calls = {call.call_id for call in turn.calls if call.awaits_approval}
            waiting_calls |= {each.asked.approval.call_id for each in nested}
            for item in (script.written.item_id for script in turn.scripts if script.runs):
                items.pop(item, None)
            for each in nested:
                items.pop(each.asked.approval.item_id, None)
        records.extend(
            ApprovalAnswered(approval_id=asked.approval.id, decision=None)
            for asked in turn.approvals
            if asked.approval.call_id not in waiting_calls
        )
        for call in turn.calls:
            open_item = items.pop(call.item.id, None) if call.item is not None else None
            if not call.answered and not waits:
                records.extend(_answer(turn, call, open_item, at_ms))
            elif call.answered and open_item is not None:
                items[open_item.item.id] = open_item
        if not waits:
            for script in turn.scripts:
                if script.output is None:
                    records.extend(_tell(turn, script, items.pop(script.written.item_id, None), at_ms))
    records.extend(
        ItemShown(turn_id=open_item.turn_id, item=ended(open_item.item, at_ms), at_ms=at_ms, partial=True)
        for open_item in items.values()
    )
    records.extend(
        SpawnEnded(turn_id=each.spawned.turn_id, task=each.spawned.task, outcome="unknown", text=_lost(each.spawned))
        for each in thread.spawns
        if each.ended is None
    )
    if turn is not None and not waits:
        records.extend(_enter(turn, at_ms))
        records.append(TurnClosed(turn_id=turn.turn_id, status="interrupted", completed_at=at))
    return Recovery(records=tuple(records), state="stays_open" if waits else "idle")


def _lost(spawned: CallSpawned) -> str:
    """What the model is told of a call that outlived its script and not the daemon."""
    return spawn_report(spawned.task, spawned.name, "unknown", SPAWN_LOST)


def _enter(turn: OpenTurn, at_ms: int) -> list[Record]:
    """The input that the turn had taken and the model was never sent: the next turn's model reads it, but for what the
    user's programs had to hear first."""
    records: list[Record] = []
    for message in turn.unentered:
        shown = msgspec.structs.replace(message, started_at_ms=at_ms, completed_at_ms=at_ms)
        if message.content and message.id in turn.unheard:
            records.append(ItemShown(turn_id=turn.turn_id, item=shown, at_ms=at_ms, partial=True))
        elif message.content:
            records.append(
                ResponseItem(turn_id=turn.turn_id, item=user_item(message.content), item_id=ItemId(message.id))
            )
            records.append(ItemShown(turn_id=turn.turn_id, item=shown, at_ms=at_ms))
    return records


def stays_open(turn: OpenTurn) -> bool:
    """Whether people's answers, or a script that can be replayed, are all that the turn waits for."""
    unanswered = [call for call in turn.calls if not call.answered]
    waits = any(call.awaits_approval for call in unanswered) or any(script.runs for script in turn.scripts)
    return waits and all(call.started is None for call in unanswered)


def _answer(turn: OpenTurn, call: OpenCall, open_item: OpenItem | None, at_ms: int) -> list[Record]:
    """The output that a call never got, side by side with the end of its item."""
    output = output_for(call.call, missing_text(started=call.started is not None, declined=call.declined))
    if open_item is None:
        return [ResponseItem(turn_id=turn.turn_id, item=output)]
    item = ended(open_item.item, at_ms, declined=call.declined)
    return [
        ResponseItem(turn_id=turn.turn_id, item=output, item_id=ItemId(item.id)),
        ItemShown(turn_id=turn.turn_id, item=item, at_ms=at_ms, partial=True),
    ]


def _tell(turn: OpenTurn, script: OpenScript, open_item: OpenItem | None, at_ms: int) -> list[Record]:
    """What the model is told of a script that its turn's end has cut off, with the end of its item."""
    ledger = ledger_of(script.log)
    text = "callboard stopped while it ran" if script.started is not None else "callboard stopped before it was run"
    outcome = ScriptOutcome(
        status="cancelled",
        failure=ScriptFailure(kind="harness", code="cancelled", message=text),
        calls=ledger.reports(),
        console=ledger.console,
    )
    source = script.written.source if script.written.by == "user" else None
    output = told_of_script(render(outcome, dry=script.written.mode == "dry-run"), source=source)
    if open_item is None:
        return [ResponseItem(turn_id=turn.turn_id, item=output)]
    return [
        ResponseItem(turn_id=turn.turn_id, item=output, item_id=ItemId(open_item.item.id)),
        ItemShown(turn_id=turn.turn_id, item=ended(open_item.item, at_ms), at_ms=at_ms, partial=True),
    ]


def ended(item: ThreadItem, at_ms: int, *, declined: bool = False) -> ThreadItem:
    """An item in progress, as it is shown once it is known that nothing more will come."""
    match item:
        case CommandExecution() | FileChange():
            status: Literal["declined", "failed"] = "declined" if declined else "failed"
            return msgspec.structs.replace(item, status=status, completed_at_ms=at_ms)
        case DynamicToolCall():
            return msgspec.structs.replace(item, status="failed", success=False, completed_at_ms=at_ms)
        case UserMessage() | AgentMessage() | Reasoning() | Plan() | ImageView() | WebSearch() | ContextCompaction():
            return msgspec.structs.replace(item, completed_at_ms=at_ms)
        case _:
            assert_never(item)
