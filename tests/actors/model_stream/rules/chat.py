"""What makes a server of the Chat Completions wire refuse a request, as an independent check.

Written from the wire's documented and recorded 400s, not from the renderer. `offences` names everything that is wrong,
so that a failing property says what it found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

ROLES = ("system", "developer", "user", "assistant", "tool")
ID = re.compile(r"[!-~]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ASSISTANT_FIELDS = {
    "role",
    "content",
    "tool_calls",
    "refusal",
    "name",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "extra_content",
}
MAX_STOPS = 4


def offences(body: Mapping[str, Any], *, ids: re.Pattern[str] = ID, user_after_tool: bool = True) -> list[str]:
    """Everything in a request's body that a server would refuse."""
    found = _of_settings(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return [*found, "messages is empty or no list"]
    waiting: list[str] = []
    seen: set[str] = set()
    before = ""
    for number, message in enumerate(messages):
        at = f"messages[{number}]"
        role = message.get("role")
        if role not in ROLES:
            found.append(f"{at}: unknown role {role!r}")
        if waiting and role != "tool":
            found.append(f"{at}: {role} before the calls {waiting} are answered")
            waiting = []
        if role == "tool":
            found += _of_tool(at, message, waiting, before)
        elif role == "assistant":
            calls, wrong = _of_assistant(at, message, ids, seen)
            found += wrong
            waiting = calls
        else:
            if role == "user" and before == "tool" and not user_after_tool:
                found.append(f"{at}: a user's message follows a tool's")
            found += _of_words(at, message)
        before = str(role)
    if waiting:
        found.append(f"the calls {waiting} are not answered")
    return found


def _of_settings(body: Mapping[str, Any]) -> list[str]:
    found = []
    if not isinstance(body.get("model"), str) or not body["model"]:
        found.append("no model")
    stop = body.get("stop", [])
    if not isinstance(stop, list) or len(stop) > MAX_STOPS or not all(isinstance(each, str) and each for each in stop):
        found.append("stop is no list of at most 4 texts")
    if "max_tokens" in body and "max_completion_tokens" in body:
        found.append("max_tokens and max_completion_tokens at once")
    if "stream_options" in body and not body.get("stream"):
        found.append("stream_options without stream")
    tools = body.get("tools")
    if tools is None:
        found += [f"{name} without tools" for name in ("tool_choice", "parallel_tool_calls") if name in body]
        return found
    if not tools:
        found.append("tools is empty")
    names = []
    for tool in tools:
        kind = tool.get("type")
        inner = tool.get(kind, {})
        names.append(inner.get("name", ""))
        if kind not in ("function", "custom") or NAME.fullmatch(names[-1]) is None:
            found.append(f"a tool is not shaped as one: {tool}")
        if kind == "function" and inner.get("parameters", {}).get("type") != "object":
            found.append(f"the parameters of {names[-1]} are no object schema")
    if len(set(names)) != len(names):
        found.append("two tools have one name")
    return found


def _of_tool(at: str, message: Mapping[str, Any], waiting: list[str], before: str) -> list[str]:
    found = []
    id_ = message.get("tool_call_id")
    if before not in ("assistant", "tool"):
        found.append(f"{at}: a tool's message follows {before or 'nothing'}")
    if id_ not in waiting:
        found.append(f"{at}: answers {id_!r}, which is not waiting")
    else:
        waiting.remove(id_)
    content = message.get("content")
    if isinstance(content, list):
        found += [f"{at}: a tool's message holds {part.get('type')}" for part in content if part.get("type") != "text"]
    elif not isinstance(content, str) or not content:
        found.append(f"{at}: a tool's message without text")
    if extra := set(message) - {"role", "content", "tool_call_id"}:
        found.append(f"{at}: unknown fields {extra}")
    return found


def _of_assistant(
    at: str, message: Mapping[str, Any], ids: re.Pattern[str], seen: set[str]
) -> tuple[list[str], list[str]]:
    found = []
    content, calls = message.get("content"), message.get("tool_calls")
    if not calls and not content:
        found.append(f"{at}: neither words nor calls")
    if content is not None and (not isinstance(content, str | list) or not content):
        found.append(f"{at}: content is empty or neither null nor text")
    if calls is not None and not calls:
        found.append(f"{at}: an empty list of calls")
    if extra := set(message) - ASSISTANT_FIELDS:
        found.append(f"{at}: unknown fields {extra}")
    asked = []
    for call in calls or ():
        id_, kind = call.get("id", ""), call.get("type")
        inner = call.get(kind) if isinstance(kind, str) else None
        if ids.fullmatch(id_) is None:
            found.append(f"{at}: the id {id_!r} is not accepted")
        if id_ in seen:
            found.append(f"{at}: the id {id_!r} a second time")
        seen.add(id_)
        asked.append(id_)
        if not isinstance(inner, dict) or NAME.fullmatch(inner.get("name", "")) is None:
            found.append(f"{at}: a call without a name: {call}")
        elif kind == "function" and not _is_object(inner.get("arguments")):
            found.append(f"{at}: arguments that are no JSON object: {inner.get('arguments')!r}")
        elif kind == "custom" and not isinstance(inner.get("input"), str):
            found.append(f"{at}: a freeform call without input")
        if extra := set(call) - {"id", "type", "function", "custom", "extra_content"}:
            found.append(f"{at}: unknown fields of a call {extra}")
    return asked, found


def _of_words(at: str, message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    found = []
    if isinstance(content, list) and content and message.get("role") == "user":
        for part in content:
            match part:
                case {"type": "text", "text": str(text)} if text:
                    pass
                case {"type": "image_url", "image_url": {"url": str(url)}} if url:
                    pass
                case _:
                    found.append(f"{at}: a part that is none: {part}")
    elif not isinstance(content, str) or not content:
        found.append(f"{at}: a message without text")
    if extra := set(message) - {"role", "content", "name"}:
        found.append(f"{at}: unknown fields {extra}")
    return found


def _is_object(arguments: object) -> bool:
    try:
        return isinstance(arguments, str) and isinstance(msgspec.json.decode(arguments), dict)
    except msgspec.DecodeError:
        return False
