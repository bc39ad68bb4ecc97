"""The vocabulary of a conversation as a model sees it: OpenAI Responses items.

The three wire APIs map onto these with least loss. An item that may be replayed is kept as the exact JSON (`raw`) in
that vocabulary, because replay is append-only: nothing already sent is ever edited, and prefix caches and signed
thinking depend on it byte for byte. A history is therefore a tuple of `HistoryItem`, and building a request on the
Responses wire is joining bytes. The structs further down are views for whoever must read or make an item.

What a model on another wire said is kept in the same vocabulary, with what that wire needs beyond it in the field
`callboard` (`Note`). A block of a provider that has no counterpart at all is an item of the type `BLOCK_TYPE`, whose
field ``block`` is the block as it came.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.base import CallId

ItemKind = Literal[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "compaction",
    "opaque",
]


BLOCK_TYPE = "callboard_block"
"""Of an opaque item that holds another wire's block: ``{"type": BLOCK_TYPE, "block": {...}}``."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who made an item. Opaque reasoning is replayed only to the provider and model that made it."""

    provider: str
    model: str
    wire: str
    prefix: str | None = None
    """A digest of the instructions and tools the item was made under, where its opaque part is bound to them: under
    others it is not replayed. None: it is not bound."""


class HistoryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One replayable item."""

    kind: ItemKind
    raw: bytes
    """JSON text of the item in the Responses vocabulary, exactly as it will be replayed."""
    call_id: CallId | None = None
    """Of a call or of the output that answers it."""
    origin: Origin | None = None
    """Set on what a model said; None on what users and tools said."""


class InputText(msgspec.Struct, frozen=True, kw_only=True, tag="input_text"):
    """Text from the user, a tool or the system."""

    text: str


class InputImage(msgspec.Struct, frozen=True, kw_only=True, tag="input_image", omit_defaults=True):
    """An image as a URL or a data URL."""

    image_url: str
    detail: str | None = None


class OutputText(msgspec.Struct, frozen=True, kw_only=True, tag="output_text", omit_defaults=True):
    """Text from the model."""

    text: str
    annotations: tuple[Any, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """The model's words when it declines."""

    refusal: str


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item knows that the Responses vocabulary has no word for. No provider is ever sent this field."""

    block: dict[str, Any] = {}
    """Fields in which the wire that made the item said more than the item holds; they go back to it, unchanged."""
    failed: bool = False
    """Of an output: the call came to nothing. For wires that have a flag for that."""
    replaces: str | None = None
    """Of new instructions in the middle of a thread: those that were in force before."""
    spawn: int | None = None
    """Of a message: it tells how this spawned call has ended."""


ContentPart = InputText | InputImage | OutputText | Refusal
OutputPart = InputText | InputImage


class MessageItem(msgspec.Struct, frozen=True, kw_only=True, tag="message", omit_defaults=True):
    """Something said. ``phase`` (commentary, final_answer) must be sent back as it came."""

    role: Literal["user", "assistant", "system", "developer"]
    content: tuple[ContentPart, ...]
    id: str | None = None
    phase: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


class SummaryText(msgspec.Struct, frozen=True, kw_only=True, tag="summary_text"):
    """One part of a reasoning summary."""

    text: str


class ReasoningText(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning_text"):
    """One part of raw reasoning."""

    text: str


class ReasoningItem(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning"):
    """Readable reasoning and the opaque data that replays it."""

    id: str | None = None
    summary: tuple[SummaryText, ...] = ()
    content: tuple[ReasoningText, ...] | None = None
    encrypted_content: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True, tag="function_call", omit_defaults=True):
    """A structured call; ``arguments`` is JSON text as the model wrote it."""

    call_id: CallId
    name: str
    arguments: str
    id: str | None = None
    namespace: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


class FunctionCallOutput(msgspec.Struct, frozen=True, kw_only=True, tag="function_call_output", omit_defaults=True):
    """What a call came to. There is no error flag on this wire: the text says it."""

    call_id: CallId
    output: str | tuple[OutputPart, ...]
    id: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


class CustomToolCall(msgspec.Struct, frozen=True, kw_only=True, tag="custom_tool_call", omit_defaults=True):
    """A freeform call; ``input`` is text in the tool's own grammar, not JSON."""

    call_id: CallId
    name: str
    input: str
    id: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


class CustomToolCallOutput(
    msgspec.Struct, frozen=True, kw_only=True, tag="custom_tool_call_output", omit_defaults=True
):
    """What a freeform call came to."""

    call_id: CallId
    output: str | tuple[OutputPart, ...]
    id: str | None = None
    callboard: Note | msgspec.UnsetType = msgspec.UNSET


ReadableItem = MessageItem | ReasoningItem | FunctionCall | FunctionCallOutput | CustomToolCall | CustomToolCallOutput
"""What `HistoryItem.raw` decodes to for every kind but compaction and opaque."""
