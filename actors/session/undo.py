"""Taking back what a turn changed in the worktree: between turns, one at a time, and the model is told.

The files are the workshop's business; here it is decided when that may happen. A turn asked for meanwhile waits. What
was taken back enters history, because a model that believes in its own edits would go on from files that are gone.
"""

from __future__ import annotations

from actors.session import history
from actors.session.effects import ChildId, Token, Undo, UndoEnded
from actors.session.state import Undoing
from actors.session.step import Step
from messages.session import Refused, TurnUndone, UndoTurn, Warned

UNDONE_TAG = "<changes_undone>"

PATHS_TOLD = 50
"""Of the files, to the model: enough to know what to read again."""


def begin(step: Step, token: Token | None, command: UndoTurn) -> None:
    """Start, unless something else goes on in this thread."""
    state = step.state
    if state.stopping is not None:
        step.reply(token, Refused(reason="closing", message="The thread is being closed; resume it and try again."))
    elif state.turn is not None or state.undoing is not None:
        what = "a turn is running" if state.turn is not None else "changes are being undone"
        step.reply(token, Refused(reason="busy", message=f"{what}; undo when it has ended, or interrupt it first"))
    else:
        child = ChildId(step.new_id())
        step.put(undoing=Undoing(child=child, token=token))
        step.do(Undo(child=child, turn_id=command.turn_id))


def ended(step: Step, said: UndoEnded) -> None:
    """It has been done, or could not be; the child is about to end."""
    undoing = step.state.undoing
    if undoing is None or undoing.child != said.child or undoing.answered:
        return
    step.put(undoing=Undoing(child=undoing.child, token=undoing.token, answered=True))
    done = said.done
    if done is None:
        step.reply(undoing.token, Refused(reason="no_snapshot", message=said.why))
        return
    step.remember(done.turn_id, history.text_item(_told(done)))
    count = len(done.restored) + len(done.removed)
    step.show(Warned(message=f"What turn {done.turn_id} changed was taken back: {count} file{'s'[: count != 1]}."))
    step.reply(undoing.token, done)


def down(step: Step, child: ChildId, crash: str | None) -> bool:
    """Nothing of the undo runs any more; without a last word nobody knows how far it came. False: it was no undo."""
    undoing = step.state.undoing
    if undoing is None or undoing.child != child:
        return False
    step.put(undoing=None)
    if not undoing.answered:
        why = f"the undo broke down ({crash or 'cancelled'}); look at `git status` for how far it came"
        step.reply(undoing.token, Refused(reason="no_snapshot", message=why))
    return True


def _told(done: TurnUndone) -> str:
    lines = [f"restored: {path}" for path in done.restored] + [f"removed: {path}" for path in done.removed]
    more = [f"and {len(lines) - PATHS_TOLD} more"] if len(lines) > PATHS_TOLD else []
    listed = "\n".join([*lines[:PATHS_TOLD], *more])
    return (
        f"{UNDONE_TAG}\nThe user took back what a turn changed in these files below {done.root}. They are as they were "
        f"before it; read them again before you rely on them.\n{listed}\n</changes_undone>"
    )
