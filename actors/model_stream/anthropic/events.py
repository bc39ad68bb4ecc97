"""The events of a Messages stream, as far as we look into them.

The structs are small on purpose: msgspec skips what they do not name, and a field that nobody declared can never be of
a wrong type.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.json import Decoder

BeganKind = Literal["message", "reasoning", "function_call", "custom_tool_call", "opaque"]

NO_DELTA = "\0"
"""A type that no delta has: no delta is like the last one."""

TEXT_DELTA = "text_delta"
THINKING_DELTA = "thinking_delta"
INPUT_DELTA = "input_json_delta"

TEXT_BLOCK = "text"
THINKING_BLOCK = "thinking"
REDACTED_BLOCK = "redacted_thinking"
TOOL_BLOCK = "tool_use"

SERVER_CALLS = ("server_tool_use", "mcp_tool_use")
"""Blocks that a result block of the provider's own must follow."""


class DeltaBody(msgspec.Struct, frozen=True, gc=False):
    """A delta, as far as the hot path needs it. At most one of the texts is there."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """Any event."""

    type: str = ""
    index: int | None = None
    delta: DeltaBody | None = None


class StartEvent(msgspec.Struct, frozen=True, gc=False):
    content_block: dict[str, msgspec.Raw]
    index: int | None = None


class RareDelta(msgspec.Struct, frozen=True, gc=False):
    """The deltas that come once."""

    type: str = ""
    signature: str | None = None
    citation: msgspec.Raw = msgspec.Raw(b"null")
    content: msgspec.Raw = msgspec.Raw(b"null")
    encrypted_content: msgspec.Raw = msgspec.Raw(b"null")


class RareDeltaEvent(msgspec.Struct, frozen=True, gc=False):
    delta: RareDelta
    index: int | None = None


# Not strict where it costs nothing: an index as a string is still an index.
event_decoder: Decoder[Event] = Decoder(Event)
start_decoder: Decoder[StartEvent] = Decoder(StartEvent, strict=False)
rare_decoder: Decoder[RareDeltaEvent] = Decoder(RareDeltaEvent, strict=False)
fields_decoder: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])
raw_blocks_decoder: Decoder[list[msgspec.Raw]] = Decoder(list[msgspec.Raw])
any_decoder: Decoder[Any] = Decoder()

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
