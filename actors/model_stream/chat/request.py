"""A `SampleRequest` as the body of ``POST {base_url}/chat/completions``.

A knob that a server lacks (verbosity, a cache key, the parallel flag) is left out: the answer is as good without it. A
feature it lacks (stop sequences) fails the request before it is sent, because the answer would be another one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.chat.messages import messages_of
from actors.model_stream.chat.recital import Recital
from actors.model_stream.profiles import dialect_of
from actors.model_stream.rendering import UnsupportedError, freeform_description, freeform_schema, standing
from messages.items import Origin
from messages.model import ForcedTool, SampleRequest, ToolSpec
from messages.settings import Dialect, ProviderSettings

WIRE = "chat"
PATH = "/chat/completions"

OUTPUT_FORMAT_NAME = "output"
"""The wire wants a name for an output schema; it is shown to nobody."""

_EMPTY_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def body(request: SampleRequest, provider: ProviderSettings, recital: Recital | None = None) -> bytes:
    """The whole body as JSON. Raises UnsupportedError for what the server has no word for. ``recital``: what this
    thread has been sent before."""
    dialect = dialect_of(request.provider, provider, request.model)
    return msgspec.json.encode(fields(request, dialect, recital))


def fields(request: SampleRequest, dialect: Dialect, recital: Recital | None = None) -> dict[str, Any]:
    """The body's fields, in a fixed order: what stays the same from request to request comes first."""
    target = Origin(provider=request.provider, model=request.model, wire=WIRE)
    sent: dict[str, Any] = {"model": request.model}
    if request.tools:
        sent["tools"] = [_tool(tool, dialect) for tool in request.tools]
        if (choice := _tool_choice(request, dialect)) is not None:
            sent["tool_choice"] = choice
        if dialect.parallel_flag:
            sent["parallel_tool_calls"] = request.parallel_tool_calls
    later = dialect.later_system_role in ("system", "developer")
    instructions, history = standing(request.instructions, request.history, mid_conversation=later)
    say = messages_of if recital is None else recital.say
    sent["messages"] = say(instructions, history, target, dialect)
    if request.max_output_tokens is not None:
        sent[dialect.max_tokens_field or "max_tokens"] = request.max_output_tokens
    sent |= _effort(request.reasoning_effort, dialect)
    if request.verbosity is not None and dialect.verbosity:
        sent["verbosity"] = request.verbosity
    if request.output_schema is not None:
        sent["response_format"] = _response_format(request.output_schema, dialect)
    if request.stop_sequences:
        sent["stop"] = _stop(request, dialect)
    if dialect.cache_key:
        sent["prompt_cache_key"] = request.thread_id
    sent["stream"] = True
    if dialect.stream_usage:
        sent["stream_options"] = {"include_usage": True}
    return {**sent, **(dialect.extra_body or {})}


def _stop(request: SampleRequest, dialect: Dialect) -> list[str]:
    allowed = dialect.stop_sequences or 0
    if not allowed:
        raise UnsupportedError(f"the model {request.model!r} takes no stop sequences there; leave them out")
    if len(request.stop_sequences) > allowed:
        raise UnsupportedError(
            f"it takes at most {allowed} stop sequences and was given {len(request.stop_sequences)}; leave some out"
        )
    return list(request.stop_sequences)


def _effort(effort: str | None, dialect: Dialect) -> dict[str, Any]:
    """How hard to think, in the server's own field. ``none`` is the catalogue's word for a model without levels."""
    if effort in (None, "none"):
        return {}
    match dialect.effort_field:
        case "reasoning_effort":
            return {"reasoning_effort": effort}
        case "reasoning":
            return {"reasoning": {"effort": effort}}
        case "enable_thinking":
            return {"enable_thinking": True}
        case "thinking":
            return {"thinking": {"type": "enabled"}}
        case _:
            return {}


def _response_format(schema: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    if not dialect.json_schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": OUTPUT_FORMAT_NAME, "schema": schema, "strict": True}}


def _tool_choice(request: SampleRequest, dialect: Dialect) -> Any:
    """None for ``auto``, which is what every server does with tools anyway."""
    match request.tool_choice:
        case "auto":
            return None
        case ForcedTool(name=name):
            freeform = any(tool.name == name and tool.parameters is None for tool in request.tools)
            kind = "custom" if freeform and dialect.freeform_tools else "function"
            return {"type": kind, kind: {"name": name}}
        case word:
            return word


def _tool(tool: ToolSpec, dialect: Dialect) -> dict[str, Any]:
    if tool.hosted is not None:
        raise UnsupportedError(f"this wire has no form for the hosted tool {tool.name}; leave it out")
    if tool.parameters is not None:
        parameters = tool.parameters or _EMPTY_PARAMETERS
        function = {"name": tool.name, "description": tool.description, "parameters": parameters}
        return {"type": "function", "function": function}
    if not dialect.freeform_tools:
        function = {
            "name": tool.name,
            "description": freeform_description(tool),
            "parameters": freeform_schema(),
        }
        return {"type": "function", "function": function}
    form: dict[str, Any] = {"type": "text"}
    if tool.grammar is not None:
        form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": tool.grammar}}
    return {"type": "custom", "custom": {"name": tool.name, "description": tool.description, "format": form}}
