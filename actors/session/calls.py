"""The calls of one response: from prepared to answered, each at most once.

A call's outcome ledger in the log is `ToolStarted` (durable first, if the call can change anything), then its output.
Outputs are logged, and their items complete, as the calls end; the model is sent them in its own order, and so they
are read back (`rollout_writer/transcript.py`). `start_ready` and `all_answered` are called after every message (see
`turns.advance`), so nothing here has to remember what might have become possible.
"""

from __future__ import annotations

from typing import assert_never

from actors.sandbox_pool.scanner import Block
from actors.session import approvals, asides, client_calls, granting, history, nested, nested_value, scripts, spawns
from actors.session.effects import (
    AmendRules,
    AttachOutput,
    Cancel,
    ChildId,
    KeepResult,
    KillTerminal,
    PassTerminal,
    RunTool,
    StartTool,
)
from actors.session.scheduling import Place, Waiting, may_start
from actors.session.shown import ended, partial, refused, stamped
from actors.session.state import Call, CallPhase, CallResult, Terminal
from actors.session.step import Step, item_id
from actors.tool_worker import permissions
from actors.tool_worker.approval import Ask, Refuse, Run, decide, grants_for, leaves_sandbox
from actors.tool_worker.turn_diff import TurnDiff
from messages.approval import QuestionNeed
from messages.base import CallId, ItemId
from messages.client.item import CommandExecution, ThreadItem
from messages.items import CustomToolCall, HistoryItem
from messages.log import ResponseItem, TerminalPassed, ToolStarted
from messages.script import CallError, ScriptStatus
from messages.script import CallResult as Settled
from messages.session import DiffUpdated, PlanUpdated, ResolveApproval
from messages.tools import ToolCall, ToolFinished, ToolPrepared

USERS_COMMAND = "user_shell"
"""What a person's own command is called in the log's ledger."""

PLACES: dict[CallPhase, Place] = {
    "preparing": "waiting",
    "asking": "waiting",
    "ready": "ready",
    "running": "running",
    "answered": "over",
}


def start(step: Step, wanted: tuple[HistoryItem | Block, ...]) -> None:
    """Have a worker prepare each call and script. Those beyond the turn's budget are answered at once instead."""
    turn = step.turn
    room = max(turn.budget.tool_calls - turn.calls_used, 0)
    made: list[Call] = []
    for each in wanted:
        if isinstance(each, Block):
            made.append(scripts.make(step, each, behind=sum(call.script is None for call in made)))
        else:
            made.append(Call(call=tool_call(step, each, ItemId(step.new_id()))))
    broken: dict[ChildId, str] = {
        call.child: each.problem
        for call, each in zip(made, wanted, strict=True)
        if isinstance(each, Block) and each.problem is not None
    }
    broken |= {call.child: "budget" for call in made[room:] if call.script is not None}
    begun = [call for call in made[:room] if call.child not in broken]
    live = turn.live | {call.child for call in begun}
    step.put_turn(calls=tuple(made), calls_used=turn.calls_used + len(made), live=live)
    step.do(*(StartTool(call=call.call, script=call.script.job if call.script else None) for call in begun))
    for call in made[room:]:
        if call.script is None:
            output = history.over_budget_output(turn.budget.tool_calls)
            settle(step, call, CallResult(outcome="denied", output=output))
    for call in made:
        if call.child in broken:
            scripts.refuse(step, call, broken[call.child])


def start_users(step: Step, command: str, timeout_seconds: float | None) -> None:
    """Have a worker prepare the command line that a person typed, as the turn's only call."""
    made = users_call(step, command, timeout_seconds)
    step.put_turn(calls=(made,), live=step.turn.live | {made.child})


def users_call(step: Step, command: str, timeout_seconds: float | None) -> Call:
    """The call of what a person typed; its worker is started."""
    turn = step.turn
    shown_as = ItemId(step.new_id())
    call = ToolCall(
        thread_id=step.state.thread_id,
        turn_id=turn.id,
        call_id=CallId(shown_as),
        item_id=shown_as,
        name=USERS_COMMAND,
        arguments=command,
        freeform=True,
        idempotency_key=f"{step.state.thread_id}/{turn.id}/{shown_as}",
        by="user",
        timeout_seconds=timeout_seconds,
    )
    step.do(StartTool(call=call))
    return Call(call=call)


