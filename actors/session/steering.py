"""Input: the user's words on their way into history and onto the screen. Two inputs are never merged or lost."""

from __future__ import annotations

import msgspec

from actors.rollout_writer.loaded import preview_of
from actors.session import asides, history, prompting, spawns
from actors.session.step import Step, item_id
from messages.client.item import UserMessage
from messages.log import SteerAccepted

replace = msgspec.structs.replace


def enter(step: Step, message: UserMessage) -> None:
    """Put one input into the running turn: logged, shown, and for the model to answer."""
    if not message.content:
        return
    turn_id = step.turn.id
    step.start_item(message)
    step.remember(turn_id, history.user_item(message.content), shown_as=item_id(message))
    step.complete_item(turn_id, message)
    step.put_turn(follow_up=True)
    summary = step.state.summary
    if not summary.preview:
        step.put(summary=replace(summary, preview=preview_of(message)))


def wait(step: Step, submission_id: str, message: UserMessage) -> None:
    """Keep an input for the next place where it may enter; it is in the log from now on."""
    turn = step.turn
    step.put_turn(steers=(*turn.steers, message))
    unheard = prompting.heard_first(step.state)
    step.log(SteerAccepted(turn_id=turn.id, submission_id=submission_id, item=message, unheard=unheard))


def enter_all(step: Step) -> None:
    """Let in what waited: what a person ran meanwhile, calls that were spawned, then their words, each in the order it
    came. Words on which the user's programs had not spoken when the turn ended are shown, and kept from the model."""
    asides.enter(step)
    spawns.enter(step)
    waiting = step.turn.steers
    step.put_turn(steers=())
    for message in waiting:
        if prompting.may_enter(step.turn, message):
            enter(step, message)
            prompting.enter_context(step, message)
        else:
            prompting.withhold(step, message)
