"""Calls that outlive their script (`tools.spawn`): they belong to the thread from their start on, and end with it.

To its script such a call is over when it has begun: the promise resolves to a task number. The call itself goes on with
the worker it has; neither the script's end, nor the turn's, nor an interrupt touches it, as little as they do a
background command, beside which it is listed and can be ended. It ends by itself, by a cancel of a client's or a
script's, or with the thread. It has exactly one outcome, in the log, and the model is told of it once, where input may
enter next. What the daemon did not live to see the end of is unknown, and is never begun again.

No deadline: a server that is kept running is what this is for. Their number is bounded, and people see them.
"""

from __future__ import annotations

import msgspec

from actors.sandbox_pool.declarations import SPAWN_CANCEL, SPAWN_LIST
from actors.sandbox_pool.limits import SPAWNS_MAX
from actors.sandbox_pool.report import spawn_report
from actors.session import history, nested, nested_value
from actors.session.effects import Cancel, ChildId, KillTerminal
from actors.session.shown import ended, partial
from actors.session.state import Call, CallResult, Spawned
from actors.session.step import Step, item_id
from actors.tool_worker.truncation import TruncationPolicy, truncate
from messages.client.item import CommandExecution, ThreadItem
from messages.log import CallSpawned, SpawnEnded
from messages.script import CallError
from messages.script import CallResult as Settled
from messages.session import TerminalView
from messages.tools import ToolFinished, ToolOutcome

TOLD = TruncationPolicy(mode="bytes", limit=16 * 1024)
"""Of what such a call gave, in the words for the model: it did not ask for them now."""

ABOUT_CHARS = 200
"""Of what a call is about, in lists."""

VERBS = (SPAWN_LIST, SPAWN_CANCEL)
"""What scripts ask of their thread, and no tool of the registry answers."""

_replace = msgspec.structs.replace


class _Cancel(msgspec.Struct, frozen=True, kw_only=True):
    task: int


_cancel: msgspec.json.Decoder[_Cancel] = msgspec.json.Decoder(_Cancel)


# --- a script's side ----------------------------------------------------------------------------------------------


def no_room(step: Step) -> Settled | None:
    """Why no other can be spawned now."""
    turn = step.turn
    coming = sum(1 for call in turn.calls if call.call.place is not None and call.call.place.spawned)
    if len(_living(step)) + coming < SPAWNS_MAX:
        return None
    text = f"{SPAWNS_MAX} spawned calls run in this thread already; cancel one (tools.spawn.cancel) or wait for its end"
    return Settled(outcome="failed", error=CallError(code="limit", message=text))


def begin(step: Step, call: Call) -> None:
    """A script's call has been given leave: it is the thread's from here on, and the script's promise resolves."""
    turn, task = step.turn, step.state.next_task
    assert call.call.place is not None
    step.log(
        CallSpawned(turn_id=turn.id, call_id=call.call_id, item_id=call.call.item_id, task=task, name=call.call.name)
    )
    spawned = Spawned(task=task, call=call, turn_id=turn.id, cwd=turn.settings.cwd)
    step.put(spawned=(*step.state.spawned, spawned), next_task=task + 1)
    step.put_turn(live=turn.live - {call.child})
    settled = Settled(outcome="done", value=msgspec.json.encode({"task": task}).decode())
    nested.settle(step, _replace(call, shown=None), settled, CallResult(outcome="done", output=""))


def answer(step: Step, call: Call) -> Settled:
    """What `tools.spawn.list` and `tools.spawn.cancel` come to."""
    if call.call.name == SPAWN_LIST:
        rows = [
            {
                "task": each.task,
                "tool": each.call.call.name,
                "about": _about(each),
                "seconds": round(step.at.now - (each.call.started_at or step.at.now), 1),
            }
            for each in _living(step)
        ]
        return Settled(outcome="done", value=msgspec.json.encode(rows).decode())
    try:
        task = _cancel.decode(call.call.arguments).task
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        text = f"spawn.cancel takes {{ task: number }}: {error}"
        return Settled(outcome="failed", error=CallError(code="invalid_arguments", message=text))
    return Settled(outcome="done", value="true" if cancel(step, task) else "false")


# --- how they end -------------------------------------------------------------------------------------------------


def cancel(step: Step, task: int) -> bool:
    """Tell one to end; False if none of that number runs."""
    found = next((each for each in _living(step) if each.task == task), None)
    if found is None:
        return False
    if not found.dying:
        _put(step, _replace(found, dying=True))
        if found.terminal is not None:
            step.at_once(KillTerminal(terminal=found.terminal))
        else:
            step.at_once(Cancel(child=found.call.child))
    return True