def tool_call(step: Step, item: HistoryItem, shown_as: ItemId) -> ToolCall:
    """A call that a model made, with what its worker needs to know of its place."""
    call = history.call_of(item)
    assert call is not None, "unreadable calls never get here"
    turn_id, thread_id = step.turn.id, step.state.thread_id
    freeform = isinstance(call, CustomToolCall)
    namespace = None if isinstance(call, CustomToolCall) else call.namespace
    return ToolCall(
        thread_id=thread_id,
        turn_id=turn_id,
        call_id=call.call_id,
        item_id=shown_as,
        name=call.name if namespace is None else f"{namespace}/{call.name}",
        arguments=call.input if isinstance(call, CustomToolCall) else call.arguments,
        freeform=freeform,
        idempotency_key=f"{thread_id}/{turn_id}/{shown_as}",
    )


def prepared(step: Step, event: ToolPrepared) -> None:
    """A worker knows what its call would do: see whether people must be asked."""
    call = step.call(event.call_id)
    if call is not None and call.script is not None and call.phase == "running" and not call.prepared:
        # It had been given leave before a restart, and is replayed.
        step.put_call(call, prepared=True)
        step.do(RunTool(child=call.child, call_id=call.call_id))
        return
    if call is None or call.prepared or call.phase not in ("preparing", "asking"):
        return
    if call.cancelled or step.turn.closing is not None or step.turn.suspended:
        return
    if call.shown is not None:
        # Shown before a restart: what its new worker prints belongs there.
        _attach_output(step, call, call.shown)
    call = step.put_call(
        call,
        item=event.item,
        prepared=True,
        parallel_safe=event.parallel_safe,
        side_effects=event.side_effects,
        need=event.approval,
        fault=event.fault,
    )
    _consider(step, call)


def _show(step: Step, call: Call) -> Call:
    """Show a call's item as started. The caller logs it in the same step, so that after any crash it is completed."""
    if call.shown is not None or call.item is None:
        return call
    shown = step.start_item(call.item)
    _attach_output(step, call, shown)
    return step.put_call(call, shown=shown)


def _attach_output(step: Step, call: Call, shown: ThreadItem) -> None:
    if isinstance(shown, CommandExecution):
        step.do(AttachOutput(turn_id=step.turn.id, item_id=item_id(shown), child=call.child))


def _consider(step: Step, call: Call) -> None:
    """Decide what a prepared call needs: nothing, a person's word, or a refusal."""
    if call.approval is not None:
        if call.approval.need == call.need:
            return
        call = approvals.close(step, call)
    if call.granted is not None and call.granted == call.need:
        step.put_call(call, phase="ready", unconfined=leaves_sandbox(call.granted))
        return
    if call.call.by == "user":
        step.put_call(call, phase="ready")  # whoever typed it has said yes
        return
    if isinstance(call.need, QuestionNeed):
        if nested.only_tried(step, call):
            step.put_call(call, phase="ready")
        else:
            approvals.pass_on(step, call, call.need)
        return
    decision = decide(step.turn.settings.approval_policy, call.need, step.state.grants)
    match decision:
        case Run():
            step.put_call(call, phase="ready", unconfined=decision.unconfined)
        case Ask() if nested.only_tried(step, call):
            step.put_call(call, phase="ready")
        case Ask():
            assert call.need is not None
            approvals.ask(step, _show(step, call), call.need, decision)
        case Refuse():
            refuse(step, call, approvals.refusal(call.need, decision.text), why=decision.text)
        case _:
            assert_never(decision)


def refuse(step: Step, call: Call, output: str, *, why: str | None = None) -> None:
    """Answer a call with a denial; its worker, which waits for leave to run, is let go. ``why``: for people, where it
    was not they who refused."""
    call = _show(step, call)
    item = None if call.shown is None or why is None else refused(call.shown, why)
    settle(step, call, CallResult(outcome="denied", output=output, item=item))
    step.at_once(Cancel(child=call.child))


def keep(step: Step, call: Call, why: str) -> None:
    """A call's run in the sandbox is its last; its worker says so under the output, and ends."""
    step.put_call(call, phase="running")
    step.do(KeepResult(child=call.child, call_id=call.call_id, why=why))


def told(step: Step, call: Call, output: str) -> None:
    """What people answered is what the call comes to, and its worker has nothing to do."""
    settle(step, call, CallResult(outcome="done", output=output))
    step.at_once(Cancel(child=call.child))


