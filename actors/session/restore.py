"""A session from its log: what `rollout_writer` read and recovered, as the state the session goes on from.

A turn that waits for nothing but people is taken up again: its questions stand, and a fresh worker prepares each of its
calls (see `approvals`). So is one whose script was running: the script is replayed from its log, and what it had asked
people about waits for it. Everything else the crash left open has been ended by the recovery's records.
"""

from __future__ import annotations

import msgspec

from actors.rollout_writer.loaded import LoadedThread, OpenCall, OpenScript, OpenTurn
from actors.rollout_writer.recovery import Recovery, ended
from actors.rollout_writer.transcript import is_output
from actors.session import approvals, calls, guidance, history, nested, prompting, scripts
from actors.session.effects import AmendRules, Effect, Instant, SetDeadline, StartTool
from actors.session.instructions import ENVIRONMENT_TAG
from actors.session.project_docs import OPENING
from actors.session.scripting import scripting_of
from actors.session.shown import partial
from actors.session.state import (
    SUBMISSIONS_REMEMBERED,
    Call,
    CallResult,
    Offer,
    Scripting,
    SessionState,
    Spawned,
    TurnState,
    status_of,
)
from actors.session.step import Step
from actors.tool_worker import permissions
from messages.approval import QuestionNeed
from messages.base import ItemId, TurnId
from messages.client.item import ThreadItem, UserMessage
from messages.items import HistoryItem, InputText, MessageItem
from messages.log import ItemShown, Record, ResponseItem, SpawnEnded, TurnClosed
from messages.script import ScriptChoice
from messages.session import Approval, Turn
from messages.tools import ToolCall


def restored(
    loaded: LoadedThread, recovery: Recovery, *, ids: str, offer: Offer, path: str | None, at: Instant
) -> tuple[SessionState, tuple[Effect, ...]]:
    """The state once the recovery's records are in the log, and what is to be done to go on."""
    turns = {turn.id: turn for turn in loaded.turns}
    for record in recovery.records:
        _apply(turns, record)
    open_turn = loaded.open_turn if recovery.state == "stays_open" else None
    taken_up = None if open_turn is None else turns.pop(open_turn.turn_id, None)
    state = SessionState(
        thread_id=loaded.meta.thread_id,
        ids=ids,
        offer=offer,
        settings=loaded.settings,
        summary=msgspec.structs.replace(
            loaded.summary(path),
            turns=len(turns),
            originator=loaded.meta.originator,
            thread_source=loaded.meta.thread_source,
        ),
        history=(*loaded.history, *_entered(recovery)),
        turns=tuple(turns.values()),
        withheld=loaded.withheld | _withheld(recovery),
        spawned=_spawned(loaded, recovery),
        next_task=loaded.last_task + 1,
        submissions=tuple(loaded.submissions.items())[-SUBMISSIONS_REMEMBERED:],
        usage=loaded.usage,
        last_usage=loaded.last_usage,
        environment=_last_told(loaded.history, ENVIRONMENT_TAG),
        docs=_last_told(loaded.history, OPENING),
        instructions=guidance.remembered(loaded.history) or _usual_instructions(loaded, offer),
        instructed=(loaded.settings.provider, loaded.settings.model),
        developer_instructions=loaded.settings.developer_instructions if loaded.history else None,
    )
    if open_turn is None or taken_up is None:
        failed = bool(state.turns) and state.turns[-1].status == "failed"
        state = msgspec.structs.replace(state, failed=failed)
        return msgspec.structs.replace(state, shown_status=status_of(state)), ()
    return _take_up(state, loaded, open_turn, taken_up, at)


def unfinished(
    open_items: tuple[tuple[TurnId, ThreadItem], ...], recovery: Recovery, state: SessionState, at: Instant
) -> tuple[Record, ...]:
    """Records that end items which clients saw start and the log knows nothing of, after the session itself crashed."""
    known = {record.item.id for record in recovery.records if isinstance(record, ItemShown)}
    if state.turn is not None:
        known |= {call.shown.id for call in state.turn.calls if call.shown is not None}
    return tuple(
        ItemShown(
            turn_id=turn_id,
            item=ended(partial(item, at.texts.partial(ItemId(item.id))), at.now_ms),
            at_ms=at.now_ms,
            partial=True,
        )
        for turn_id, item in open_items
        if item.id not in known
    )


