"""Instructions that changed in the middle of a thread.

The session remembers the change as a message of the house whose note says what it replaces (`Note.replaces`). From that
alone each wire says it in its own way, and in both the messages only ever grow:

* A model that lets the house speak in mid-conversation hears the instructions the thread began with, and the new ones
  where they came into force. What was sent before stays a prefix of what is sent now, so caches and signed thinking
  survive.
* For any other the new instructions take the old ones' place, and the message is left out. What is bound to the old
  ones is left out with them (`replay` compares prefixes), and never edited.

Rejected: to edit the instructions for everybody (a changed first byte costs the whole prefix cache, and on some models
all the thinking so far).
"""

from __future__ import annotations

import msgspec
from msgspec.json import Decoder

from messages.items import HistoryItem, MessageItem, Note

_MARK = b'"replaces":'
_message: Decoder[MessageItem] = Decoder(MessageItem)


def standing(
    instructions: str, history: tuple[HistoryItem, ...], *, mid_conversation: bool
) -> tuple[str, tuple[HistoryItem, ...]]:
    """The instructions that stand at the beginning of a request, and the history behind them.

    ``instructions`` are those in force now; ``mid_conversation``: the model takes later ones as messages.
    """
    changes = [item for item in history if replaced(item) is not None]
    if not changes:
        return instructions, history
    if mid_conversation:
        return replaced(changes[0]) or "", history
    left_out = {id(item) for item in changes}
    return instructions, tuple(item for item in history if id(item) not in left_out)


def replaced(item: HistoryItem) -> str | None:
    """The instructions that an item puts others in the place of; None for all but changes of instructions."""
    if item.kind != "message" or item.origin is not None or _MARK not in item.raw:
        return None
    try:
        note = _message.decode(item.raw).callboard
    except msgspec.MsgspecError:
        return None
    return note.replaces if isinstance(note, Note) else None
