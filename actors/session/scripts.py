"""The scripts of a response: each a call of its own, whose calls are calls like any other.

A script is a `Call` made `by="block"`: it takes its place among the structured calls in the order written, alone, and
what it comes to is told as a user's message behind the outputs. One that a person wrote (`users_block`) is the only
call of a turn in which no model is asked. Its calls are in `nested.py`.

The log holds a script's life in the order in which it happened, so that it can be replayed: what it asked for and was
told (`ScriptRecorded`), the start of each call (`ToolStarted`, with its place), each call's result in full. All of it
is in the log before anything follows from it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from actors.rollout_writer.loaded import OpenScript
from actors.sandbox_pool.report import render, wrapped
from actors.sandbox_pool.scanner import Block
from actors.sandbox_pool.worker import finished, outcome_of, shown
from actors.session import calls, history
from actors.session.effects import AbandonScript, KillTerminal, StartTool
from actors.session.ledger import ledger_of
from actors.session.scripting import scripting_of
from actors.session.state import Call, CallResult, Script, Scripting, TurnState
from actors.session.step import Step
from messages.base import CallId, ItemId
from messages.client.item import DynamicToolCall, ThreadItem
from messages.log import ScriptRecorded, ScriptWritten
from messages.script import (
    CallEnded,
    CallRequested,
    CallStarted,
    ScriptChoice,
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
from messages.session import ScriptHappened
from messages.tools import ToolCall

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
    scripting = step.turn.scripting
    assert scripting is not None, "without scripts, a block is text"
    return _make(step, scripting, block.source, behind=behind, by="model")


def start_users(step: Step, source: str, scripting: Scripting) -> None:
    """Have a script that a person wrote run, as the turn's only call."""
    made = _make(step, scripting, source, behind=0, by="user")
    assert made.script is not None
    step.put_turn(calls=(made,), live=step.turn.live | {made.child})
    step.do(StartTool(call=made.call, script=made.script.job))


def _make(step: Step, scripting: Scripting, source: str, *, behind: int, by: Literal["model", "user"]) -> Call:
    turn, offer = step.turn, step.state.offer.scripts
    assert offer is not None, "what a turn has, its thread was offered"
    call = call_of(step, source, ItemId(step.new_id()), by=by)
    room = max(turn.budget.tool_calls - turn.calls_used, 0)
    job = ScriptJob(
        mode=scripting.mode,
        tools=scripting.tools,
        limits=_replace(offer.limits, calls=min(offer.limits.calls, room)),
        context=_context(step, offer.limits),
        sees=_sees(step),
    )
    step.log(
        ScriptWritten(
            turn_id=turn.id,
            call_id=call.call_id,
            item_id=call.item_id,
            source=source,
            source_hash=hashlib.sha256(source.encode("utf-8", "replace")).hexdigest(),
            behind=behind,
            mode=job.mode,
            tools=tuple(dict.fromkeys(tool.tool for tool in job.tools if tool.tool and not tool.spawned)),
            limits=job.limits,
            context=job.context,
            by=by,
        )
    )
    return Call(call=call, script=Script(job=job))


def call_of(step: Step, source: str, item_id: ItemId, *, by: Literal["model", "user"]) -> ToolCall:
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
        by="block" if by == "model" else "users_block",
    )


def taken_up(step: Step, opened: OpenScript) -> Call:
    """The script of a turn that is taken up again: answered, to be replayed, or to be begun."""
    written = opened.written
    choice = ScriptChoice(mode=written.mode, allowed_tools=written.tools)
    scripting = scripting_of(step.state.offer, step.turn.settings, choice)
    call = call_of(step, written.source, written.item_id, by=written.by)
    job = ScriptJob(
        mode=written.mode,
        tools=() if scripting is None else scripting.tools,
        limits=written.limits,
        context=written.context,
        log=opened.log,
        sees=_sees(step),
    )
    made = Call(call=call, script=Script(job=job, ledger=ledger_of(opened.log)))
    if opened.output is not None:
        return _replace(made, phase="answered", output=opened.output)
    if opened.started is None:
        return made
    return _replace(made, phase="running", started_at=step.at.now, shown=opened.started.item)


def _sees(step: Step) -> bool:
    settings = step.turn.settings
    return "images" not in step.state.offer.abilities(settings.provider, settings.model).lacks


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
    record(step, call, event)
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


def record(step: Step, call: Call, event: ScriptEvent) -> None:
    """Into the log, before anything follows from it."""
    step.log(ScriptRecorded(turn_id=step.turn.id, call_id=call.call_id, event=event))


# --- its calls ----------------------------------------------------------------------------------------------------


def nested_id(script: CallId, number: int) -> CallId:
    """The id of a script's call: also what the script itself knows it as."""
    return CallId(f"{script}:{number}")


def nested(turn: TurnState, script: Call) -> tuple[Call, ...]:
    """The calls of a script that have not ended, in the order they were made."""
    return tuple(
        each for each in turn.calls if each.call.place is not None and each.call.place.script == script.call_id
    )


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


def ends(step: Step, script: Call) -> bool:
    """Whether no new call of it counts any more."""
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
