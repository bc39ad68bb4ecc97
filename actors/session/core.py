"""The session: what happens to one thread, decided without doing any of it.

`handle(state, message, at) -> (state, effects)` is the whole of it. Its rules:

1. One turn at a time; a turn ends exactly once, and only when nothing of it is left.
2. History is made of whole items that the log has; deltas are for eyes. A response counts when its own terminal event
   arrived, and only then do its calls start.
3. Append, then show: whatever a step logs is one write, ahead of everything the step shows or starts (`step`).
4. Each started item completes exactly once, each call starts at most once, each question has one answer.
5. What a message made possible is done before the next message is looked at (`turns.advance`).

How it is cut: `turns` begin, are steered and advance; `sampling` hears the model; `calls`, `approvals` and
`scheduling` are the tools' side; `terminals` outlive turns; `closing` ends them; `views` are for clients. Each function
takes a `Step` (the state being replaced and the effects so far). Nothing here imports trio, a clock or a file.

Rejected: a coroutine per turn (reads well, but what it waits for cannot be inspected, rebuilt from a log, or tested
without running it), and a state class per phase (calls, streams and questions overlap freely; facts do not).
"""

from __future__ import annotations

from typing import assert_never

from actors.session import (
    approvals,
    calls,
    client_calls,
    closing,
    compact_hooks,
    context,
    hooking,
    nested,
    prompting,
    retrying,
    sampling,
    scripts,
    spawns,
    terminals,
    turns,
    undo,
    views,
)
from actors.session.effects import (
    ApprovalDue,
    Asked,
    Cancel,
    ChildDown,
    ChildId,
    ContextGathered,
    Effect,
    GiveSubscription,
    GiveView,
    HooksAnswered,
    Input,
    Instant,
    Quarantined,
    Stop,
    StorageLost,
    Token,
    TurnDue,
    UndoEnded,
)
from actors.session.state import Closing, SessionState, only_people_missing
from actors.session.step import Step
from messages.approval import ApprovalDecision
from messages.failure import Failure
from messages.hooks import HookReported
from messages.log import MessageQuarantined, ThreadNamed
from messages.model import (
    ItemBegan,
    ItemFinished,
    SampleCompleted,
    SampleFailed,
    SampleRetrying,
    TextBegan,
)
from messages.rules import RulesAmended
from messages.script import NestedUnwanted, NestedWanted, ScriptTold
from messages.session import (
    AnswerClientCall,
    CancelToolCall,
    CleanTerminals,
    CloseThread,
    CompactThread,
    InterruptTurn,
    ListTerminals,
    NameChanged,
    ReadThread,
    ResolveApproval,
    RunScript,
    RunUserCommand,
    SetThreadName,
    StartTurn,
    SteerTurn,
    Subscribe,
    TerminateTerminal,
    UndoTurn,
    Unsubscribe,
    UpdateSettings,
    Warned,
)
from messages.tools import ClientAsked, RunDenied, TerminalEnded, TerminalWritten, ToolFinished, ToolPrepared


def handle(state: SessionState, message: Input, at: Instant) -> tuple[SessionState, tuple[Effect, ...]]:
    """The next state, and what is to be done, in order."""
    step = Step(state, at)
    match message:
        case Asked():
            _command(step, message)
        case ItemBegan() | TextBegan() | ItemFinished() | SampleCompleted() | SampleRetrying() | SampleFailed():
            sampling.hear(step, message)
        case ToolPrepared():
            calls.prepared(step, message)
        case RunDenied():
            retrying.denied(step, message)
        case ToolFinished():
            calls.finished(step, message)
        case ClientAsked():
            client_calls.asked(step, message)
        case TerminalWritten():
            terminals.written(step, message)
        case TerminalEnded():
            terminals.ended(step, message)
        case ScriptTold():
            scripts.told(step, message)
        case NestedWanted():
            nested.wanted(step, message)
        case NestedUnwanted():
            nested.unwanted(step, message)
        case ApprovalDue():
            calls.expired(step, message.approval_id)
        case ChildDown():
            _child_down(step, message.child, message.crash)
        case ContextGathered():
            context.gathered(step, message)
        case HooksAnswered():
            _hooks_answered(step, message)
        case HookReported():
            step.show(message)
        case UndoEnded():
            undo.ended(step, message)
        case TurnDue():
            turns.due(step, message.turn_id)
        case StorageLost():
            _storage_lost(step, message.failure)
        case RulesAmended():
            if message.error is not None:
                step.show(
                    Warned(message=f"The rule could not be kept, and holds until the daemon ends: {message.error}")
                )
        case Quarantined():
            step.log(MessageQuarantined(kind=message.kind, reason=message.reason))
            step.show(Warned(message=f"A {message.kind} broke this thread twice and will not be tried again."))
        case _:
            assert_never(message)
    turns.advance(step)
    _stop_when_done(step)
    return step.finish()


