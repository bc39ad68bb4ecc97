"""What of a history this wire sends, and of one thread's history what it has sent already.

Rules
1. Opaque data (reasoning, compactions, provider-specific blocks) goes back only to the provider and model that made it.
   What people and tools said, and what a model said in plain words or calls, goes to all.
2. Reasoning that led to nothing (its answer was cut off by a limit) is left out: the wire refuses it without the item
   it belongs to.
3. Only what another provider's model said is written anew, without the fields that this API would not know, and a call
   whose id it would not take gets another. For a server without freeform tools their calls are those of functions of
   one string, which it was offered in their place.
4. Instructions that changed in mid-thread are said by the developer where they came into force; `opening` is what stood
   before the first change.

Each rule looks at an item, at what is before it, and for reasoning at what it led to. So the bytes of a longer history
begin with those of the shorter one, and a `Recital` that is kept from request to request looks at the new items alone:
a turn costs what it adds, not what the thread has become.

Rejected: keeping each item's bytes beside the item in the session (the session would have to know the wires), and
keeping the joined bytes (every thread's history twice in memory, to save a copy that takes microseconds).
"""

from __future__ import annotations

import msgspec
from msgspec.json import Decoder

from actors.model_stream.rendering import CallIds, IdForm, replaced, without_note, wrapped
from messages.items import HistoryItem

WIRE = "responses"

_ID_FORM = IdForm(accepted=r".{1,64}", prefix="call_")
_CALLS = ("function_call", "custom_tool_call")
_FREEFORM = ("custom_tool_call", "custom_tool_call_output")
_OPAQUE = ("reasoning", "opaque", "compaction")

_SHARED_FIELDS = frozenset(
    ("type", "role", "content", "phase", "call_id", "name", "namespace", "arguments", "input", "output")
)
"""Of what a model says or a tool answers: everything but ids and what only its own provider knows."""

_fields: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])


class Recital:
    """One thread's history as one provider's model was last sent it. Mutable; of no use to anybody else meanwhile."""

    __slots__ = ("_heard", "_ids", "_said", "_target", "opening")

    def __init__(self) -> None:
        self._target = ("", "", True)
        self._heard: tuple[HistoryItem, ...] = ()
        """The items that are settled: nothing that follows can change how they are said."""
        self._said: list[bytes] = []
        self._ids = CallIds(_ID_FORM)
        self.opening: str | None = None
        """The instructions that the history began under; None: those still in force."""

    def say(self, history: tuple[HistoryItem, ...], provider: str, model: str, *, freeform: bool = True) -> list[bytes]:
        """The JSON of each item that goes back, in order. Any history may follow any other; one that goes on where the
        last one stopped, for the same model, is quick."""
        heard, self._heard = self._heard, ()  # should an item raise, the next request begins anew
        known = len(heard)
        # Equal items are mostly the same items, which makes this a comparison of pointers.
        if not known or self._target != (provider, model, freeform) or history[:known] != heard:
            self._target, self._said, self._ids = (provider, model, freeform), [], CallIds(_ID_FORM)
            self.opening = None
            known = 0
        end = len(history)
        while end > known and history[end - 1].kind == "reasoning":
            end -= 1  # nobody knows yet what it leads to; so far it led to nothing
        for position in range(known, end):
            if self.opening is None:
                self.opening = replaced(history[position])
            said = self._item(history, position)
            if said is not None:
                self._said.append(said)
        self._heard = history[:end]
        return self._said

    def _item(self, history: tuple[HistoryItem, ...], position: int) -> bytes | None:
        item = history[position]
        origin = item.origin
        foreign = origin is not None and (origin.provider, origin.model, origin.wire) != (*self._target[:2], WIRE)
        if foreign and item.kind in _OPAQUE:
            return None
        if item.kind == "reasoning" and not _led_somewhere(history, position):
            return None
        raw = _as_ours(item.raw) if foreign else without_note(item.raw)
        if item.call_id is not None:
            raw = self._with_call_id(raw, item)
        return _structured(raw, item) if item.kind in _FREEFORM and not self._target[2] else raw

    def _with_call_id(self, raw: bytes, item: HistoryItem) -> bytes:
        assert item.call_id is not None, "the caller looked"
        call_id = self._ids.call(item.call_id) if item.kind in _CALLS else self._ids.answered(item.call_id)
        if call_id == item.call_id:
            return raw
        return msgspec.json.encode({**_fields.decode(raw), "call_id": call_id})


def _led_somewhere(history: tuple[HistoryItem, ...], position: int) -> bool:
    for at in range(position + 1, len(history)):
        if history[at].kind != "reasoning":
            return history[at].origin is not None
    return False


def _structured(raw: bytes, item: HistoryItem) -> bytes:
    """A freeform call or its output, for a server that was offered a function of one string in its place."""
    fields = _fields.decode(raw)
    if item.kind == "custom_tool_call_output":
        return msgspec.json.encode({**fields, "type": "function_call_output"})
    text: str = msgspec.json.decode(fields.pop("input", msgspec.Raw(b'""')), type=str)
    arguments = msgspec.json.encode(wrapped(text)).decode()
    return msgspec.json.encode({**fields, "type": "function_call", "arguments": arguments})


def _as_ours(raw: bytes) -> bytes:
    """What another model said, in fields that the wire knows, and without its id.

    An unknown field is refused; so is a message or call whose id is known to follow reasoning that is not there.
    """
    fields = _fields.decode(raw)
    kept = {name: value for name, value in fields.items() if name in _SHARED_FIELDS}
    return raw if len(kept) == len(fields) else msgspec.json.encode(kept)