def with_records(state: SessionState, records: tuple[Record, ...]) -> SessionState:
    """The state once these completions are in the log as well."""
    turns = {turn.id: turn for turn in state.turns}
    for record in records:
        _apply(turns, record)
    return msgspec.structs.replace(state, turns=tuple(turns.values()))


def _apply(turns: dict[TurnId, Turn], record: Record) -> None:
    if isinstance(record, ItemShown) and record.turn_id in turns:
        turn = turns[record.turn_id]
        items = {item.id: item for item in turn.items}
        items[record.item.id] = record.item
        turns[turn.id] = msgspec.structs.replace(turn, items=tuple(items.values()))
    elif isinstance(record, TurnClosed) and record.turn_id in turns:
        turns[record.turn_id] = msgspec.structs.replace(
            turns[record.turn_id], status=record.status, completed_at=record.completed_at, failure=record.failure
        )


def _take_up(
    state: SessionState, loaded: LoadedThread, open_turn: OpenTurn, shown: Turn, at: Instant
) -> tuple[SessionState, tuple[Effect, ...]]:
    """Go on with a turn that waits for people."""
    transcript = loaded.transcript
    turn = TurnState(
        id=open_turn.turn_id,
        settings=open_turn.settings,
        budget=open_turn.budget,
        output_schema=open_turn.output_schema,
        started_at=open_turn.started_at,
        items=shown.items,
        steers=open_turn.unentered,
        calls_used=open_turn.calls_started,
        scripting=_scripting(state.offer, open_turn),
    )
    state = msgspec.structs.replace(state, turn=turn, history=(*transcript.settled, *transcript.group))
    step = Step(state, at)
    outputs = {output.call_id: output for output in transcript.outputs}
    made = tuple(_call(step, call, outputs.get(call.call_id)) for call in open_turn.calls)
    written = tuple(scripts.taken_up(step, script) for script in open_turn.scripts)
    questions = tuple(
        nested.question_of(step, each) for script in open_turn.scripts if script.runs for each in script.calls
    )
    step.put_turn(calls=(*_in_order(made, open_turn.scripts, written), *questions))
    for message in open_turn.unentered:
        if message.id in open_turn.unheard:
            prompting.ask(step, message)
    for script in written:
        if script.phase != "answered" and script.script is not None:
            step.put_turn(live=step.turn.live | {script.child})
            step.do(StartTool(call=script.call, script=script.script.job))
    for question in questions:
        if question.approval is not None:
            approvals.told(step, question, question.approval)
    for call, opened in zip(made, open_turn.calls, strict=True):
        if call.phase == "answered":
            continue
        if opened.decision is not None and opened.decision.decision in ("decline", "cancel") and opened.asked:
            output = approvals.rejection(opened.asked.approval.need)
            calls.settle(step, call, CallResult(outcome="denied", output=output))
        elif opened.decision is not None and opened.asked and isinstance(opened.asked.approval.need, QuestionNeed):
            output = approvals.given(opened.asked.approval.need, opened.decision.answers)
            calls.settle(step, call, CallResult(outcome="done", output=output))
        elif opened.decision is not None and opened.decision.granted is not None:
            output = permissions.told(opened.decision.granted)
            calls.settle(step, call, CallResult(outcome="done", output=output))
        else:
            step.put_turn(live=step.turn.live | {call.child})
            step.do(StartTool(call=call.call))
    step.put(shown_status=status_of(step.state))
    seconds = open_turn.budget.deadline_seconds
    if seconds is not None:
        step.do(SetDeadline(turn_id=turn.id, seconds=max(0.0, open_turn.started_at + seconds - at.now)))
    return step.finish()


