"""A `SampleRequest` as the body of ``POST {base_url}/messages``, and the headers beside it.

Two cache breakpoints, both where they never have to move: on the last block of the system prompt, which covers the
tools too, and one that the provider itself sets on the last block of all (``cache_control`` at the top level). So the
messages of one request are, byte for byte, the beginning of the next one's.

A knob that the model does not have is turned as far as it goes or left out (effort, verbosity). What cannot be left out
without meaning something else is an `UnsupportedError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from actors.model_stream import catalogue
from actors.model_stream.anthropic.abilities import Abilities, abilities_of, nearest_effort
from actors.model_stream.anthropic.messages import TOOL_NAME, Conversation, Fields, conversation
from actors.model_stream.anthropic.recital import Recital
from actors.model_stream.rendering import UnsupportedError, freeform_description, freeform_schema, replay, standing
from messages.items import HistoryItem, Origin
from messages.model import ForcedTool, SampleRequest, ToolSpec
from messages.settings import ProviderSettings

WIRE = "messages"

FALLBACK_MAX_TOKENS = 8192
"""The field is required; every model that can use tools writes as much."""

MIN_BUDGET = 1024
"""The least that a budget of thinking may be; as much is left for the answer."""

BUDGETS = {"minimal": 1024, "low": 4096, "medium": 10_000, "high": 20_000, "xhigh": 32_000, "max": 48_000}
"""Tokens of thinking for models that want a number, by our word for it."""

INTERLEAVED = "interleaved-thinking-2025-05-14"

_EPHEMERAL = {"type": "ephemeral"}
_THOUGHTS = ("thinking", "redacted_thinking")


def body(request: SampleRequest, provider: ProviderSettings, recital: Recital | None = None) -> bytes:
    """The whole body as JSON. Raises UnsupportedError. ``recital``: what this thread has been sent before."""
    abilities = abilities_of(request.model)
    model = catalogue.find(request.provider, request.model, provider.models)
    target = Origin(provider=request.provider, model=request.model, wire=WIRE, prefix=prefix(request))
    instructions, history = _standing(request, abilities)
    if recital is None:
        said = conversation(replay(history, target), abilities, images=model.images)
    else:
        said = recital.say(history, target, abilities, images=model.images)
    limit = request.max_output_tokens or model.max_output_tokens or FALLBACK_MAX_TOKENS
    thinking, effort = _thinking(request, abilities, limit)
    if _must_not_think(thinking, said):
        thinking = None
    fields: Fields = {"model": request.model, "max_tokens": limit}
    system = [_text(text) for text in (instructions, *said.system) if text.strip()]
    if system:
        system[-1]["cache_control"] = _EPHEMERAL
        fields["system"] = system
    fields.update(_tools(request, said))
    if thinking is not None:
        fields["thinking"] = thinking
    output = _output(request, effort)
    if output:
        fields["output_config"] = output
    if request.stop_sequences:
        fields["stop_sequences"] = _stop_sequences(request)
    fields["cache_control"] = _EPHEMERAL
    fields["stream"] = True
    fields["messages"] = said.messages
    if said.earlier:
        later = [msgspec.json.encode(message) for message in said.messages]
        fields["messages"] = msgspec.Raw(b"[" + b",".join((*said.earlier, *later)) + b"]")
    return msgspec.json.encode(fields)


def prefix(request: SampleRequest) -> str | None:
    """What the model's thinking is bound to beside the messages, which only grow; None if it is not.

    Under other instructions or tools the earlier thinking is left out as another model's would be, and never edited.
    """
    abilities = abilities_of(request.model)
    if not abilities.binds_prefix:
        return None
    instructions, _ = _standing(request, abilities)
    bound = msgspec.json.encode((instructions, request.tools))
    return hashlib.blake2b(bound, digest_size=8).hexdigest()


def _standing(request: SampleRequest, abilities: Abilities) -> tuple[str, tuple[HistoryItem, ...]]:
    return standing(request.instructions, request.history, mid_conversation=abilities.system_messages)


def headers(request: SampleRequest, provider: ProviderSettings) -> Mapping[str, str]:
    """What the wire wants beside the usual headers."""
    abilities = abilities_of(request.model)
    wanted = {"anthropic-version": provider.api_version or abilities.api_version}
    if abilities.interleaves_by_header and request.tools and _wants_thinking(request, abilities):
        wanted["anthropic-beta"] = INTERLEAVED
    return wanted


# --- thinking -------------------------------------------------------------------------------------------------------


def _effort(request: SampleRequest, abilities: Abilities) -> str:
    return request.reasoning_effort or abilities.default_effort or "none"


def _is_forced(request: SampleRequest) -> bool:
    return request.tool_choice == "required" or isinstance(request.tool_choice, ForcedTool)


def _wants_thinking(request: SampleRequest, abilities: Abilities) -> bool:
    if abilities.thinking == "never" or _is_forced(request):
        return False
    return abilities.always_thinks or _effort(request, abilities) != "none"


def _thinking(request: SampleRequest, abilities: Abilities, limit: int) -> tuple[Fields | None, str | None]:
    """The field `thinking` and the level of effort; None: not sent."""
    asked = _effort(request, abilities)
    if not _wants_thinking(request, abilities):
        # A level that is asked for still says how much the model may write, where it may be said without thinking.
        level = nearest_effort(asked, abilities.off_efforts) if asked != "none" else None
        return (None if abilities.off is None else {"type": abilities.off}), level
    if abilities.thinking == "adaptive":  # asked for none, a model that always thinks thinks as little as it can
        return _shown({"type": "adaptive"}, request, abilities), nearest_effort(asked, abilities.efforts)
    budget = min(BUDGETS.get(asked, BUDGETS["medium"]), limit - MIN_BUDGET)
    if budget < MIN_BUDGET:
        return None, nearest_effort(asked, abilities.off_efforts)
    enabled = {"type": "enabled", "budget_tokens": budget}
    return _shown(enabled, request, abilities), nearest_effort(asked, abilities.efforts)


def _shown(thinking: Fields, request: SampleRequest, abilities: Abilities) -> Fields:
    """Whether its text comes along; nothing is said where the model does so anyway."""
    hidden = request.reasoning_summary == "none"
    if hidden == abilities.shows_thinking:
        thinking["display"] = "omitted" if hidden else "summarized"
    return thinking


def _must_not_think(thinking: Fields | None, said: Conversation) -> bool:
    """Whether the model answers results of calls that were made without thinking.

    With a budget, the message that made the calls must begin with thinking ("Expected `thinking` or
    `redacted_thinking`, but found `tool_use`"); it has none when another model made them, or when thinking was turned
    on in between. From the next prompt on it thinks again.
    """
    if thinking is None or thinking["type"] != "enabled":
        return False
    last = said.messages[-1]
    if last["role"] != "assistant":
        if last["content"][0]["type"] != "tool_result":
            return False
        last = said.messages[-2]  # the one to speak first is a user without results
    return bool(last["content"][0]["type"] not in _THOUGHTS)


# --- the rest -------------------------------------------------------------------------------------------------------


def _text(text: str) -> Fields:
    return {"type": "text", "text": text}


def _tools(request: SampleRequest, said: Conversation) -> Fields:
    if not request.tools:
        if not said.called:
            return {}
        # The provider wants to know every tool that a message names.
        known = [{"name": name, "input_schema": {"type": "object"}} for name in said.called]
        return {"tools": known, "tool_choice": {"type": "none"}}
    return {"tools": [_tool(tool) for tool in request.tools], "tool_choice": _tool_choice(request)}


WEB_SEARCH = "web_search_20250305"
"""The version that every model has; later ones filter results by running code, which we do not offer."""

SEARCHES_MAX = 10
"""Of one answer: each is paid for."""


def _tool(tool: ToolSpec) -> Fields:
    if tool.hosted is not None:
        return {"type": WEB_SEARCH, "name": tool.name, "max_uses": SEARCHES_MAX}
    if not TOOL_NAME.fullmatch(tool.name):
        raise UnsupportedError(
            f"the tool name {tool.name!r} is not one this API takes: letters, digits, _ and -, at most 128 of them."
        )
    if tool.parameters is None:
        return {
            "name": tool.name,
            "description": freeform_description(tool),
            "input_schema": freeform_schema(),
        }
    schema: dict[str, Any] = {"type": "object", **tool.parameters}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


def _tool_choice(request: SampleRequest) -> Fields:
    abilities = abilities_of(request.model)
    if _is_forced(request) and abilities.forced_tools == "never":
        raise UnsupportedError(
            f"the model {request.model} cannot be made to call a tool. Leave the choice to it, or use another model."
        )
    match request.tool_choice:
        case "none":
            return {"type": "none"}
        case ForcedTool(name=name):
            choice: Fields = {"type": "tool", "name": name}
        case "required":
            choice = {"type": "any"}
        case "auto":
            choice = {"type": "auto"}
    if not request.parallel_tool_calls:
        choice["disable_parallel_tool_use"] = True
    return choice


def _output(request: SampleRequest, effort: str | None) -> Fields:
    output: Fields = {}
    if effort is not None:
        output["effort"] = effort
    if request.output_schema is not None:
        output["format"] = {"type": "json_schema", "schema": request.output_schema}
    return output


def _stop_sequences(request: SampleRequest) -> list[str]:
    if any(not each.strip() for each in request.stop_sequences):
        raise UnsupportedError("a stop sequence is empty or blank, which this API refuses. Leave it out.")
    return list(request.stop_sequences)
