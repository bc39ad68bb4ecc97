"""A block of a Messages response, while it grows, and as the history item it becomes.

| block | item | what goes back |
|---|---|---|
| text | message of the assistant, one `output_text` | its text, with its citations |
| thinking | reasoning; the text as a summary, the signature as `encrypted_content` | both, unmodified |
| redacted_thinking | reasoning without text; the data as `encrypted_content` | the data |
| tool_use | function call, or custom tool call if the tool is freeform | id, name, input, and `caller` if any |
| any other | opaque: the block itself, see `messages.items.BLOCK_TYPE` | the block |

The thinking that Claude models show is a summary that the provider makes, hence the channel. What a block holds beyond
its item is in the item's note (`Note.block`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.anthropic.events import (
    REDACTED_BLOCK,
    TEXT_BLOCK,
    THINKING_BLOCK,
    TOOL_BLOCK,
    UNREADABLE,
    BeganKind,
    any_decoder,
)
from actors.model_stream.anthropic.partial import certain
from actors.model_stream.rendering import unwrapped
from actors.session.open_text import OpenText
from messages.base import CallId
from messages.items import BLOCK_TYPE, HistoryItem, ItemKind, Origin

_NULL = b"null"
_encode = msgspec.json.Encoder().encode


class Block:
    """One block of the response."""

    __slots__ = ("arguments", "citations", "fields", "kind", "open", "signature", "slot", "text", "type")

    def __init__(self, type_: str, kind: BeganKind, fields: dict[str, msgspec.Raw]) -> None:
        self.type = type_
        self.kind = kind
        self.fields = fields
        """As it began; a few deltas replace some of them."""
        self.open = True
        self.slot: int | None = None
        """None: nobody has been told of it yet."""
        self.text: OpenText | None = None
        self.signature: str | None = None
        self.citations: list[msgspec.Raw] = []
        self.arguments: list[str] = []
        """The pieces of the input's JSON text."""

    def string(self, name: str) -> str:
        """A field as it began; "" unless it is a string."""
        value = self.value(name)
        return value if isinstance(value, str) else ""

    def value(self, name: str) -> Any:
        """A field as it began; None where it is missing."""
        raw = self.fields.get(name)
        try:
            return None if raw is None else any_decoder.decode(raw)
        except UNREADABLE:
            return None

    @property
    def input_text(self) -> str:
        """The JSON text of a call's input. Calls made by other tools have it in their beginning, without deltas."""
        text = "".join(self.arguments)
        if text.strip():
            return text
        raw = bytes(self.fields.get("input", msgspec.Raw(_NULL)))
        return "{}" if raw == _NULL else raw.decode("utf-8", "replace")

    @property
    def input_is_whole(self) -> bool:
        """Whether that text is JSON: a call that was cut off must not be mistaken for a whole one."""
        try:
            any_decoder.decode(self.input_text)
        except (*UNREADABLE, UnicodeEncodeError):
            return False
        return True


def history_item(block: Block, origin: Origin) -> HistoryItem | None:
    """What the block is in a history; None for one that says nothing, or of which a part is missing."""
    match block.type:
        case "text":
            return _message(block, origin)
        case "thinking" | "redacted_thinking":
            return _reasoning(block, origin)
        case "tool_use":
            return _call(block, origin)
        case _:
            return _opaque(block, origin)


def _message(block: Block, origin: Origin) -> HistoryItem | None:
    text = _text_of(block)
    if not text:
        return None
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    return _item("message", item, _beyond(block, "type", "text"), origin)


def _reasoning(block: Block, origin: Origin) -> HistoryItem:
    if block.type == REDACTED_BLOCK:
        item: dict[str, Any] = {"type": "reasoning", "summary": [], "encrypted_content": block.string("data")}
        return _item("reasoning", item, _beyond(block, "data"), origin)
    text = _text_of(block)
    summary = [{"type": "summary_text", "text": text}] if text else []
    item = {"type": "reasoning", "summary": summary, "encrypted_content": _signature_of(block)}
    return _item("reasoning", item, _beyond(block, "type", "thinking", "signature"), origin)


def _call(block: Block, origin: Origin) -> HistoryItem:
    call_id = block.string("id")
    item: dict[str, Any] = {"call_id": call_id, "name": block.string("name")}
    if block.kind == "custom_tool_call":
        item = {"type": "custom_tool_call", **item, "input": unwrapped(block.input_text)}
    else:
        item = {"type": "function_call", **item, "arguments": block.input_text}
    kind: ItemKind = "custom_tool_call" if block.kind == "custom_tool_call" else "function_call"
    made = _item(kind, item, _beyond(block, "type", "id", "name", "input"), origin)
    return msgspec.structs.replace(made, call_id=CallId(call_id))


def _opaque(block: Block, origin: Origin) -> HistoryItem | None:
    fields: dict[str, msgspec.Raw] = block.fields
    if block.arguments:
        if not block.input_is_whole:
            return None
        fields = {**fields, "input": msgspec.Raw(block.input_text.encode())}
    return _item("opaque", {"type": BLOCK_TYPE, "block": fields}, {}, origin)


def _item(kind: ItemKind, fields: dict[str, Any], beyond: dict[str, Any], origin: Origin) -> HistoryItem:
    if beyond:
        fields["callboard"] = {"block": beyond}
    raw = _encode(fields)
    if b"\n" in raw or b"\r" in raw:  # only ever blanks between the tokens of what we pass through
        raw = raw.replace(b"\n", b" ").replace(b"\r", b" ")
    return HistoryItem(kind=kind, raw=raw, origin=origin)


def _text_of(block: Block) -> str:
    return "" if block.text is None else block.text.text()


def _signature_of(block: Block) -> str | None:
    return block.signature or block.string("signature") or None


def _beyond(block: Block, *held: str) -> dict[str, Any]:
    """The fields that the item has no place for. What is null says nothing."""
    beyond: dict[str, Any] = {
        name: raw for name, raw in block.fields.items() if name not in held and bytes(raw) != _NULL
    }
    citations = _citations_of(block)
    if citations:
        beyond["citations"] = citations
    elif bytes(beyond.get("citations", b"")) == b"[]":
        del beyond["citations"]
    return beyond


def _citations_of(block: Block) -> list[Any]:
    began = block.value("citations")
    return [*(began if isinstance(began, list) else ()), *block.citations]


# --- the message as a whole -----------------------------------------------------------------------------------------


def accumulated(block: Block) -> dict[str, Any]:
    """The block as a response that was not streamed would hold it; of an input that was cut off, what is certain."""
    fields = {name: block.value(name) for name in block.fields}
    if block.type == TEXT_BLOCK:
        fields["text"] = _text_of(block)
        citations = _citations_of(block)
        if citations:
            fields["citations"] = [any_decoder.decode(_encode(each)) for each in citations]
    elif block.type == THINKING_BLOCK:
        fields["thinking"] = _text_of(block)
        fields["signature"] = _signature_of(block) or ""
    elif block.arguments or block.type == TOOL_BLOCK:
        value = certain(block.input_text)
        fields["input"] = {} if value is None else value
    return fields
