"""Which instructions the model stands under, and what is said when they change in the middle of a thread.

What a thread began with is never edited. New instructions are remembered as a message of the house, behind the words
of the user they come into force with, together with what they replace; how each wire says that is decided where
requests are rendered (`actors/model_stream/rendering/instructions.py`). Behind a model's own words they wait for the
user's next: it would find its calls under rules it did not make them by.

Our own prompt differs from model to model with the tools they have. That is no change: each model has its own, and one
that is come back to finds the prefix it knows.
"""

from __future__ import annotations

from actors.session import history
from actors.session.instructions import system_prompt
from actors.session.state import Offer, Scripting, SessionState
from actors.session.step import Step
from messages.items import HistoryItem, InputText, MessageItem, Note
from messages.session import ThreadSettings

CHANGED = "Your instructions have changed. From here on these hold in place of the earlier ones:\n\n"

_MARK = b'"replaces":'


def wanted(settings: ThreadSettings, offer: Offer, scripting: Scripting | None) -> str:
    """The instructions that these settings ask for; whoever replaces our prompt still has our scripts."""
    own = settings.base_instructions or system_prompt(offer.tools_of(settings))
    return own if scripting is None else f"{own.rstrip()}\n\n{scripting.prompt}"


def settle(step: Step) -> str:
    """The instructions for the request that is about to be made; what is new about them is said first."""
    state, turn = step.state, step.turn
    before = _in_force(state, turn.settings)
    last = state.history[-1] if state.history else None
    if before is not None and last is not None and (last.origin is not None or last.kind != "message"):
        return before
    text = wanted(turn.settings, state.offer, turn.scripting)
    if before is not None and before != text and any(item.origin is not None for item in state.history):
        step.remember(turn.id, history.text_item(f"{CHANGED}{text}", role="developer", note=Note(replaces=before)))
    step.put(instructions=text, instructed=(turn.settings.provider, turn.settings.model))
    return text


def remembered(items: tuple[HistoryItem, ...]) -> str | None:
    """The instructions that the last change in a history put into force; None if there was none."""
    for item in reversed(items):
        if item.kind == "message" and item.origin is None and _MARK in item.raw:
            match history.readable(item):
                case MessageItem(content=(InputText(text=text), *_), callboard=Note(replaces=str())):
                    return text.removeprefix(CHANGED)
                case _:
                    pass
    return None


def _in_force(state: SessionState, settings: ThreadSettings) -> str | None:
    """What this model was asked under; None if it was not."""
    if state.instructed == (settings.provider, settings.model):
        return state.instructions
    return remembered(state.history)