def _command(step: Step, asked: Asked) -> None:
    command, token = asked.command, asked.token
    match command:
        case StartTurn():
            turns.start(step, asked, command)
        case SteerTurn():
            turns.steer(step, token, command)
        case RunUserCommand():
            turns.run_command(step, asked, command)
        case RunScript():
            turns.run_script(step, asked, command)
        case CompactThread():
            turns.compact(step, asked, command)
        case InterruptTurn():
            turns.interrupt(step, token, command)
        case CancelToolCall():
            step.reply(token, calls.cancel(step, command.call_id))
        case ResolveApproval():
            step.reply(token, _resolve(step, command))
        case AnswerClientCall():
            step.reply(token, client_calls.answered(step, command))
        case UndoTurn():
            undo.begin(step, token, command)
        case Subscribe():
            if token is not None:
                view = views.thread(step.state, include_turns=command.include_turns)
                step.do(GiveSubscription(token=token, view=view, after_seq=command.after_seq, epoch=command.epoch))
        case Unsubscribe():
            step.reply(token, None)
        case ReadThread():
            if token is not None:
                view = views.thread(step.state, include_turns=command.include_turns)
                step.do(GiveView(token=token, view=view))
        case SetThreadName():
            step.put(summary=views.named(step.state.summary, command.name))
            step.log(ThreadNamed(name=command.name))
            step.reply(token, None)
            step.show(NameChanged(name=command.name))
        case UpdateSettings():
            turns.change_settings(step, command.settings)
            step.reply(token, step.state.settings)
        case ListTerminals():
            step.reply(token, (*terminals.views(step.state.terminals), *spawns.views(step.state.spawned)))
        case TerminateTerminal():
            step.reply(token, terminals.kill(step, command.terminal))
        case CleanTerminals():
            step.reply(token, terminals.kill_all(step))
        case CloseThread():
            _close(step, token, suspend=command.suspend)
        case _:
            assert_never(command)


def _resolve(step: Step, answer: ResolveApproval) -> bool:
    turn = step.state.turn
    call = approvals.find(step, answer.approval_id)
    if turn is None or turn.closing is not None or turn.suspended or call is None:
        return False
    calls.decided(step, call, answer)
    if answer.decision == "cancel":
        closing.begin(step, Closing(status="interrupted"))
    return True


def _hooks_answered(step: Step, answer: HooksAnswered) -> None:
    decision = answer.verdict.decision
    if answer.approval_id is None:
        if not (prompting.heard(step, answer) or compact_hooks.heard(step, answer)):
            hooking.heard_about_stop(step, answer)
    elif decision is not None and not (decision == "allow" and retrying.is_open(step, answer.approval_id)):
        # A program may keep a command in its sandbox; letting one out is for people.
        word: ApprovalDecision = "accept" if decision == "allow" else "decline"
        _resolve(step, ResolveApproval(approval_id=answer.approval_id, decision=word, by="hook"))


def _child_down(step: Step, child: ChildId, crash: str | None) -> None:
    spawns.down(step, child)
    if undo.down(step, child, crash):
        turns.start_waiting(step)
    turn = step.state.turn
    if turn is not None and child in turn.live:
        step.put_turn(live=turn.live - {child})
        context.down(step, child, crash)
        hooking.down(step, child)
        prompting.down(step, child)
        compact_hooks.down(step, child)
        sampling.down(step, child, crash)
        calls.down(step, child)


def _storage_lost(step: Step, failure: Failure) -> None:
    """Nothing more can be promised about this turn, so it ends; what was not written stays queued to be."""
    turn = step.state.turn
    if turn is None:
        step.show(Warned(message=failure.message))
    elif turn.closing is None:
        closing.begin(step, Closing(status="failed", failure=failure))


def _close(step: Step, token: Token | None, *, suspend: bool) -> None:
    state = step.state
    first = state.stopping is None
    step.put(stopping=(*(state.stopping or ()), *(() if token is None else (token,))))
    if not first:
        return
    terminals.kill_all(step)
    turn = state.turn
    if turn is None:
        return
    if suspend and only_people_missing(turn):
        for call in turn.calls:
            scripts.stop(step, call)
        step.put_turn(suspended=True)
        for child in sorted(turn.live):
            step.at_once(Cancel(child=child))
    else:
        closing.begin(step, Closing(status="interrupted"))


def _stop_when_done(step: Step) -> None:
    state = step.state
    spawned = any(each.told is None for each in state.spawned)
    if state.stopping is None or state.terminals or spawned or state.undoing is not None:
        return
    if state.turn is None or (state.turn.suspended and not state.turn.live):
        for token in state.stopping:
            step.reply(token, None)
        step.put(stopping=())
        step.do(Stop())
