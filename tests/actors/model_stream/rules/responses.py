"""What makes the Responses API refuse a request, as an independent check.

Written from the wire's documented and recorded 400s, not from the renderer. `offences` names everything that is wrong,
so that a failing property says what it found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_ID = 64
FIELDS = {
    "message": {"type", "role", "content", "id", "phase"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input"},
    "custom_tool_call_output": {"type", "id", "call_id", "output"},
    "compaction": {"type", "id", "encrypted_content"},
    "web_search_call": {"type", "id", "action"},
}
"""A field that the API does not know is ``Unknown parameter``; ``status`` is known and better left out."""

PREFIXES = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_"}
OUTPUT_OF = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "system": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}


def offences(body: Mapping[str, Any]) -> list[str]:
    """Everything in a request's body that the API would refuse."""
    found = []
    if "stop" in body:
        found.append("Unknown parameter: 'stop'")
    if body.get("store") is not False:
        found.append("a stateless request says store: false")
    names = [tool["name"] for tool in body.get("tools", [])]
    if "tool_choice" in body and not names:
        found.append("tool_choice without tools")
    items = body["input"]
    calls: dict[str, str] = {}
    answered: set[str] = set()
    for number, item in enumerate(items):
        at, kind = f"input[{number}]", item.get("type")
        if kind not in FIELDS:
            found.append(f"{at}: the type {kind!r}")
            continue
        found += [f"{at}: Unknown parameter {name!r}" for name in item.keys() - FIELDS[kind]]
        if kind == "message":
            found += _of_message(at, item)
        elif kind == "reasoning":
            found += _of_reasoning(at, items, number)
        elif kind in OUTPUT_OF:
            call_id = item.get("call_id")
            if not isinstance(call_id, str) or not 0 < len(call_id) <= MAX_ID:
                found.append(f"{at}: the call_id {call_id!r}")
            if call_id in calls:
                found.append(f"{at}: the call_id {call_id!r} a second time")
            if not isinstance(item.get("arguments", item.get("input")), str):
                found.append(f"{at}: arguments are no text")
            calls[str(call_id)] = OUTPUT_OF[kind]
        elif kind.endswith("_output"):
            call_id = str(item.get("call_id"))
            if calls.get(call_id) != kind or call_id in answered:
                found.append(f"{at}: No tool call found for {kind} with call_id {call_id}")
            answered.add(call_id)
            found += _of_output(at, item)
    found += [f"No tool output found for function call {call_id}" for call_id in calls.keys() - answered]
    return found


def _of_message(at: str, item: dict[str, Any]) -> list[str]:
    allowed = PARTS.get(str(item.get("role")))
    if allowed is None:
        return [f"{at}: the role {item.get('role')!r}"]
    return [f"{at}: Invalid value: {part['type']!r}" for part in item["content"] if part["type"] not in allowed]


def _of_output(at: str, item: dict[str, Any]) -> list[str]:
    output = item.get("output")
    if isinstance(output, str):
        return []
    if not isinstance(output, list):
        return [f"{at}: output is neither text nor parts"]
    return [f"{at}: Invalid value: {part['type']!r}" for part in output if part["type"] not in PARTS["user"]]


def _of_reasoning(at: str, items: list[dict[str, Any]], number: int) -> list[str]:
    found = []
    item = items[number]
    if not item.get("encrypted_content"):
        found.append(f"{at}: reasoning is not found on the server and brings no encrypted_content")
    if not isinstance(item.get("summary"), list):
        found.append(f"{at}: no summary")
    for follower in items[number + 1 :]:
        if follower["type"] == "reasoning":
            continue
        said = (
            follower["type"] in OUTPUT_OF or follower.get("role") == "assistant" or follower["type"].endswith("_call")
        )
        if said:
            return found
        break
    return [*found, f"{at}: reasoning was provided without its required following item"]
