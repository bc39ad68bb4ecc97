"""session <-> model_stream: one request to sample, and what is heard while it streams.

Structure travels as these messages. Text does not: it is appended to the open item's text during a round and wakes
nobody (see `actors/session/open_text.py`); `TextBegan` only says where it will be found.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.base import CallId, Message, ThreadId, TurnId
from messages.failure import Failure
from messages.items import HistoryItem

TextChannel = Literal["text", "refusal", "summary", "reasoning", "arguments", "output", "script"]
"""What a text is: visible text, a reasoning summary, raw reasoning, a call's arguments, a command's output, or a script
that is being written."""

StopReason = Literal["end", "tool_use", "length", "context_window", "filtered", "refused", "pause"]
"""Why a response stopped. Its calls may be run only after ``tool_use``: cut off by a limit, a call's arguments may be
half of what was meant, and look whole. ``length`` is the limit of output tokens, ``context_window`` that of the whole
conversation. ``pause``: the provider wants to be sampled again with what there is."""


ToolNeed = Literal["commands", "patches", "images", "web_search", "default_mode", "questions", "permissions", "handles"]
"""What a tool cannot do without: a model that runs commands, writes patches, sees images; a provider that searches the
web; a mode in which plans are carried out; leave to put questions to people; a sandbox, and leave to ask for more than
it gives; scripts, and a thread that is on disk."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as offered to a model."""

    name: str
    description: str
    parameters: dict[str, Any] | None = None
    """JSON schema of the arguments; None for a freeform tool."""
    grammar: str | None = None
    """Lark grammar of a freeform tool's input, where the wire can carry one."""
    hosted: Literal["web_search"] | None = None
    """Run by the provider: it is offered in the wire's own form, and no call of it ever reaches us."""
    live: bool = False
    """Of a hosted search: pages are opened afresh."""
    needs: tuple[ToolNeed, ...] = ()
    wires: tuple[str, ...] | None = None
    """Those that carry its schema (`schema_check.carriers`), where it was made by others; None: all do."""


class ForcedTool(msgspec.Struct, frozen=True, kw_only=True):
    """The model must call this tool."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | ForcedTool
"""Whether the model may call tools, may not, or must call one."""


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one sampling needs; a pure function of the history and the turn's settings."""

    request_id: str
    thread_id: ThreadId
    turn_id: TurnId
    provider: str
    model: str
    instructions: str
    history: tuple[HistoryItem, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    verbosity: str | None = None
    output_schema: dict[str, Any] | None = None
    max_output_tokens: int | None = None
    scripts: bool = False
    """Scripts in the text are no text: they are kept out of what is shown while it streams."""
    stop_sequences: tuple[str, ...] = ()
    """Texts at which the model stops. A wire that has no such thing fails the request before it is sent."""


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one response or of many; input includes what was cached, output includes reasoning."""

    input: int = 0
    cached_input: int = 0
    cache_write_input: int = 0
    output: int = 0
    reasoning_output: int = 0
    total: int = 0


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a provider on what a key may use."""

    name: str
    """The provider's: requests, input-tokens, primary …"""
    used_percent: float
    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    """Unix seconds."""
    window_minutes: int | None = None


class Credits(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription may use beyond its limits."""

    has_credits: bool
    unlimited: bool
    balance: str | None = None


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits as an answer's headers told them."""

    limits: tuple[RateLimit, ...]
    subscription: str | None = None
    """The id of a subscription's limit, whose windows are the limits called primary and secondary."""
    credits: Credits | None = None


class ItemBegan(Message, frozen=True, kw_only=True):
    """The model opened an item. ``slot`` counts items from 0 and never repeats in a request, whatever its attempts.

    Name and ids are what is known so far; the finished item decides.
    """

    request_id: str
    slot: int
    kind: Literal["message", "reasoning", "function_call", "custom_tool_call", "opaque"]
    provider_item_id: str | None = None
    call_id: CallId | None = None
    name: str | None = None
    phase: str | None = None
    """Of a message: commentary or final_answer, where the provider says so beforehand."""


class TextBegan(Message, frozen=True, kw_only=True):
    """A text of an item opened: find it in the request's text table under ``text_slot``."""

    request_id: str
    slot: int
    text_slot: int
    channel: TextChannel
    index: int = 0
    """Which summary part or content part."""


class ItemFinished(Message, frozen=True, kw_only=True):
    """An item is whole, but becomes history only when the response completes.

    Finished items come in slot order, which is the order of their replay. One that has not finished when
    `SampleCompleted` comes was never whole: it is no part of the response.
    """

    request_id: str
    slot: int
    item: HistoryItem


class SampleCompleted(Message, frozen=True, kw_only=True):
    """The response's own terminal event arrived: everything finished before it is final."""

    request_id: str
    response_id: str | None
    stop: StopReason
    usage: TokenUsage
    """What this response had in its context and added to it."""
    billed: TokenUsage | None = None
    """What it cost, where that is more: the provider called models of its own on the way."""
    model: str | None = None
    """The model that really answered, when the provider says so."""
    why: str | None = None
    """The provider's own words on why it stopped, where it has some (a refusal's explanation)."""
    wire_stop: str | None = None
    """The stop reason in the wire's own word."""
    wire_usage: bytes | None = None
    """What the provider counted, as the JSON object it counted in."""
    limits: RateLimits | None = None


class SampleRetrying(Message, frozen=True, kw_only=True):
    """An attempt failed and another follows; items and texts of the failed attempt are void."""

    request_id: str
    attempt: int
    """How many attempts have failed so far: 1 after the first."""
    attempts: int
    """How many there may be in all."""
    delay_seconds: float
    failure: Failure


class SampleFailed(Message, frozen=True, kw_only=True):
    """The request is over without a usable answer."""

    request_id: str
    failure: Failure
    limits: RateLimits | None = None
    """As the last answer told them, if there was one."""


StreamEvent = ItemBegan | TextBegan | ItemFinished | SampleCompleted | SampleRetrying | SampleFailed
