"""What people type, and the user's programs that hear it first (`UserPromptSubmit`): a prompt, and each input that
steers a turn.

Input that steers is shown to them when it comes, beside whatever the turn does, and enters once they have ended, in its
place. One that they object to is shown to people and withheld from the model, for good: also from a summary of the
conversation. So is one on which they had not spoken when its turn was interrupted or the daemon died: a program that
guards what leaves the house must not be got round by a key.
"""

from __future__ import annotations

import msgspec

from actors.session import history
from actors.session.effects import ChildId, HooksAnswered, RunHooks
from actors.session.state import SessionState, SubmittedPrompt, TurnState
from actors.session.step import Step
from messages.client.item import TextInput, UserMessage
from messages.session import Warned

replace = msgspec.structs.replace


def heard_first(state: SessionState) -> bool:
    """Whether programs want to hear what people type."""
    return "UserPromptSubmit" in state.offer.hook_events


def words(message: UserMessage) -> str:
    """What they are told of it."""
    return "\n".join(part.text for part in message.content if isinstance(part, TextInput))


def ask(step: Step, message: UserMessage) -> None:
    """Show them input that steers, if they want to hear it."""
    if not heard_first(step.state) or not message.content:
        return
    turn = step.turn
    child = ChildId(step.new_id())
    await_word(step, message, child)
    step.put_turn(live=step.turn.live | {child})
    fields = {"prompt": words(message)}
    step.do(RunHooks(child=child, event="UserPromptSubmit", turn_id=turn.id, settings=turn.settings, fields=fields))


def await_word(step: Step, message: UserMessage, child: ChildId) -> None:
    """``child`` runs the programs that hear this message."""
    step.put_turn(prompts=(*step.turn.prompts, SubmittedPrompt(item_id=message.id, child=child)))


def awaited(turn: TurnState) -> bool:
    """Whether they still have to speak on something that waits to enter."""
    return any(not prompt.heard for prompt in turn.prompts)


def heard(step: Step, answer: HooksAnswered) -> bool:
    """They have spoken. False: it was about something else."""
    turn = step.state.turn
    prompt = None if turn is None else _of_child(turn, answer.child)
    if turn is None or prompt is None:
        return False
    if turn.closing is None and not turn.suspended:
        accept(step, prompt, answer.verdict.context)
        if answer.verdict.blocked is not None:
            message = next(each for each in turn.steers if each.id == prompt.item_id)
            step.put_turn(steers=tuple(each for each in turn.steers if each is not message))
            withhold(step, message)
            step.show(Warned(message=stopped("input", answer.verdict.blocked)))
    return True


def accept(step: Step, prompt: SubmittedPrompt, context: tuple[str, ...] = ()) -> None:
    """It may enter, with ``context`` for the model behind it."""
    told = replace(prompt, heard=True, context=context)
    step.put_turn(prompts=tuple(told if each is prompt else each for each in step.turn.prompts))


def down(step: Step, child: ChildId) -> None:
    """Programs that broke down object to nothing; those that were ended with the turn have not spoken."""
    turn = step.turn
    prompt = _of_child(turn, child)
    if prompt is not None and not prompt.heard and turn.closing is None and not turn.suspended:
        accept(step, prompt)


def enter_context(step: Step, message: UserMessage) -> None:
    """What the programs add behind a message that has just entered."""
    prompt = _of_message(step.turn, message)
    for text in () if prompt is None else prompt.context:
        step.remember(step.turn.id, history.text_item(text, role="developer"))


def may_enter(turn: TurnState, message: UserMessage) -> bool:
    """Whether nobody has to speak on it any more."""
    prompt = _of_message(turn, message)
    return prompt is None or prompt.heard


def withhold(step: Step, message: UserMessage) -> None:
    """People see it, the model never does."""
    step.start_item(message)
    step.complete_item(step.turn.id, message, partial=True)
    step.put(withheld=step.state.withheld | {message.id})


def stopped(what: str, why: str) -> str:
    """In a sentence for people."""
    return f"A UserPromptSubmit hook stopped this {what}; the model has not seen it." + (f" {why}" if why else "")


def _of_child(turn: TurnState, child: ChildId) -> SubmittedPrompt | None:
    return next((each for each in turn.prompts if each.child == child), None)


def _of_message(turn: TurnState, message: UserMessage) -> SubmittedPrompt | None:
    return next((each for each in turn.prompts if each.item_id == message.id), None)
