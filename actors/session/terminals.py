"""Commands that go on after their call was answered: they belong to the thread, survive turns, and end with it.

Until the output that names it is in the log, a command belongs to its call and dies with it; that moment is
`calls.answer`. A passed command's item stays open past `turn/completed` and completes here.
"""

from __future__ import annotations

import msgspec

from actors.session import scripts, spawns
from actors.session.effects import KillTerminal
from actors.session.state import Terminal
from actors.session.step import Step, item_id
from messages.client.item import CommandExecution
from messages.session import TerminalInput, TerminalView
from messages.tools import TerminalEnded, TerminalWritten

_replace = msgspec.structs.replace


def written(step: Step, event: TerminalWritten) -> None:
    """A call typed into one of the thread's commands."""
    terminal = _find(step, event.terminal)
    turn = step.state.turn
    if terminal is not None and turn is not None:
        process_id = terminal.item.process_id if isinstance(terminal.item, CommandExecution) else None
        step.show(
            TerminalInput(
                turn_id=turn.id,
                item_id=item_id(terminal.item),
                process_id=process_id or str(terminal.terminal),
                text=event.text,
            )
        )


def ended(step: Step, event: TerminalEnded) -> None:
    """A command is over, processes and all."""
    terminal = _find(step, event.terminal)
    if terminal is not None:
        step.put(terminals=tuple(each for each in step.state.terminals if each.terminal != event.terminal))
        step.complete_item(terminal.turn_id, event.item)
        return
    if spawns.terminal_ended(step, event.terminal, event.item):
        return
    turn = step.state.turn
    if turn is None:
        return
    if scripts.terminal_ended(step, event.terminal, event.item):
        turn = step.turn
    if event.terminal in turn.dying:
        step.put_turn(dying=turn.dying - {event.terminal})
    call = step.call(event.call_id)
    if call is not None and call.phase != "answered":
        step.put_call(call, left=event.item)


def kill(step: Step, terminal: int) -> bool:
    """Tell one command, or spawned call, to end; False if the thread has none of that id."""
    if spawns.cancel(step, terminal):
        return True
    found = _find(step, terminal)
    if found is None:
        return False
    if not found.dying:
        _kill(step, found)
    return True


def kill_all(step: Step) -> int:
    """Tell all commands and spawned calls to end; how many."""
    living = [each for each in step.state.terminals if not each.dying]
    for each in living:
        _kill(step, each)
    return len(living) + spawns.cancel_all(step)


def views(terminals: tuple[Terminal, ...]) -> tuple[TerminalView, ...]:
    """The commands as clients see them."""
    return tuple(
        TerminalView(
            terminal=each.terminal,
            call_id=each.call_id,
            item_id=item_id(each.item),
            command=each.item.command if isinstance(each.item, CommandExecution) else "",
            cwd=each.item.cwd if isinstance(each.item, CommandExecution) else "",
            started_at=each.started_at,
        )
        for each in terminals
    )


def _kill(step: Step, terminal: Terminal) -> None:
    dying = _replace(terminal, dying=True)
    step.put(terminals=tuple(dying if each.terminal == terminal.terminal else each for each in step.state.terminals))
    step.at_once(KillTerminal(terminal=terminal.terminal))


def _find(step: Step, terminal: int) -> Terminal | None:
    return next((each for each in step.state.terminals if each.terminal == terminal), None)
