"""The scripts of a response: each a call of its own, whose calls are calls like any other.

A script is a `Call` made `by="block"`: it takes its place among the structured calls in the order written, alone, and
what it comes to is told as a user's message behind the outputs. Its calls are made `by="script"` and stand behind it in
``turn.calls`` while they last: same workers, same table of approvals, same items. What differs is here: they take no
place in the order of the response, and what they come to goes to the script instead of the model.

The log holds a script's life in the order in which it happened, so that it can be replayed: what it asked for and was
told (`ScriptRecorded`), the start of each call (`ToolStarted`, with its place), each call's result in full. All of it
is in the log before anything follows from it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from actors.rollout_writer.loaded import OpenNested, OpenScript
from actors.sandbox_pool.declarations import allowed
from actors.sandbox_pool.excerpt import source_line
from actors.sandbox_pool.report import render, wrapped
from actors.sandbox_pool.scanner import Block
from actors.sandbox_pool.worker import finished, outcome_of, shown
from actors.session import approvals, calls, history
from actors.session.effects import AbandonScript, Cancel, KillTerminal, StartTool, TellScript
from actors.session.ledger import ledger_of
from actors.session.scheduling import Waiting, may_start
from actors.session.state import Call, CallResult, Script, Terminal, TurnState
from actors.session.step import Step
from messages.base import CallId, ItemId
from messages.client.item import CommandExecution, DynamicToolCall, ThreadItem
from messages.items import InputImage, InputText, OutputPart
from messages.log import ScriptRecorded, ScriptWritten
from messages.script import (
    CallEnded,
    CallError,
    CallRequested,
    CallStarted,
    NestedAsks,
    NestedSettled,
    NestedUnwanted,
    NestedWanted,
    ScriptEvent,
    ScriptFailure,
    ScriptFailureKind,
    ScriptJob,
    ScriptLimits,
    ScriptOutcome,
    ScriptPumped,
    ScriptStarted,
    ScriptStatus,
    ScriptTold,
)
from messages.script import CallResult as Settled
from messages.session import ScriptHappened
from messages.tools import ScriptPlace, ToolCall, ToolOutcome

NAME = "script"
"""What a script is called in the log's ledger."""

_replace = msgspec.structs.replace

_PROBLEMS = {
    "unclosed": (
        "the script was not run: its closing tag </tool-calls> is missing. Write the whole block again, each tag "
        "alone on its line."
    ),
    "too_large": "the script was not run: it is longer than {limit} bytes. Split it, or read long texts from files.",
    "budget": "the script was not run: this turn has used up its tool calls.",
}


# --- making -------------------------------------------------------------------------------------------------------


def make(step: Step, block: Block, *, behind: int) -> Call:
    """The call that a script of a whole response is. ``behind``: how many structured calls come before it."""
    turn = step.turn
    scripting, offer = turn.scripting, step.state.offer.scripts
    assert scripting is not None, "without scripts, a block is text"
    assert offer is not None, "what a turn has, its thread was offered"
    call = call_of(step, block.source, ItemId(step.new_id()))
    room = max(turn.budget.tool_calls - turn.calls_used, 0)
    job = ScriptJob(
        mode=scripting.mode,
        tools=scripting.tools,
        limits=_replace(offer.limits, calls=min(offer.limits.calls, room)),
        context=_context(step, offer.limits),
    )
    step.log(
        ScriptWritten(
            turn_id=turn.id,
            call_id=call.call_id,
            item_id=call.item_id,
            source=block.source,
            source_hash=hashlib.sha256(block.source.encode("utf-8", "replace")).hexdigest(),
            behind=behind,
            mode=job.mode,
            tools=tuple(dict.fromkeys(tool.tool for tool in job.tools if tool.tool)),
            limits=job.limits,
            context=job.context,
        )
    )
    return Call(call=call, script=Script(job=job))


def call_of(step: Step, source: str, item_id: ItemId) -> ToolCall:
    """The call that a script is: known by its item."""
    thread_id, turn_id = step.state.thread_id, step.turn.id
    return ToolCall(
        thread_id=thread_id,
        turn_id=turn_id,
        call_id=CallId(item_id),
        item_id=item_id,
        name=NAME,
        arguments=source,
        freeform=True,
        idempotency_key=f"{thread_id}/{turn_id}/{item_id}",
        by="block",
    )


def taken_up(step: Step, opened: OpenScript) -> Call:
    """The script of a turn that is taken up again: answered, to be replayed, or to be begun."""
    written = opened.written
    scripting = step.turn.scripting
    call = call_of(step, written.source, written.item_id)
    job = ScriptJob(
        mode=written.mode,
        tools=() if scripting is None else allowed(scripting.tools, written.tools),
        limits=written.limits,
        context=written.context,
        log=opened.log,
    )
    made = Call(call=call, script=Script(job=job, ledger=ledger_of(opened.log)))
    if opened.output is not None:
        return _replace(made, phase="answered", output=opened.output)
    if opened.started is None:
        return made
    return _replace(made, phase="running", started_at=step.at.now, shown=opened.started.item)


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


