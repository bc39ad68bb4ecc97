"""A `SampleRequest` as the body of ``POST {base_url}/responses``.

The history is joined, never encoded again: each item's `raw` is the JSON it arrived or was made as, and byte-identical
prefixes are what prefix caches and signed reasoning depend on. What is left out is left out by rules that look only at
the item and its neighbours, so a prefix stays the same prefix as the history grows. Only what another provider's model
said is written anew, without the fields that this API would not know, and a call whose id it would not take gets
another.

Stateless on purpose (``store: false``, no ``previous_response_id``): the log on our disk is the only truth, and a
thread can move to another provider at any turn. Hence ``include: reasoning.encrypted_content``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.json import Decoder

from actors.model_stream.rendering import CallIds, IdForm, UnsupportedError, without_note
from messages.items import HistoryItem
from messages.model import ForcedTool, SampleRequest, ToolSpec

WIRE = "responses"

OUTPUT_FORMAT_NAME = "output"
"""The wire wants a name for an output schema; it is shown to nobody."""

_ID_FORM = IdForm(accepted=r".{1,64}", prefix="call_")
_CALLS = ("function_call", "custom_tool_call")

_SHARED_FIELDS = frozenset(
    ("type", "role", "content", "phase", "call_id", "name", "namespace", "arguments", "input", "output")
)
"""Of what a model says or a tool answers: everything but ids and what only its own provider knows."""

_fields: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])

_EMPTY_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def body(request: SampleRequest) -> bytes:
    """The whole body as JSON. Raises UnsupportedError."""
    head = msgspec.json.encode(_settings(request))
    history = b",".join(item.raw for item in replayable(request.history, request.provider, request.model))
    return b"".join((head[:-1], b',"input":[', history, b"]}"))


def replayable(history: tuple[HistoryItem, ...], provider: str, model: str) -> list[HistoryItem]:
    """What of a history this provider and model accept, in order and unmodified.

    Opaque data (reasoning, compactions, provider-specific blocks) goes back only to the provider and model that made
    it. What people and tools said, and what a model said in plain words or calls, goes to all. Reasoning that led to
    nothing (its answer was cut off by a limit) is left out: the wire refuses it without the item it belongs to.
    """
    items: list[HistoryItem] = []
    ids = CallIds(_ID_FORM)
    for position, item in enumerate(history):
        origin = item.origin
        foreign = origin is not None and (origin.provider != provider or origin.model != model or origin.wire != WIRE)
        if foreign and item.kind in ("reasoning", "opaque", "compaction"):
            continue
        if item.kind == "reasoning" and not _led_somewhere(history, position):
            continue
        raw = _as_ours(item.raw) if foreign else without_note(item.raw)
        if item.call_id is not None:
            raw = _with_call_id(raw, item, ids)
        items.append(item if raw is item.raw else msgspec.structs.replace(item, raw=raw))
    return items


def _led_somewhere(history: tuple[HistoryItem, ...], position: int) -> bool:
    for follower in history[position + 1 :]:
        if follower.kind != "reasoning":
            return follower.origin is not None
    return False


def _as_ours(raw: bytes) -> bytes:
    """What another model said, in fields that the wire knows, and without its id.

    An unknown field is refused; so is a message or call whose id is known to follow reasoning that is not there.
    """
    fields = _fields.decode(raw)
    kept = {name: value for name, value in fields.items() if name in _SHARED_FIELDS}
    return raw if len(kept) == len(fields) else msgspec.json.encode(kept)


def _with_call_id(raw: bytes, item: HistoryItem, ids: CallIds) -> bytes:
    assert item.call_id is not None, "the caller looked"
    call_id = ids.call(item.call_id) if item.kind in _CALLS else ids.answered(item.call_id)
    if call_id == item.call_id:
        return raw
    return msgspec.json.encode({**_fields.decode(raw), "call_id": call_id})


def _settings(request: SampleRequest) -> dict[str, Any]:
    """Everything but the input, in a fixed order, because the cached prefix starts with it."""
    if request.stop_sequences:
        raise UnsupportedError("the Responses API has no stop sequences. Leave them out, or use another wire_api.")
    settings: dict[str, Any] = {"model": request.model}
    if request.instructions:
        settings["instructions"] = request.instructions
    if request.tools:
        settings["tools"] = [_tool(tool) for tool in request.tools]
        settings["tool_choice"] = _tool_choice(request)
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


def _tool_choice(request: SampleRequest) -> Any:
    choice = request.tool_choice
    if not isinstance(choice, ForcedTool):
        return choice
    freeform = any(tool.name == choice.name and tool.parameters is None for tool in request.tools)
    return {"type": "custom" if freeform else "function", "name": choice.name}


def _tool(tool: ToolSpec) -> dict[str, Any]:
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
