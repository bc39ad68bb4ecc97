"""The events of a Responses stream, as far as we look into them, and the tables that say what is what.

The structs are small on purpose: msgspec skips what they do not name at the speed of a scan, and a field that nobody
declared can never be of a wrong type. Indices are optional: some servers leave them out.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.json import Decoder

from messages.model import TextChannel

BeganKind = Literal["message", "reasoning", "function_call", "custom_tool_call", "opaque"]

BEGAN_KINDS: dict[str, BeganKind] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
    "custom_tool_call": "custom_tool_call",
}

CHANNEL_OF_DELTA: dict[str, TextChannel] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "summary",
}

CHANNEL_OF_PART: dict[str, TextChannel] = {
    "output_text": "text",
    "refusal": "refusal",
    "reasoning_text": "reasoning",
    "summary_text": "summary",
}

NO_EVENT = "\0"
"""A type that no event has: no delta is like the last one."""

ITEM_OF_CHANNEL: dict[TextChannel, BeganKind] = {
    "text": "message",
    "refusal": "message",
    "reasoning": "reasoning",
    "summary": "reasoning",
}


class Delta(msgspec.Struct, frozen=True, gc=False):
    """Any event, as far as the hot path needs it."""

    type: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: str = ""


class Part(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class PartEvent(msgspec.Struct, frozen=True, gc=False):
    """Everything that may stand in an event about a part of an item."""

    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    text: str | None = None
    refusal: str | None = None
    part: Part | None = None


class ItemEvent(msgspec.Struct, frozen=True, gc=False):
    item: msgspec.Raw
    output_index: int | None = None


HOSTED_CALLS = {"web_search_call": "web_search"}
"""Items that are calls of the provider's own tools, and the tools."""


class Skeleton(msgspec.Struct, frozen=True, gc=False):
    """What is worth knowing of an item that has just begun."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    phase: str | None = None


class Response(msgspec.Struct, frozen=True):
    """A response snapshot. Small fields are taken as they come and looked at with care."""

    id: Any = None
    model: Any = None
    status: Any = None
    error: Any = None
    incomplete_details: Any = None
    usage: Any = None
    end_turn: Any = None
    output: msgspec.Raw = msgspec.Raw(b"null")


class ResponseEvent(msgspec.Struct, frozen=True):
    response: Response


# Not strict where it costs nothing: an index as a string is still an index.
delta_decoder: Decoder[Delta] = Decoder(Delta)
part_decoder: Decoder[PartEvent] = Decoder(PartEvent, strict=False)
item_decoder: Decoder[ItemEvent] = Decoder(ItemEvent, strict=False)
skeleton_decoder: Decoder[Skeleton] = Decoder(Skeleton, strict=False)
response_decoder: Decoder[ResponseEvent] = Decoder(ResponseEvent, strict=False)
raw_items_decoder: Decoder[list[msgspec.Raw] | None] = Decoder(list[msgspec.Raw] | None)
any_decoder: Decoder[Any] = Decoder()

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
