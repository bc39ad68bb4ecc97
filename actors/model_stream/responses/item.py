"""One finished item, from the JSON a provider sent to the `HistoryItem` that will be replayed.

What is kept is what was sent, byte for byte, without ``status`` (a server does not want it back) and on one line (a log
has one record per line; outside its strings JSON may hold line ends, inside never). Only a call that could not be
answered otherwise is repaired (one without a ``call_id``, without a name, or with its arguments as an object), and one
of a freeform tool that was offered as a function is told as the freeform call it is.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.json import Decoder

from actors.model_stream.rendering import unwrapped
from messages.items import CustomToolCall, FunctionCall, HistoryItem, ItemKind, MessageItem, Origin, ReasoningItem

_fields: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])
_text: Decoder[str] = Decoder(str)
_message: Decoder[MessageItem] = Decoder(MessageItem)
_reasoning: Decoder[ReasoningItem] = Decoder(ReasoningItem)
_function_call: Decoder[FunctionCall] = Decoder(FunctionCall)
_custom_tool_call: Decoder[CustomToolCall] = Decoder(CustomToolCall)

FinishedView = MessageItem | ReasoningItem | FunctionCall | CustomToolCall | None
"""The item as a struct, where it is of a kind that has one and is shaped like it."""


def history_item(
    raw: bytes, origin: Origin, *, call_id: str, freeform: frozenset[str] = frozenset()
) -> tuple[HistoryItem, FinishedView]:
    """The item and a view of it. ``call_id`` is for a call that came without one; calls of ``freeform`` tools that came
    as functions of one string are unwrapped.

    An item of a known type that is not shaped as such is kept as `opaque`. Raises msgspec.DecodeError if ``raw`` is no
    JSON object.
    """
    fields = _fields.decode(raw)
    touched = fields.pop("status", None) is not None
    type_ = _string(fields.get("type")) or ""
    if type_ in ("function_call", "custom_tool_call"):
        touched |= _repair(fields, "arguments" if type_ == "function_call" else "input", call_id)
    if type_ == "function_call" and _string(fields.get("name")) in freeform:
        fields["type"] = msgspec.Raw(b'"custom_tool_call"')
        fields["input"] = msgspec.Raw(msgspec.json.encode(unwrapped(_string(fields.pop("arguments")) or "")))
        type_, touched = "custom_tool_call", True
    if touched:
        raw = b"{%b}" % b",".join(msgspec.json.encode(key) + b":" + bytes(value) for key, value in fields.items())
    if b"\n" in raw or b"\r" in raw:
        raw = raw.replace(b"\n", b" ").replace(b"\r", b" ")
    view = _view(type_, raw)
    answered_by = view.call_id if isinstance(view, FunctionCall | CustomToolCall) else None
    return HistoryItem(kind=_kind(type_, view), raw=raw, call_id=answered_by, origin=origin), view


def _view(type_: str, raw: bytes) -> FinishedView:
    try:
        match type_:
            case "message":
                return _message.decode(raw)
            case "reasoning":
                return _reasoning.decode(raw)
            case "function_call":
                return _function_call.decode(raw)
            case "custom_tool_call":
                return _custom_tool_call.decode(raw)
    except msgspec.ValidationError:
        return None
    return None


def _kind(type_: str, view: FinishedView) -> ItemKind:
    match view:
        case MessageItem():
            return "message"
        case ReasoningItem():
            return "reasoning"
        case FunctionCall():
            return "function_call"
        case CustomToolCall():
            return "custom_tool_call"
        case None:
            return "compaction" if type_ in ("compaction", "compaction_summary") else "opaque"


def _repair(fields: dict[str, msgspec.Raw], payload: Literal["arguments", "input"], call_id: str) -> bool:
    """Give a call what it needs in order to be answered; whether anything was missing."""
    repaired: dict[str, str] = {}
    if not _string(fields.get("call_id")):
        repaired["call_id"] = _string(fields.get("id")) or call_id
    if _string(fields.get("name")) is None:
        repaired["name"] = ""
    given = fields.get(payload)
    if _string(given) is None:
        # Some servers parse the arguments for us; their JSON text is what the model wrote, give or take blanks.
        repaired[payload] = "" if given is None or bytes(given) == b"null" else bytes(given).decode()
    fields.update((key, msgspec.Raw(msgspec.json.encode(value))) for key, value in repaired.items())
    return bool(repaired)


def _string(raw: msgspec.Raw | None) -> str | None:
    try:
        return None if raw is None else _text.decode(raw)
    except msgspec.DecodeError:
        return None