def decided(step: Step, call: Call, answer: ResolveApproval) -> None:
    """A person answered the question about this call."""
    assert call.approval is not None
    need = call.approval.need
    answer = approvals.understood(answer, need)
    call = approvals.close(step, call, answer)
    if call.ran is not None and answer.decision in ("decline", "cancel"):
        keep(step, call, approvals.NOT_RUN_AGAIN)
        return
    if isinstance(need, QuestionNeed) and answer.decision in ("accept", "acceptForSession"):
        told(step, call, approvals.given(need, answer.answers))
        return
    if answer.granted is not None:
        granting.give(step, answer.granted)
        told(step, call, permissions.told(answer.granted))
        return
    match answer.decision:
        case "accept" | "acceptForSession" | "acceptWithExecpolicyAmendment":
            if answer.decision == "acceptForSession" and not isinstance(need, QuestionNeed):
                new = tuple(grant for grant in grants_for(need) if grant not in step.state.grants)
                step.put(grants=(*step.state.grants, *new))
            if answer.amendment is not None:
                step.do(AmendRules(prefix=answer.amendment))
            phase: CallPhase = "ready" if call.prepared else "preparing"
            step.put_call(call, phase=phase, granted=need, unconfined=leaves_sandbox(need), ran=None)
        case "decline" | "cancel":
            refuse(step, call, approvals.rejection(need))
        case _:
            assert_never(answer.decision)


def expired(step: Step, approval_id: str) -> None:
    """Nobody has answered a script's question in time."""
    call = approvals.find(step, approval_id)
    if call is None or step.turn.closing is not None or step.turn.suspended:
        return
    call = approvals.close(step, _show(step, call))
    if call.ran is not None:
        keep(step, call, approvals.NOBODY_SAID)
        return
    settled = Settled(outcome="denied", error=CallError(code="expired", message=history.EXPIRED_OUTPUT))
    nested.settle(step, call, settled, CallResult(outcome="denied", output=history.EXPIRED_OUTPUT))
    step.at_once(Cancel(child=call.child))


def start_ready(step: Step) -> None:
    """Let run what may run now."""
    turn = step.turn
    own = [call for call in turn.calls if call.call.place is None]
    for index in may_start([Waiting(PLACES[call.phase], call.parallel_safe) for call in own]):
        let_run(step, own[index])
    if len(own) < len(turn.calls):
        nested.start_ready(step)


def let_run(step: Step, call: Call) -> Call:
    """Show it, enter it into the ledger, and give its worker leave: from here on it may have taken effect."""
    call = _show(step, call)
    step.log(
        ToolStarted(
            turn_id=step.turn.id,
            call_id=call.call_id,
            item_id=call.call.item_id,
            name=call.call.name,
            idempotency_key=call.call.idempotency_key,
            item=call.shown,
            place=call.call.place,
        ),
        barrier=call.side_effects,
    )
    call = step.put_call(call, phase="running", started_at=step.at.now)
    step.do(RunTool(child=call.child, call_id=call.call_id, unconfined=call.unconfined))
    return call


def finished(step: Step, event: ToolFinished) -> None:
    """A worker says what its call came to. Only the first word counts."""
    if spawns.finished(step, event):
        return
    call = step.call(event.call_id)
    turn = step.state.turn
    if call is None or call.phase == "answered" or turn is None:
        _disown(step, event.terminal)
        return
    if turn.closing is not None and event.terminal is not None:
        # Its answer can only be that it was aborted: the command ends with its call, and the turn waits for that.
        if call.left is None:
            _disown(step, event.terminal)
        return
    result = CallResult(
        outcome=event.outcome,
        output=event.output,
        item=event.item,
        terminal=event.terminal,
        revisions=event.revisions,
        plan=event.plan,
        plan_explanation=event.plan_explanation,
        kept=event.kept,
    )
    if call.script is not None:
        scripts.end(step, call, result)
    else:
        settle(step, call, result)


def _disown(step: Step, terminal: int | None) -> None:
    """End a command whose session id the model will never hear of; a turn that runs waits for its end."""
    if terminal is not None:
        step.at_once(KillTerminal(terminal=terminal))
        if step.state.turn is not None:
            step.put_turn(dying=step.turn.dying | {terminal})


def down(step: Step, child: ChildId) -> None:
    """A worker ended. Without a result it crashed or was cancelled; a crash never harms more than its own call."""
    turn = step.turn
    call = next((each for each in (*turn.calls, *turn.asides) if each.child == child), None)
    if call is None or call.phase == "answered" or step.turn.closing is not None or step.turn.suspended:
        return
    if call.script is not None:
        status: ScriptStatus = "cancelled" if call.cancelled else "crashed"
        message = "it was cancelled" if call.cancelled else "the task that ran it broke down"
        scripts.end(step, call, scripts.aborted(step, call, status, message))
        return
    if call.cancelled or call.ran is not None:
        result = aborted(step, call)
    elif call.started_at is None:
        result = CallResult(outcome="failed", output=history.NOT_STARTED_OUTPUT)
    else:
        result = CallResult(outcome="unknown", output=history.UNKNOWN_OUTPUT)
    settle(step, call, result)


