"""Which items of a history a provider gets back, and in which order.

Rules
1. What is opaque (reasoning, compactions, a provider's own blocks) goes back only to the provider, model and wire that
   made it, and reasoning that is bound to instructions only behind those. What people and tools said, and what a model
   said in plain words or calls, goes to all.
2. The order is the transcript's: a response, the outputs of its calls, one each and in call order, then what people
   said. A call nobody answered gets an output that says so; an output nobody asked for is left out. A history of ours
   is so already; one that was recorded elsewhere may not be.
3. What is not shaped as its kind promises is left out, and with a call its output.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.json import Decoder

from actors.rollout_writer.transcript import Transcript
from messages.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    HistoryItem,
    MessageItem,
    Note,
    Origin,
    ReadableItem,
    ReasoningItem,
)

_readable: Decoder[ReadableItem] = Decoder(ReadableItem)
_fields: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])

NOTE_FIELD = "callboard"
_NOTE_MARK = b'"callboard":'
"""In the JSON text of an item these bytes can only be the field: within a string the quotes would be escaped."""

_NO_NOTE = Note()


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """An item that goes back."""

    item: HistoryItem
    read: MessageItem | ReasoningItem | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput | None
    """Its content; None for a provider's own block, which only its maker ever gets."""
    own: bool
    """The provider and model that is asked made it, on this wire."""

    @property
    def note(self) -> Note:
        """What the item knows beyond its vocabulary; an empty one when it knows no more."""
        note = _NO_NOTE if self.read is None else self.read.callboard
        return note if isinstance(note, Note) else _NO_NOTE


def replay(history: Iterable[HistoryItem], target: Origin) -> list[Replayed]:
    """What goes back to ``target``, in order."""
    read: dict[int, Replayed] = {}
    transcript = Transcript()
    for item in history:
        own = _is_own(item.origin, target)
        if item.kind in ("opaque", "compaction"):
            if own:
                read[id(item)] = Replayed(item=item, read=None, own=True)
                transcript.add(item)
            continue
        if item.kind == "reasoning" and not (own and _is_bound_to(item.origin, target)):
            continue
        content = _read(item)
        if content is not None:
            read[id(item)] = Replayed(item=item, read=content, own=own)
            transcript.add(item)
    replayed = []
    for item in transcript.items():
        known = read.get(id(item))
        # An output that the transcript made up is as good as any other.
        replayed.append(known or Replayed(item=item, read=_readable.decode(item.raw), own=False))
    return replayed


def _is_own(origin: Origin | None, target: Origin) -> bool:
    return origin is not None and (origin.provider, origin.model, origin.wire) == (
        target.provider,
        target.model,
        target.wire,
    )


def _is_bound_to(origin: Origin | None, target: Origin) -> bool:
    """Whether reasoning may stand behind the instructions and tools that are sent; an origin may not say."""
    return origin is None or origin.prefix is None or origin.prefix == target.prefix


def without_note(raw: bytes) -> bytes:
    """An item's JSON without what no provider is ever sent; the same bytes when there is nothing of the kind."""
    if _NOTE_MARK not in raw:
        return raw
    fields = _fields.decode(raw)
    fields.pop(NOTE_FIELD, None)
    return msgspec.json.encode(fields)


def _read(item: HistoryItem) -> ReadableItem | None:
    try:
        return _readable.decode(item.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
