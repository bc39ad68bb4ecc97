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


def replay(history: tuple[HistoryItem, ...], target: Origin) -> list[Replayed]:
    """What goes back to ``target``, in order."""
    whole = Replay(target)
    whole.hear(history)
    return [*whole.settled(), *whole.unsettled()]


class Replay:
    """One thread's history on its way back to one target, taken as it grows. Mutable."""

    __slots__ = ("_given", "_heard", "_read", "_target", "_transcript")

    def __init__(self, target: Origin) -> None:
        self._target = target
        self._heard: tuple[HistoryItem, ...] = ()
        self._transcript = Transcript()
        self._read: dict[int, Replayed] = {}
        """By the item's identity, of what is not settled."""
        self._given = 0

    def leads_to(self, history: tuple[HistoryItem, ...]) -> bool:
        """Whether this history begins with all that was heard."""
        # Equal items are mostly the same items, which makes this a comparison of pointers.
        return history[: len(self._heard)] == self._heard

    def hear(self, history: tuple[HistoryItem, ...]) -> None:
        """Take what is new in a history that this one leads to."""
        for item in history[len(self._heard) :]:
            replayed = self._replayed(item)
            if replayed is not None:
                self._read[id(item)] = replayed
                self._transcript.add(item)
        self._heard = history

    def settled(self) -> list[Replayed]:
        """What can change no more, whatever is heard from now on; each item is given once."""
        items = self._transcript.settled_from(self._given)
        self._given += len(items)
        settled = self._known(items)
        for item in items:
            self._read.pop(id(item), None)
        return settled

    def unsettled(self) -> list[Replayed]:
        """What stands behind it, as of now."""
        return self._known(self._transcript.unsettled())

    def _known(self, items: list[HistoryItem]) -> list[Replayed]:
        """An output that the transcript made up is as good as any other, and read only here."""
        known = (self._read.get(id(item)) or self._replayed(item) for item in items)
        return [each for each in known if each is not None]

    def _replayed(self, item: HistoryItem) -> Replayed | None:
        """None: it does not go back."""
        own = _is_own(item.origin, self._target)
        if item.kind in ("opaque", "compaction"):
            return Replayed(item=item, read=None, own=True) if own else None
        if item.kind == "reasoning" and not (own and _is_bound_to(item.origin, self._target)):
            return None
        content = _read(item)
        return None if content is None else Replayed(item=item, read=content, own=own)


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