def cancel(step: Step, call_id: CallId) -> bool:
    """Stop one call and leave its siblings alone. False if it is not one that can be stopped.

    It may be named by its item's id: that is the one that clients see.
    """
    if spawns.cancel_named(step, call_id):
        return True
    turn = step.state.turn
    call = step.call(call_id) or _shown_as(step, call_id)
    if turn is None or call is None or turn.closing is not None or call.phase == "answered" or call.cancelled:
        return False
    if call.approval is not None:
        call = approvals.close(step, call)
    call = step.put_call(call, cancelled=True, phase="running" if call.started_at is not None else "preparing")
    scripts.stop(step, call)
    step.at_once(Cancel(child=call.child))
    return True


def _shown_as(step: Step, item_id: str) -> Call | None:
    turn = step.state.turn
    every = () if turn is None else (*turn.calls, *turn.asides)
    return next((call for call in every if call.call.item_id == item_id), None)


def aborted(step: Step, call: Call) -> CallResult:
    """The result of a call that was stopped before it had one."""
    closing = step.turn.closing
    failure = None if closing is None else closing.failure
    if call.script is not None:
        by = "the user interrupted the turn" if failure is None else f"the turn ended: {failure.message}"
        return scripts.aborted(step, call, "cancelled", by)
    if call.ran is not None:
        return call.ran
    seconds = None if call.started_at is None else step.at.now - call.started_at
    return CallResult(outcome="cancelled", output=history.aborted_output(call.call.name, seconds, failure))


def settle(step: Step, call: Call, result: CallResult) -> None:
    """A call has ended: log what the model will be told, and complete its item or pass it to the thread."""
    if any(each.child == call.child for each in step.turn.asides):
        asides.settle(step, call, result)
        return
    if call.approval is not None:
        call = approvals.close(step, call)
    call = client_calls.give_up(step, call)
    if call.shown is None and result.item is not None:
        call = step.put_call(call, shown=step.start_item(result.item))
    turn = step.turn
    if call.call.place is not None:
        nested.settle(step, call, nested_value.value_of(result), result)
    else:
        output = history.output_item(call.call, result.output, failed=result.outcome != "done")
        shown_as = None if call.shown is None else item_id(call.shown)
        step.log(ResponseItem(turn_id=turn.id, item=output, item_id=shown_as))
        if call.shown is not None:
            _settle_shown(step, call, result)
        step.put_call(call, phase="answered", output=output)
        step.put_turn(output_bytes=turn.output_bytes + history.output_bytes(result.output))
    if result.revisions:
        diff = (turn.diff or TurnDiff(root=turn.settings.cwd)).record(result.revisions)
        step.put_turn(diff=diff)
        step.show(DiffUpdated(turn_id=turn.id, diff=diff.render()))
    if result.plan is not None:
        step.show(PlanUpdated(turn_id=turn.id, explanation=result.plan_explanation, plan=result.plan))


def all_answered(step: Step) -> bool:
    """Whether nothing of the response is left to be done; then its outputs go into history, in the model's order."""
    calls = step.turn.calls
    if any(call.output is None for call in calls):
        return False
    if calls:
        ordered = sorted(calls, key=lambda call: call.script is not None)  # what scripts gave is no output of a call
        outputs = tuple(call.output for call in ordered if call.output is not None)
        step.put(history=step.state.history + outputs)
        asks = any(call.call.by in ("model", "block") for call in calls)
        step.put_turn(calls=(), follow_up=step.turn.follow_up or asks)
    return True


def _settle_shown(step: Step, call: Call, result: CallResult) -> None:
    turn = step.turn
    assert call.shown is not None
    if result.terminal is None:
        complete(step, call, result)
        return
    open_item = stamped(result.item or call.shown, started_at_ms=call.shown.started_at_ms)
    step.log(TerminalPassed(turn_id=turn.id, call_id=call.call_id, terminal=result.terminal, item=open_item))
    step.update_shown(open_item)
    passed = Terminal(
        terminal=result.terminal,
        turn_id=turn.id,
        call_id=call.call_id,
        item=open_item,
        started_at=call.started_at or step.at.now,
    )
    step.put(terminals=(*step.state.terminals, passed))
    step.do(PassTerminal(terminal=result.terminal))


def complete(step: Step, call: Call, result: CallResult) -> None:
    """Complete the item of a call that has ended."""
    assert call.shown is not None
    item = result.item or ended(partial(call.shown, step.at.texts.partial(item_id(call.shown))), result.outcome)
    step.complete_item(step.turn.id, item)
