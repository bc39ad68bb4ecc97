"""What a model is told before the user's words: given once, and again only when it has changed.

Part of it lies in the world (AGENTS.md, what hooks add): a child gathers that when a turn begins. Instructions are
looked for once per life of the session and folder; a turn for which there is nothing to gather waits for nobody.
Meanwhile the user's input waits as a steering input does, in the log, so that no crash loses it. Nothing given before
is ever edited: a provider's prefix cache depends on its bytes.
"""

from __future__ import annotations

from typing import Literal

from actors.session import closing, history, prompting
from actors.session.effects import ChildId, ContextGathered, GatherContext
from actors.session.instructions import environment_block
from actors.session.state import Closing, SessionState
from actors.session.step import Step
from messages.client.item import UserMessage
from messages.failure import Failure
from messages.session import Warned


def is_known(state: SessionState) -> bool:
    """Whether a turn may begin without looking."""
    hooks = state.offer.hook_events
    if "UserPromptSubmit" in hooks or ("SessionStart" in hooks and not state.begun):
        return False
    return not state.offer.gathers or state.docs_of == state.settings.cwd


def gather(step: Step, message: UserMessage) -> None:
    """Have somebody look; the turn goes on when they have."""
    state, turn = step.state, step.turn
    child = ChildId(step.new_id())
    source: Literal["startup", "resume"] | None = None if state.begun else "resume" if state.history else "startup"
    prompt = prompting.words(message)
    step.put_turn(gathering=child, live=turn.live | {child})
    if prompting.heard_first(state):
        prompting.await_word(step, message, child)
    step.do(GatherContext(child=child, turn_id=turn.id, settings=turn.settings, prompt=prompt, source=source))


def gathered(step: Step, found: ContextGathered) -> None:
    """They have looked. Of a turn that is ending, or an earlier one, it means nothing."""
    turn = step.state.turn
    if turn is None or turn.closing is not None or turn.gathering != found.child:
        return
    for warning in found.warnings:
        step.show(Warned(message=warning))
    step.put(docs_of=turn.settings.cwd, begun=True)
    step.put_turn(gathering=None)
    if found.blocked is not None:
        _refuse(step, found)
        return
    give(step, found.docs)
    for text in found.before:
        step.remember(turn.id, history.text_item(text, role="developer"))
    for prompt in step.turn.prompts:
        if prompt.child == found.child:
            prompting.accept(step, prompt, found.after)


def down(step: Step, child: ChildId, crash: str | None) -> None:
    """Whoever looked has ended; if they found nothing out, the turn goes on without."""
    turn = step.turn
    if turn.gathering == child and turn.closing is None:
        why = f" ({crash})" if crash else ""
        step.show(Warned(message=f"The instructions of this project could not be looked for{why}; none hold."))
        give(step)
        step.put_turn(gathering=None)
        prompting.down(step, child)


def give(step: Step, docs: str | None = None) -> None:
    """Tell the model what it has not been told yet."""
    turn = step.turn
    words = turn.settings.developer_instructions
    if words and words != step.state.developer_instructions:
        step.remember(turn.id, history.text_item(words, role="developer"))
        step.put(developer_instructions=words)
    if docs is not None and docs != step.state.docs:
        step.remember(turn.id, history.text_item(docs))
        step.put(docs=docs)
    block = environment_block(turn.settings, shell=step.state.offer.shell, date=step.at.date)
    if block != step.state.environment:
        step.remember(turn.id, history.text_item(block))
        step.put(environment=block)


def _refuse(step: Step, found: ContextGathered) -> None:
    """A hook does not want the prompt sent, so there is no turn."""
    [prompt] = [each for each in step.turn.prompts if each.child == found.child]
    [message] = [each for each in step.turn.steers if each.id == prompt.item_id]
    step.put_turn(steers=tuple(each for each in step.turn.steers if each is not message))
    prompting.withhold(step, message)
    text = prompting.stopped("prompt", found.blocked or "")
    closing.begin(step, Closing(status="failed", failure=Failure(kind="refused", message=text)))
