"""Whether a history is one that every provider accepts. An independent check for tests and for the kill test.

It shares no code with what arranges histories, on purpose: it looks at the bytes that would be sent. The rules are
the strictest of the three wires (`reference/wire`): unique call ids, each call answered exactly once, outputs in call
order right after the response that made the calls, reasoning followed by what it led to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from messages.items import HistoryItem

_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_OUTPUTS = {"function_call_output", "custom_tool_call_output"}


def validate_history(history: Iterable[HistoryItem]) -> list[str]:
    """What is wrong with ``history``, one sentence each; empty when nothing is."""
    found: list[str] = []
    ids: set[str] = set()
    call_ids: set[str] = set()
    waiting: list[tuple[str, str]] = []
    """Calls of the present response without an output yet: (call id, type of output)."""
    answering = False
    reasoning_at: int | None = None
    for index, item in enumerate(history):
        fields = _fields(item, index, found)
        if fields is None:
            continue
        type_ = fields["type"]
        by_model = _by_model(fields)
        item_id = fields.get("id")
        if isinstance(item_id, str):
            if item_id in ids:
                found.append(f"[{index}] the id {item_id!r} was used before")
            ids.add(item_id)
        if reasoning_at is not None and not by_model:
            found.append(f"[{reasoning_at}] reasoning is followed by {type_}, not by what it led to")
        reasoning_at = index if type_ == "reasoning" else None
        if type_ in _OUTPUTS:
            answering = True
            expected = waiting[0] if waiting else None
            if expected != (fields.get("call_id"), type_):
                found.append(f"[{index}] {type_} for {fields.get('call_id')!r} where {expected} is due")
            waiting = [call for call in waiting if call[0] != fields.get("call_id")]
            continue
        if waiting and (answering or not by_model):
            found.append(f"[{index}] {type_} before the outputs of {[call for call, _ in waiting]}")
            waiting = []
        answering = False
        if type_ in _CALLS:
            call_id = fields.get("call_id")
            if not isinstance(call_id, str) or call_id in call_ids:
                found.append(f"[{index}] {type_} with a missing or repeated call id {call_id!r}")
            else:
                call_ids.add(call_id)
                waiting.append((call_id, _CALLS[type_]))
    if waiting:
        found.append(f"calls without an output at the end: {[call for call, _ in waiting]}")
    if reasoning_at is not None:
        found.append(f"[{reasoning_at}] reasoning at the very end")
    return found


def _fields(item: HistoryItem, index: int, found: list[str]) -> dict[str, Any] | None:
    try:
        fields = msgspec.json.decode(item.raw, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError) as error:
        found.append(f"[{index}] not a JSON object: {error}")
        return None
    type_ = fields.get("type")
    if not isinstance(type_, str):
        found.append(f"[{index}] without a type")
        return None
    known = {"message", "reasoning", "compaction", *_CALLS, *_OUTPUTS}
    if item.kind != (type_ if type_ in known else "opaque"):
        found.append(f"[{index}] is called {item.kind} but says {type_}")
    if item.call_id is not None and item.call_id != fields.get("call_id"):
        found.append(f"[{index}] is filed under call {item.call_id!r} but says {fields.get('call_id')!r}")
    if type_ == "message" and not (isinstance(fields.get("role"), str) and fields.get("content") is not None):
        found.append(f"[{index}] a message without role or content")
    if type_ in _OUTPUTS and fields.get("output") is None:
        found.append(f"[{index}] an output without output")
    return fields


def _by_model(fields: dict[str, Any]) -> bool:
    type_ = fields["type"]
    if type_ == "message":
        return bool(fields.get("role") == "assistant")
    return type_ not in _OUTPUTS and type_ != "compaction"