def _context(step: Step, limits: ScriptLimits) -> dict[str, Any]:
    """What the script may read of the world, beside what the sandbox adds."""
    turn = step.turn
    return {
        "version": 1,
        "conversationId": step.state.thread_id,
        "sessionId": step.state.ids,
        "turnId": turn.id,
        "workingDirectory": turn.settings.cwd,
        "sandbox": {
            "mode": turn.settings.sandbox_mode,
            "timeoutMs": round(limits.wall_seconds * 1000),
            "memoryMb": limits.memory_bytes // (1024 * 1024),
        },
        "approvals": {"required": turn.settings.approval_policy != "never"},
    }


def refuse(step: Step, call: Call, problem: str) -> None:
    """A script that is not run: the model is told why, people are shown that, when its turn comes."""
    assert call.script is not None
    text = _PROBLEMS[problem].format(limit=call.script.job.limits.source_bytes)
    kind: ScriptFailureKind = "limit" if problem == "budget" else "syntax"
    failure = ScriptFailure(kind=kind, code=problem, message=text)
    end(step, call, _result(call, ScriptOutcome(status="refused", failure=failure)))


# --- what a script says -------------------------------------------------------------------------------------------


def told(step: Step, message: ScriptTold) -> None:
    """Something happened in it: that is logged, and shown as far as it is for people."""
    call = step.call(message.call_id)
    if call is None or call.script is None or call.phase == "answered" or step.turn.suspended:
        return
    event = message.event
    if isinstance(event, CallStarted):
        return  # it has when its worker has been given leave
    ledger = call.script.ledger.with_event(event)
    if ledger is None:
        return  # of an earlier run, or ended here
    step.put_call(call, script=_replace(call.script, ledger=ledger))
    _record(step, call, event)
    if not isinstance(event, ScriptStarted | ScriptPumped):
        happened(step, call, event)


def happened(step: Step, call: Call, event: ScriptEvent, call_item: ThreadItem | None = None) -> None:
    """Show it to people, without what a call gave: its item has that."""
    if isinstance(event, CallEnded):
        event = _replace(event, result=_replace(event.result, value="null"))
    elif isinstance(event, CallRequested):
        event = _replace(event, arguments="")
    item_id = None if call_item is None else ItemId(call_item.id)
    step.show(ScriptHappened(turn_id=step.turn.id, item_id=call.call.item_id, event=event, call_item_id=item_id))


def _record(step: Step, call: Call, event: ScriptEvent) -> None:
    step.log(ScriptRecorded(turn_id=step.turn.id, call_id=call.call_id, event=event))


# --- its calls ----------------------------------------------------------------------------------------------------


def nested_id(script: CallId, number: int) -> CallId:
    """The id of a script's call: also what the script itself knows it as."""
    return CallId(f"{script}:{number}")


def wanted(step: Step, message: NestedWanted) -> None:
    """A script makes a call: it is prepared, like any."""
    script = step.call(message.call_id)
    if script is None or script.script is None or script.phase != "running" or _ends(step, script):
        return
    turn, place = step.turn, _place(script, message)
    call_id = nested_id(script.call_id, message.number)
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
        call = Call(call=made)
        step.put_turn(calls=(*turn.calls, call), calls_used=turn.calls_used + 1)
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
    )


def unwanted(step: Step, message: NestedUnwanted) -> None:
    """A script has ended without one of its calls."""
    calls.cancel(step, nested_id(message.call_id, message.number))


def start_ready(step: Step) -> None:
    """Let run what may run now of scripts' calls.

    Those of one script share the response's lock among themselves: readers together, others alone, in the order in
    which they became ready. A question to people holds up nothing but its own call.
    """
    for script in tuple(each for each in step.turn.calls if each.script is not None and each.phase == "running"):
        if _ends(step, script):
            continue
        own = [each for each in nested(step.turn, script) if each.phase in ("preparing", "ready", "running")]
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
            event = CallStarted(number=number)
            ledger = current.script.ledger.with_event(event) or current.script.ledger
            step.put_call(current, script=_replace(current.script, ledger=ledger))
            happened(step, script, event, calls.let_run(step, call).shown)


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
        settle(step, call, Settled(outcome="done", value='{"dryRun":true}'), CallResult(outcome="done", output=""))


def nested(turn: TurnState, script: Call) -> tuple[Call, ...]:
    """The calls of a script that have not ended, in the order they were made."""
    return tuple(
        each for each in turn.calls if each.call.place is not None and each.call.place.script == script.call_id
    )


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
    _record(step, script, event)
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
    happened(step, script, event, call.shown)
    step.do(TellScript(child=script.child, order=NestedSettled(number=place.number, result=settled)))


def _goes_on(step: Step, script: Call) -> bool:
    return step.turn.closing is None and not _ends(step, script)


