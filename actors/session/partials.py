"""Completing what a model had only begun: for people's eyes, never for history."""

from __future__ import annotations

from actors.session import reasoning
from actors.session.shown import partial
from actors.session.state import Sampling, Slot
from actors.session.step import Step, item_id


def complete_attempt(step: Step) -> None:
    """Complete every item of the present attempt as far as it came."""
    sampling = step.turn.sampling
    if sampling is not None:
        for slot in sampling.slots:
            complete_cut(step, slot)
        step.put_turn(sampling=Sampling(request_id=sampling.request_id))


def complete_cut(step: Step, slot: Slot) -> None:
    """Complete one item as far as it came."""
    if slot.shown is not None:
        texts = step.at.texts.partial(item_id(slot.shown))
        cut = reasoning.as_shown(partial(slot.shown, texts), step.turn.settings)
        step.complete_item(step.turn.id, cut, partial=True)
