"""A `SampleRequest` as the body of ``POST {base_url}/responses``.

The history is joined, never encoded again: each item's `raw` is the JSON it arrived or was made as, and byte-identical
prefixes are what prefix caches and signed reasoning depend on (`recital` says what is left out or written anew).

Stateless on purpose (``store: false``, no ``previous_response_id``): the log on our disk is the only truth, and a
thread can move to another provider at any turn. Hence ``include: reasoning.encrypted_content``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.rendering import UnsupportedError, freeform_description, freeform_schema
from actors.model_stream.responses.recital import Recital
from messages.model import ForcedTool, SampleRequest, ToolSpec

OUTPUT_FORMAT_NAME = "output"
"""The wire wants a name for an output schema; it is shown to nobody."""

_EMPTY_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A request taken apart: what a connection that remembers need not be told again is found by comparing items."""

    settings: dict[str, Any]
    """Everything but the input."""
    items: tuple[bytes, ...]
    """The input, each item as JSON."""


def parts(request: SampleRequest, recital: Recital | None = None, *, freeform: bool = True) -> Parts:
    """What the body is made of. Raises UnsupportedError. ``recital``: what this thread has been sent before;
    ``freeform``: the server has tools of free text."""
    recital = recital or Recital()
    said = recital.say(request.history, request.provider, request.model, freeform=freeform)
    opening = request.instructions if recital.opening is None else recital.opening
    return Parts(settings=_settings(request, opening, freeform), items=tuple(said))


def body(request: SampleRequest, recital: Recital | None = None, *, freeform: bool = True) -> bytes:
    """The whole body as JSON. Raises UnsupportedError."""
    return joined(parts(request, recital, freeform=freeform))


def joined(made: Parts) -> bytes:
    """The parts as one JSON object."""
    return b"".join((msgspec.json.encode(made.settings)[:-1], b',"input":[', b",".join(made.items), b"]}"))


def _settings(request: SampleRequest, instructions: str, freeform: bool) -> dict[str, Any]:
    """Everything but the input, in a fixed order, because the cached prefix starts with it."""
    if request.stop_sequences:
        raise UnsupportedError("the Responses API has no stop sequences. Leave them out, or use another wire_api.")
    settings: dict[str, Any] = {"model": request.model}
    if instructions:
        settings["instructions"] = instructions
    if request.tools:
        settings["tools"] = [_tool(tool, freeform) for tool in request.tools]
        settings["tool_choice"] = _tool_choice(request, freeform)
        settings["parallel_tool_calls"] = request.parallel_tool_calls
    reasoning: dict[str, str | None] = {}
    if request.reasoning_effort not in (None, "none"):  # the catalogue's word for a model without levels
        reasoning["effort"] = request.reasoning_effort
    if request.reasoning_summary not in (None, "none"):
        reasoning["summary"] = request.reasoning_summary
    if reasoning:
        settings["reasoning"] = reasoning
    text: dict[str, Any] = {}
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    if request.output_schema is not None:
        text["format"] = {
            "type": "json_schema",
            "name": OUTPUT_FORMAT_NAME,
            "schema": request.output_schema,
            "strict": True,
        }
    if text:
        settings["text"] = text
    if request.max_output_tokens is not None:
        settings["max_output_tokens"] = request.max_output_tokens
    settings["store"] = False
    settings["stream"] = True
    settings["include"] = ["reasoning.encrypted_content"]
    settings["prompt_cache_key"] = request.thread_id
    return settings


def _tool_choice(request: SampleRequest, takes_freeform: bool) -> Any:
    choice = request.tool_choice
    if not isinstance(choice, ForcedTool):
        return choice
    freeform = any(tool.name == choice.name and tool.parameters is None for tool in request.tools)
    return {"type": "custom" if freeform and takes_freeform else "function", "name": choice.name}


def _tool(tool: ToolSpec, freeform: bool) -> dict[str, Any]:
    if tool.hosted is not None:
        return {"type": "web_search", "external_web_access": tool.live}
    if tool.parameters is None and not freeform:
        return {
            "type": "function",
            "name": tool.name,
            "description": freeform_description(tool),
            "strict": False,
            "parameters": freeform_schema(),
        }
    if tool.parameters is None and tool.grammar is not None:
        form: dict[str, Any] = {"type": "grammar", "syntax": "lark", "definition": tool.grammar}
        return {"type": "custom", "name": tool.name, "description": tool.description, "format": form}
    if tool.parameters is None:
        return {"type": "custom", "name": tool.name, "description": tool.description, "format": {"type": "text"}}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "strict": False,
        "parameters": tool.parameters or _EMPTY_PARAMETERS,
    }
