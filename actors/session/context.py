"""What a model is told before the user's words: given once, and again only when it has changed.

Part of it lies in the world (AGENTS.md): a child gathers that when a turn begins and nobody has looked yet, once per
life of the session and folder. Meanwhile the user's input waits as a steering input does, in the log, so that no crash
loses it. Nothing given before is ever edited: a provider's prefix cache depends on its bytes.
"""

from __future__ import annotations

from actors.session import history
from actors.session.effects import ChildId, ContextGathered, GatherContext
from actors.session.instructions import environment_block
from actors.session.state import SessionState
from actors.session.step import Step
from messages.session import Warned


def is_known(state: SessionState) -> bool:
    """Whether a turn may begin without looking."""
    return not state.offer.gathers or state.docs_of == state.settings.cwd


def gather(step: Step) -> None:
    """Have somebody look; the turn goes on when they have."""
    child = ChildId(step.new_id())
    step.put_turn(gathering=child, live=step.turn.live | {child})
    step.do(GatherContext(child=child, cwd=step.turn.settings.cwd))


def gathered(step: Step, found: ContextGathered) -> None:
    """They have looked. Of a turn that is ending, or an earlier one, it means nothing."""
    turn = step.state.turn
    if turn is None or turn.closing is not None or turn.gathering != found.child:
        return
    for warning in found.warnings:
        step.show(Warned(message=warning))
    step.put(docs_of=turn.settings.cwd)
    give(step, found.docs)
    step.put_turn(gathering=None)


def down(step: Step, child: ChildId, crash: str | None) -> None:
    """Whoever looked has ended; if they found nothing out, the turn goes on without."""
    turn = step.turn
    if turn.gathering == child and turn.closing is None:
        why = f" ({crash})" if crash else ""
        step.show(Warned(message=f"The instructions of this project could not be looked for{why}; none hold."))
        give(step)
        step.put_turn(gathering=None)


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