def _entered(recovery: Recovery) -> tuple[HistoryItem, ...]:
    """Input that only the recovery put into history. What it answers calls with is in the loaded history already."""
    return tuple(
        record.item for record in recovery.records if isinstance(record, ResponseItem) and not is_output(record.item)
    )


def _withheld(recovery: Recovery) -> frozenset[str]:
    """Input that the recovery has shown, and kept from the model."""
    shown = (record for record in recovery.records if isinstance(record, ItemShown) and record.partial)
    return frozenset(record.item.id for record in shown if isinstance(record.item, UserMessage))


def _spawned(loaded: LoadedThread, recovery: Recovery) -> tuple[Spawned, ...]:
    """The spawned calls of which the model has yet to be told; none of them runs."""
    ends = {each.spawned.task: each.ended for each in loaded.spawns if each.ended is not None}
    ends |= {record.task: record for record in recovery.records if isinstance(record, SpawnEnded)}
    return tuple(
        Spawned(
            task=each.spawned.task,
            call=Call(
                call=ToolCall(
                    thread_id=loaded.meta.thread_id,
                    turn_id=each.spawned.turn_id,
                    call_id=each.spawned.call_id,
                    item_id=each.spawned.item_id,
                    name=each.spawned.name,
                    arguments="",
                    idempotency_key=f"{loaded.meta.thread_id}/{each.spawned.turn_id}/{each.spawned.item_id}",
                    by="script",
                )
            ),
            turn_id=each.spawned.turn_id,
            cwd=loaded.settings.cwd,
            told=history.spawn_item(each.spawned.task, ends[each.spawned.task].text),
        )
        for each in loaded.spawns
    )


def _call(step: Step, opened: OpenCall, output: HistoryItem | None) -> Call:
    approval: Approval | None = opened.asked.approval if opened.asked is not None else None
    shown_as = approval.item_id if approval is not None else ItemId(step.new_id())
    call = Call(call=calls.tool_call(step, opened.call, shown_as), shown=opened.item)
    if output is not None:
        return msgspec.structs.replace(call, phase="answered", output=output)
    if opened.awaits_approval:
        return msgspec.structs.replace(call, phase="asking", approval=approval)
    if opened.decision is not None and opened.decision.decision not in (None, "decline", "cancel"):
        if opened.decision.amendment is not None:
            step.do(AmendRules(prefix=opened.decision.amendment))  # harmless if the rule got as far as the file
        return msgspec.structs.replace(call, granted=None if approval is None else approval.need)
    return call


def _last_told(items: tuple[HistoryItem, ...], opening: str) -> str | None:
    """The last message of ours that begins so."""
    tag = opening.encode()
    for item in reversed(items):
        if item.kind == "message" and item.origin is None and tag in item.raw:
            read = history.readable(item)
            if isinstance(read, MessageItem) and read.content and isinstance(read.content[0], InputText):
                text = read.content[0].text
                if text.startswith(opening):
                    return text
    return None


def _in_order(made: tuple[Call, ...], opened: tuple[OpenScript, ...], written: tuple[Call, ...]) -> tuple[Call, ...]:
    """The calls and scripts of the response in the order the model wrote them."""
    calls: list[Call] = []
    for behind in range(len(made) + 1):
        calls += [call for call, script in zip(written, opened, strict=True) if script.written.behind == behind]
        calls += made[behind : behind + 1]
    return tuple(calls)


def _usual_instructions(loaded: LoadedThread, offer: Offer) -> str:
    return guidance.wanted(loaded.settings, offer, scripting_of(offer, loaded.settings, None))


def _scripting(offer: Offer, open_turn: OpenTurn) -> Scripting | None:
    """What the turn's scripts may do: as its last script was allowed, else as the settings say now."""
    choice = None
    written = next((script.written for script in reversed(open_turn.scripts) if script.written.by == "model"), None)
    if written is not None:
        choice = ScriptChoice(mode=written.mode, allowed_tools=written.tools)
    return scripting_of(offer, open_turn.settings, choice)