def cancel_named(step: Step, name: str) -> bool:
    """The same for its call's id or its item's, as clients know it."""
    found = next((each for each in _living(step) if name in (each.call.call_id, each.call.call.item_id)), None)
    return found is not None and cancel(step, found.task)


def cancel_all(step: Step) -> int:
    """Tell all to end; how many."""
    living = [each.task for each in _living(step) if not each.dying]
    for task in living:
        cancel(step, task)
    return len(living)


def finished(step: Step, event: ToolFinished) -> bool:
    """A worker says what its call came to; False if the call is none of these."""
    found = next((each for each in step.state.spawned if each.call.call_id == event.call_id), None)
    if found is None:
        return False
    if found.told is not None or found.terminal is not None:
        return True  # only the first word counts
    if event.terminal is not None:  # the command goes on
        item = event.item or found.call.shown
        _put(step, _replace(found, terminal=event.terminal, call=_replace(found.call, shown=item)))
        if found.dying:
            step.at_once(KillTerminal(terminal=event.terminal))
        return True
    _end(step, found, CallResult(outcome=event.outcome, output=event.output, item=event.item, kept=event.kept))
    return True


def terminal_ended(step: Step, terminal: int, item: ThreadItem) -> bool:
    """A command is over; False if it is none of these."""
    found = next((each for each in step.state.spawned if each.terminal == terminal and each.told is None), None)
    if found is None:
        return False
    outcome: ToolOutcome = "cancelled" if found.dying else "done"
    output = item.aggregated_output if isinstance(item, CommandExecution) else None
    _end(step, found, CallResult(outcome=outcome, output=output or "", item=item))
    return True


def down(step: Step, child: ChildId) -> None:
    """A worker ended. Without a result it was cancelled or broke down."""
    found = next((each for each in step.state.spawned if each.call.child == child), None)
    if found is None or found.told is not None or found.terminal is not None:
        return
    if found.dying:
        _end(step, found, CallResult(outcome="cancelled", output="it was cancelled; it may have taken effect in part"))
    else:
        _end(step, found, CallResult(outcome="unknown", output=history.UNKNOWN_OUTPUT))


def _end(step: Step, spawned: Spawned, result: CallResult) -> None:
    shown = spawned.call.shown
    if shown is not None:
        texts = step.at.texts.partial(item_id(shown))
        step.complete_item(spawned.turn_id, result.item or ended(partial(shown, texts), result.outcome))
    settled = nested_value.value_of(result)
    given = settled.value if settled.error is None else settled.error.message
    text = spawn_report(spawned.task, spawned.call.call.name, result.outcome, truncate(given, TOLD))
    step.log(SpawnEnded(turn_id=spawned.turn_id, task=spawned.task, outcome=result.outcome, text=text))
    _put(step, _replace(spawned, told=history.spawn_item(spawned.task, text)))


# --- what the model is told ---------------------------------------------------------------------------------------


def enter(step: Step) -> None:
    """Tell the model of those that have ended."""
    turn = step.turn
    over = [each for each in step.state.spawned if each.told is not None]
    for each in over:
        assert each.told is not None
        step.remember(turn.id, each.told)
    if over:
        step.put(spawned=tuple(each for each in step.state.spawned if each.told is None))


# --- what people see ----------------------------------------------------------------------------------------------


def views(spawned: tuple[Spawned, ...]) -> tuple[TerminalView, ...]:
    """Those that run, as they stand in the list of background terminals."""
    return tuple(
        TerminalView(
            terminal=each.task,
            call_id=each.call.call_id,
            item_id=each.call.call.item_id,
            command=_about(each),
            cwd=each.cwd,
            started_at=each.call.started_at or 0.0,
        )
        for each in spawned
        if each.told is None
    )


def _about(spawned: Spawned) -> str:
    shown = spawned.call.shown
    if isinstance(shown, CommandExecution):
        return shown.command
    return f"{spawned.call.call.name} {spawned.call.call.arguments}"[:ABOUT_CHARS]


def _living(step: Step) -> list[Spawned]:
    return [each for each in step.state.spawned if each.told is None]


def _put(step: Step, spawned: Spawned) -> None:
    step.put(spawned=tuple(spawned if each.task == spawned.task else each for each in step.state.spawned))