def value_of(result: CallResult) -> Settled:
    """What a call came to, as its script gets it."""
    text, images = _parts(result.output)
    match result.outcome:
        case "done":
            pass
        case "denied":
            return _failure("denied", "denied", text)
        case "failed":
            code = "invalid_arguments" if text.startswith("failed to parse function arguments") else "tool_failed"
            return _failure("failed", code, text)
        case "cancelled":
            return _failure("cancelled", "cancelled", text)
        case "unknown":
            return _failure("unknown", "unknown", text)
    value: Any = text
    if isinstance(result.item, CommandExecution) or result.terminal is not None:
        item = result.item if isinstance(result.item, CommandExecution) else None
        value = {"output": _output_of(text), "exitCode": None if item is None else item.exit_code}
        if result.terminal is not None:
            value["sessionId"] = result.terminal
    elif images:
        value = {"text": text, "images": images}
    return Settled(outcome="done", value=msgspec.json.encode(value).decode())


def _failure(outcome: ToolOutcome, code: str, text: str) -> Settled:
    return Settled(outcome=outcome, error=CallError(code=code, message=text, retryable=False))


def _parts(output: str | tuple[OutputPart, ...]) -> tuple[str, list[str]]:
    if isinstance(output, str):
        return output, []
    text = "\n".join(part.text for part in output if isinstance(part, InputText))
    return text, [part.image_url for part in output if isinstance(part, InputImage)]


def _output_of(text: str) -> str:
    """What a command printed, without the lines that models are told of it."""
    head, mark, output = text.partition("\nOutput:\n")
    return output if mark and head.startswith(("Chunk ID:", "Wall time:")) else text


# --- how a script ends --------------------------------------------------------------------------------------------


def end(step: Step, call: Call, result: CallResult) -> None:
    """A script has ended with this; what is left of it is ended first (`settle_ended`)."""
    assert call.script is not None
    if call.script.result is not None:
        return
    call = step.put_call(call, script=_replace(call.script, result=result))
    assert call.script is not None
    for each in nested(step.turn, call):
        if each.child in step.turn.live:
            calls.cancel(step, each.call_id)
        else:  # a question that the script has not come to again after a restart
            calls.settle(step, each, CallResult(outcome="cancelled", output=history.NOT_STARTED_OUTPUT))
    for terminal in call.script.terminals:
        step.at_once(KillTerminal(terminal=terminal.terminal))


def stop(step: Step, call: Call) -> None:
    """Tell a script that its session does not answer any more; its child is cancelled with it."""
    if call.script is not None and call.phase == "running":
        step.at_once(AbandonScript(child=call.child))


def settle_ended(step: Step) -> None:
    """Answer the scripts of which nothing is left, in the order in which they were written."""
    for call in step.turn.calls:
        script = call.script
        if script is None or call.phase == "answered":
            continue
        if script.result is None or script.terminals or nested(step.turn, call):
            return
        calls.settle(step, call, script.result)


def _ends(step: Step, script: Call) -> bool:
    current = step.call(script.call_id)
    return current is None or current.script is None or current.script.result is not None or current.cancelled


def aborted(step: Step, call: Call, status: ScriptStatus, message: str) -> CallResult:
    """What is told of a script that could not say itself how it ended: the ledger knows what its calls came to."""
    assert call.script is not None
    if call.script.result is not None:
        return call.script.result
    kind: ScriptFailureKind = "cancelled" if status == "cancelled" else "harness"
    failure = ScriptFailure(kind=kind, code=status, message=message)
    seconds = 0.0 if call.started_at is None else step.at.now - call.started_at
    return _result(call, ended_outcome(call.script, status, failure, seconds))


def ended_outcome(script: Script, status: ScriptStatus, failure: ScriptFailure, seconds: float) -> ScriptOutcome:
    """The outcome of a script whose process can say nothing any more."""
    return ScriptOutcome(
        status=status,
        failure=failure,
        calls=script.ledger.reports(),
        console=script.ledger.console,
        wall_seconds=seconds,
    )


def _result(call: Call, outcome: ScriptOutcome) -> CallResult:
    assert call.script is not None
    text = render(outcome, dry=call.script.job.mode == "dry-run")
    item = call.shown or shown(call.call, call.script.job)
    assert isinstance(item, DynamicToolCall)
    return CallResult(outcome=outcome_of(outcome), output=text, item=finished(item, outcome, text))


def never_run(text: str) -> str:
    """What is told of a script that no life of the daemon began to run."""
    return wrapped("cancelled", text)


def terminal_ended(step: Step, terminal: int, item: ThreadItem) -> bool:
    """A command that a script's call had left running is over. False: it is none of a script's."""
    turn = step.state.turn
    for call in () if turn is None else turn.calls:
        script = call.script
        if script is None or all(each.terminal != terminal for each in script.terminals):
            continue
        left = tuple(each for each in script.terminals if each.terminal != terminal)
        step.put_call(call, script=_replace(script, terminals=left))
        step.complete_item(step.turn.id, item)
        return True
    return False
