"""A script's calls: calls like any other, made one by one while it runs.

They are made `by="script"` and stand behind it in ``turn.calls`` while they last: same workers, same table of
approvals, same items. What differs is here: they take no place in the order of the response, those of one script share
a lock among themselves, and what they come to goes to the script instead of the model.
"""

from __future__ import annotations

import msgspec

from actors.rollout_writer.loaded import OpenNested
from actors.sandbox_pool.excerpt import source_line
from actors.session import approvals, calls, history, scripts, spawns
from actors.session.effects import Cancel, StartTool, TellScript
from actors.session.scheduling import Waiting, may_start
from actors.session.state import Call, CallResult, Terminal
from actors.session.step import Step
from messages.base import ItemId
from messages.script import CallEnded, CallStarted, NestedAsks, NestedSettled, NestedUnwanted, NestedWanted
from messages.script import CallResult as Settled
from messages.tools import ScriptPlace, ToolCall

TRIED = '{"dryRun":true}'
"""What each call of a dry run gives."""

_replace = msgspec.structs.replace


def question_of(step: Step, opened: OpenNested) -> Call:
    """A call that a script had made and people were asked about: it waits for the script to make it again."""
    approval, decision = opened.asked.approval, opened.decision
    assert approval.place is not None
    made = Call(
        call=ToolCall(
            thread_id=step.state.thread_id,
            turn_id=step.turn.id,
            call_id=approval.call_id,
            item_id=approval.item_id,
            name="",  # as the script says, when it has come here again
            arguments="",
            idempotency_key=f"{step.state.thread_id}/{step.turn.id}/{approval.item_id}",
            by="script",
            place=approval.place,
        ),
        shown=opened.asked.item,
    )
    if decision is None:
        return _replace(made, phase="asking", approval=approval)
    if decision.decision in ("accept", "acceptForSession"):
        return _replace(made, granted=approval.need)
    refused = approvals.rejection(approval.need) if decision.decision is not None else history.EXPIRED_OUTPUT
    return _replace(made, refused=refused)


def wanted(step: Step, message: NestedWanted) -> None:
    """A script makes a call: it is prepared, like any."""
    script = step.call(message.call_id)
    if script is None or script.script is None or script.phase != "running" or scripts.ends(step, script):
        return
    turn, place = step.turn, _place(script, message)
    call_id = scripts.nested_id(script.call_id, message.number)
    call = step.call(call_id)
    if call is None:
        item_id = ItemId(step.new_id())
        made = ToolCall(
            thread_id=step.state.thread_id,
            turn_id=turn.id,
            call_id=call_id,
            item_id=item_id,
            name=message.tool,
            arguments=message.arguments,
            freeform=message.freeform,
            idempotency_key=f"{step.state.thread_id}/{turn.id}/{item_id}",
            by="script",
            place=place,
        )
        answered = spawns.no_room(step) if place.spawned else None
        call = Call(call=made)
        step.put_turn(calls=(*turn.calls, call), calls_used=turn.calls_used + 1)
        if message.tool in spawns.VERBS:
            answered = Settled(outcome="done", value=TRIED) if only_tried(step, call) else spawns.answer(step, call)
        if answered is not None:
            settle(step, call, answered, CallResult(outcome=answered.outcome, output=""))
            return
    else:  # its question has outlived a restart
        made = _replace(call.call, name=message.tool, arguments=message.arguments, freeform=message.freeform)
        call = step.put_call(call, call=made)
        if call.approval is not None:
            asks(step, call, call.approval.id)
        if call.refused is not None:
            calls.settle(step, call, CallResult(outcome="denied", output=call.refused))
            return
    if step.turn.calls_used > turn.budget.tool_calls:
        text = f"not run: this turn has used up its {turn.budget.tool_calls} tool calls"
        calls.settle(step, call, CallResult(outcome="denied", output=text))
        return
    step.put_turn(live=step.turn.live | {call.child})
    step.do(StartTool(call=call.call))


