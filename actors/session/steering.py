"""Input: the user's words on their way into history and onto the screen. Two inputs are never merged or lost."""

from __future__ import annotations

import msgspec

from actors.session import history
from actors.session.state import Steer
from actors.session.step import Step, item_id
from messages.client.item import UserMessage

replace = msgspec.structs.replace

PREVIEW_CHARS = 200
"""Of the first input, for a list of threads: more than any list shows."""


def enter(step: Step, steer: Steer) -> None:
    """Put one input into the running turn: logged, shown, and for the model to answer."""
    if not steer.input:
        return
    turn_id = step.turn.id
    message = step.start_item(UserMessage(id=steer.item_id, content=steer.input, client_id=steer.client_id))
    step.remember(turn_id, history.user_item(steer.input), shown_as=item_id(message))
    step.complete_item(turn_id, message)
    step.put_turn(follow_up=True)
    summary = step.state.summary
    if not summary.preview:
        step.put(summary=replace(summary, preview=history.preview(steer.input)[:PREVIEW_CHARS]))


def enter_all(step: Step) -> None:
    """Let in what waited, in the order it came."""
    waiting = step.turn.steers
    step.put_turn(steers=())
    for steer in waiting:
        enter(step, steer)
