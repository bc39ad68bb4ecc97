"""The finished parts of an answer as history items, in the vocabulary of `messages.items`.

What a server wants back and nobody else understands travels in ``callboard.block`` of the item it belongs to:

    reasoning    ``field``                   the field it came in: it goes back in the same one
                 ``reasoning_details``       OpenRouter's, the fragments in order
    message      ``extra_content``           Gemini's thought signature of the message
    call         ``extra_content``           Gemini's, of this call
                 ``message_extra_content``   Gemini's, of a message that had no words: kept with its first call

It is replayed only to the provider and model that made it (`chat.request`), and left out for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messages.base import CallId
from messages.items import HistoryItem, Origin

FIELD = "field"
REASONING_DETAILS = "reasoning_details"
EXTRA_CONTENT = "extra_content"
MESSAGE_EXTRA_CONTENT = "message_extra_content"

_encode = msgspec.json.Encoder().encode


def message(text: str, refusal: str, annotations: list[Any], block: Mapping[str, Any], origin: Origin) -> HistoryItem:
    """What was said."""
    parts: list[dict[str, Any]] = []
    if text or not refusal:
        parts.append({"type": "output_text", "text": text, "annotations": citations(annotations)})
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    raw: dict[str, Any] = {"type": "message", "role": "assistant", "content": parts}
    return HistoryItem(kind="message", raw=_raw(raw, block), origin=origin)


def reasoning(text: str, block: Mapping[str, Any], origin: Origin) -> HistoryItem:
    """Readable reasoning, and what replays it."""
    raw: dict[str, Any] = {"type": "reasoning", "summary": []}
    if text:
        raw["content"] = [{"type": "reasoning_text", "text": text}]
    return HistoryItem(kind="reasoning", raw=_raw(raw, block), origin=origin)


def function_call(call_id: str, name: str, arguments: str, block: Mapping[str, Any], origin: Origin) -> HistoryItem:
    """A call. Arguments that never came are those of a tool that takes none."""
    arguments = arguments if arguments.strip() else "{}"
    raw = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return HistoryItem(kind="function_call", raw=_raw(raw, block), call_id=CallId(call_id), origin=origin)


def custom_call(call_id: str, name: str, text: str, block: Mapping[str, Any], origin: Origin) -> HistoryItem:
    """A freeform call."""
    raw = {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": text}
    return HistoryItem(kind="custom_tool_call", raw=_raw(raw, block), call_id=CallId(call_id), origin=origin)


def citations(annotations: list[Any]) -> list[dict[str, Any]]:
    """Those that are citations of web pages, as the Responses vocabulary has them; others have no place there."""
    found: list[dict[str, Any]] = []
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("type") != "url_citation":
            continue
        inner = annotation.get("url_citation")
        fields = inner if isinstance(inner, dict) else annotation
        url, start, end = (fields.get(name) for name in ("url", "start_index", "end_index"))
        if isinstance(url, str) and isinstance(start, int) and isinstance(end, int):
            title = fields.get("title")
            found.append(
                {
                    "type": "url_citation",
                    "start_index": start,
                    "end_index": end,
                    "url": url,
                    "title": title if isinstance(title, str) else url,
                }
            )
    return found


def _raw(fields: dict[str, Any], block: Mapping[str, Any]) -> bytes:
    kept = {name: value for name, value in block.items() if value is not None}
    return _encode({**fields, "callboard": {"block": kept}} if kept else fields)