def _place(script: Call, message: NestedWanted) -> ScriptPlace:
    return ScriptPlace(
        script=script.call_id,
        item_id=script.call.item_id,
        number=message.number,
        line=message.line,
        column=message.column,
        source=source_line(script.call.arguments, message.line),
        spawned=message.spawned and message.tool not in spawns.VERBS,
    )


def unwanted(step: Step, message: NestedUnwanted) -> None:
    """A script has ended without one of its calls."""
    calls.cancel(step, scripts.nested_id(message.call_id, message.number))


def start_ready(step: Step) -> None:
    """Let run what may run now of scripts' calls.

    Those of one script share the response's lock among themselves: readers together, others alone, in the order in
    which they became ready. A question to people holds up nothing but its own call.
    """
    for script in tuple(each for each in step.turn.calls if each.script is not None and each.phase == "running"):
        if scripts.ends(step, script):
            continue
        own = [each for each in scripts.nested(step.turn, script) if each.phase in ("preparing", "ready", "running")]
        for index in may_start([Waiting(calls.PLACES[each.phase], each.parallel_safe) for each in own]):
            call = own[index]
            assert call.call.place is not None
            number = call.call.place.number
            current = step.call(script.call_id)
            assert current is not None
            assert current.script is not None
            if current.script.job.mode == "dry-run":
                _pretend(step, call)
                continue
            if call.started_at is not None:  # a second run: it has been started all along
                calls.let_run(step, call)
                continue
            event = CallStarted(number=number)
            ledger = current.script.ledger.with_event(event) or current.script.ledger
            step.put_call(current, script=_replace(current.script, ledger=ledger))
            begun = calls.let_run(step, call)
            scripts.happened(step, script, event, begun.shown)
            assert call.call.place is not None
            if call.call.place.spawned and call.fault is None:
                spawns.begin(step, begun)


def only_tried(step: Step, call: Call) -> bool:
    """Whether the call is one of a dry run."""
    place = call.call.place
    script = None if place is None else step.call(place.script)
    return script is not None and script.script is not None and script.script.job.mode == "dry-run"


def _pretend(step: Step, call: Call) -> None:
    """Of a dry run: it could run; it does not."""
    step.at_once(Cancel(child=call.child))
    if call.fault is not None:
        calls.settle(step, call, CallResult(outcome="failed", output=call.fault))
    else:
        settle(step, call, Settled(outcome="done", value=TRIED), CallResult(outcome="done", output=""))


def asks(step: Step, call: Call, approval_id: str | None) -> None:
    """A script's call waits for people, or does not any more: its script may let its clock stand still."""
    place = call.call.place
    script = None if place is None else step.call(place.script)
    if place is not None and script is not None:
        step.do(TellScript(child=script.child, order=NestedAsks(number=place.number, approval_id=approval_id)))


def settle(step: Step, call: Call, settled: Settled, result: CallResult) -> None:
    """A script's call has ended: log what it gave, complete its item, and tell the script."""
    place, turn = call.call.place, step.turn
    assert place is not None
    script = step.call(place.script)
    assert script is not None, "a script outlasts its calls"
    assert script.script is not None
    seconds = 0.0 if call.started_at is None else step.at.now - call.started_at
    event = CallEnded(number=place.number, result=settled, seconds=round(seconds, 6))
    scripts.record(step, script, event)
    changed = _replace(script.script, ledger=script.script.ledger.with_event(event) or script.script.ledger)
    if call.shown is not None and result.terminal is not None and _goes_on(step, script):
        open_item = result.item or call.shown
        left = Terminal(
            terminal=result.terminal,
            turn_id=turn.id,
            call_id=call.call_id,
            item=open_item,
            started_at=call.started_at or step.at.now,
        )
        changed = _replace(changed, terminals=(*changed.terminals, left))
        step.update_shown(open_item)
    elif call.shown is not None:
        calls.complete(step, call, result)
    step.put_call(script, script=changed)
    step.put_turn(calls=tuple(each for each in step.turn.calls if each.child != call.child))
    scripts.happened(step, script, event, call.shown)
    step.do(TellScript(child=script.child, order=NestedSettled(number=place.number, result=settled)))


def _goes_on(step: Step, script: Call) -> bool:
    return step.turn.closing is None and not scripts.ends(step, script)
