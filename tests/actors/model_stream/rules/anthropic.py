"""What makes the Messages API refuse a request, as an independent check.

Written from the provider's documented and recorded 400s and its reference, not from the renderer; which model takes
what is told here once more, by hand. `offences` names everything that is wrong, so that a failing property says what it
found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ID = re.compile(r"[a-zA-Z0-9_-]+")
MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
THOUGHTS = ("thinking", "redacted_thinking")
SERVER_CALLS = ("server_tool_use", "mcp_tool_use")
MAX_BREAKPOINTS = 4
MAX_MESSAGES = 100_000

ASSISTANT_BLOCKS = ("text", *THOUGHTS, "tool_use", *SERVER_CALLS, "compaction", "fallback", "container_upload")
USER_BLOCKS = ("text", "image", "document", "search_result", "tool_result")
RESULT_BLOCKS = ("text", "image", "document", "search_result", "tool_reference")
FIELDS = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes."""

    thinking: tuple[str, ...]
    """The types that are not refused."""
    efforts: tuple[str, ...]
    thinks_unasked: bool = False
    forced_tools: bool = True
    """Whether a call may be demanded at all; never together with thinking."""
    system_messages: bool = False
    prefill: bool = False


_ALL = ("low", "medium", "high", "xhigh", "max")

FACTS = {
    "claude-opus-5-5": Facts(
        thinking=("adaptive",), efforts=_ALL, thinks_unasked=True, forced_tools=False, system_messages=True
    ),
    "claude-sonnet-5-5": Facts(
        thinking=("adaptive", "between_tools"),
        efforts=_ALL,
        thinks_unasked=True,
        forced_tools=False,
        system_messages=True,
    ),
    "claude-opus-5": Facts(thinking=("adaptive", "disabled"), efforts=_ALL, thinks_unasked=True, system_messages=True),
    "claude-opus-4-7": Facts(thinking=("adaptive", "disabled"), efforts=_ALL),
    "claude-sonnet-4-6": Facts(thinking=("adaptive", "enabled", "disabled"), efforts=("low", "medium", "high", "max")),
    "claude-haiku-4-5": Facts(thinking=("enabled", "disabled"), efforts=(), prefill=True),
}


def offences(body: Mapping[str, Any], facts: Facts) -> list[str]:
    """Everything in a request's body that the API would refuse."""
    found = [f"unknown field {name}" for name in body.keys() - FIELDS]
    if not isinstance(body.get("model"), str) or not body["model"]:
        found.append("no model")
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        found.append("max_tokens is no positive number")
    found += _of_thinking(body, facts)
    found += _of_tools(body, facts)
    found += _of_cache(body)
    for index, block in enumerate(_blocks(body.get("system", []))):
        found += _of_text(f"system[{index}]", block)
    for sequence in body.get("stop_sequences", []):
        if not sequence.strip():
            found.append("a blank stop sequence")
    messages = body.get("messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        return [*found, "messages is empty, too long or no list"]
    return found + _of_messages(messages, body, facts)


def _blocks(content: object) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _of_thinking(body: Mapping[str, Any], facts: Facts) -> list[str]:
    found = []
    thinking = body.get("thinking")
    effort = body.get("output_config", {}).get("effort")
    if effort is not None and effort not in facts.efforts:
        found.append(f"effort {effort!r} is not supported; supported are {facts.efforts}")
    if thinking is None:
        return found
    kind = thinking["type"]
    if kind not in facts.thinking:
        found.append(f"thinking {kind!r} is not supported for this model")
    if kind == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        found.append("budget_tokens is under 1024 or not under max_tokens")
    if thinking.get("display") not in (None, "summarized", "omitted"):
        found.append("an unknown display of thinking")
    if kind == "between_tools" and effort in ("xhigh", "max"):
        found.append("between_tools with more effort than high")
    if kind == "disabled" and facts.thinks_unasked and effort in ("xhigh", "max"):
        found.append("thinking disabled with more effort than high")
    return found


def _of_tools(body: Mapping[str, Any], facts: Facts) -> list[str]:
    found = []
    tools = body.get("tools", [])
    names = [tool.get("name") for tool in tools]
    if len(set(names)) != len(names):
        found.append("two tools of one name")
    for tool in tools:
        if not NAME.fullmatch(str(tool.get("name"))):
            found.append(f"the tool name {tool.get('name')!r}")
        if not isinstance(tool.get("input_schema"), dict) or tool["input_schema"].get("type") != "object":
            found.append(f"the tool {tool.get('name')!r} has no schema of an object")
        if tool.keys() - {"name", "description", "input_schema", "cache_control", "strict"}:
            found.append(f"the tool {tool.get('name')!r} has unknown fields")
    choice = body.get("tool_choice")
    if choice is None:
        return found
    if not tools:
        found.append("tool_choice without tools")
    if choice["type"] not in ("auto", "any", "tool", "none"):
        found.append(f"the tool choice {choice['type']!r}")
    if choice["type"] == "none" and len(choice) > 1:
        found.append("tool_choice none with more than its type")
    if choice["type"] == "tool" and choice.get("name") not in names:
        found.append(f"tool_choice names {choice.get('name')!r}, which is not offered")
    if choice["type"] in ("any", "tool"):
        kind = body.get("thinking", {}).get("type", "adaptive" if facts.thinks_unasked else "disabled")
        if not facts.forced_tools or kind in ("adaptive", "enabled"):
            found.append("a call is demanded of a model that thinks")
    return found


def _of_cache(body: Mapping[str, Any]) -> list[str]:
    marks = 1 if "cache_control" in body else 0
    found = []
    places = [*body.get("tools", []), *_blocks(body.get("system", []))]
    places += [block for message in body.get("messages", []) for block in _blocks(message["content"])]
    for block in places:
        if "cache_control" in block:
            marks += 1
            if block.get("type") in THOUGHTS or (block.get("type") == "text" and not block["text"]):
                found.append("cache_control on thinking or on an empty text")
    return [*found, "more than 4 cache breakpoints"] if marks > MAX_BREAKPOINTS else found


def _of_messages(messages: list[dict[str, Any]], body: Mapping[str, Any], facts: Facts) -> list[str]:
    found = []
    if messages[0]["role"] != "user":
        found.append("the first message is not a user's")
    waiting: list[str] = []
    seen: set[str] = set()
    server: list[str] = []
    before = ""
    for number, message in enumerate(messages):
        at, role, blocks = f"messages[{number}]", message["role"], _blocks(message["content"])
        if message.keys() != {"role", "content"}:
            found.append(f"{at}: fields {sorted(message)}")
        if not blocks:
            found.append(f"{at}: no content")
        if role == before:
            found.append(f"{at}: two messages of {role} that would be one")
        if role == "assistant":
            wrong, waiting = _of_assistant(at, blocks, seen, server)
            found += wrong
        elif role == "user":
            found += _of_user(at, blocks, waiting)
            if server and not waiting:
                found.append(f"{at}: the provider's own calls {server} have no result")
                server.clear()
            waiting = []
        elif role == "system":
            if not facts.system_messages:
                found.append(f"{at}: role 'system' is not supported on this model")
            if before != "user" or (number + 1 < len(messages) and messages[number + 1]["role"] != "assistant"):
                found.append(f"{at}: system does not stand between user and assistant")
            if waiting:
                found.append(f"{at}: system before the results of {waiting}")
            for block in blocks:
                found += _of_text(at, block)
        else:
            found.append(f"{at}: the role {role!r}")
        before = role
    if waiting:
        found.append(f"the calls {waiting} are not answered")
    return found + _of_end(messages, body, facts)


def _of_end(messages: list[dict[str, Any]], body: Mapping[str, Any], facts: Facts) -> list[str]:
    found = []
    last = messages[-1]
    blocks = _blocks(last["content"])
    if last["role"] == "assistant":
        paused = blocks[-1]["type"] in SERVER_CALLS or blocks[-1]["type"].endswith("_tool_result")
        if not paused and not facts.prefill:
            found.append("the last message is the assistant's: prefill is not supported")
        if blocks[-1]["type"] == "text" and blocks[-1]["text"] != blocks[-1]["text"].rstrip():
            found.append("the final assistant message ends with blank space")
    if body.get("thinking", {}).get("type") == "enabled":
        final = [message for message in messages if message["role"] == "assistant"][-1:]
        loops = last["role"] == "assistant" or blocks[0]["type"] == "tool_result"
        if final and loops and _blocks(final[0]["content"])[0]["type"] not in THOUGHTS:
            first = _blocks(final[0]["content"])[0]["type"]
            found.append(f"Expected `thinking` or `redacted_thinking`, but found `{first}`")
    return found


def _of_assistant(
    at: str, blocks: list[dict[str, Any]], seen: set[str], server: list[str]
) -> tuple[list[str], list[str]]:
    found = []
    calls: list[str] = []
    for index, block in enumerate(blocks):
        here = f"{at}.content[{index}]"
        kind = block.get("type", "")
        if kind == "text":
            found += _of_text(here, block)
        elif kind == "thinking":
            if not isinstance(block.get("thinking"), str) or not isinstance(block.get("signature"), str):
                found.append(f"{here}: thinking without its text or signature")
        elif kind == "redacted_thinking":
            if not isinstance(block.get("data"), str) or not block["data"]:
                found.append(f"{here}: redacted thinking without data")
        elif kind == "tool_use":
            found += _of_call(here, block, seen)
            calls.append(str(block.get("id")))
        elif kind in SERVER_CALLS:
            server.append(str(block.get("id")))
        elif kind.endswith("_tool_result"):
            if block.get("tool_use_id") not in server:
                found.append(f"{here}: a result of a call that nobody made")
            else:
                server.remove(block["tool_use_id"])
        elif kind not in ASSISTANT_BLOCKS:
            found.append(f"{here}: the block {kind!r} in an assistant's message")
    return found, calls


def _of_call(here: str, block: dict[str, Any], seen: set[str]) -> list[str]:
    found = []
    if not ID.fullmatch(str(block.get("id"))):
        found.append(f"{here}: the id {block.get('id')!r}")
    if block.get("id") in seen:
        found.append(f"{here}: `tool_use` ids must be unique")
    seen.add(str(block.get("id")))
    if not NAME.fullmatch(str(block.get("name"))):
        found.append(f"{here}: the name {block.get('name')!r}")
    if not isinstance(block.get("input"), dict):
        found.append(f"{here}: input is no object")
    if block.keys() - {"type", "id", "name", "input", "caller", "cache_control"}:
        found.append(f"{here}: fields {sorted(block)}")
    return found


def _of_user(at: str, blocks: list[dict[str, Any]], waiting: list[str]) -> list[str]:
    found = []
    answered: list[str] = []
    spoke = False
    for index, block in enumerate(blocks):
        here = f"{at}.content[{index}]"
        kind = block.get("type")
        if kind not in USER_BLOCKS:
            found.append(f"{here}: the block {kind!r} in a user's message")
        elif kind == "tool_result":
            if spoke:
                found.append(f"{here}: a result behind other content")
            answered.append(str(block.get("tool_use_id")))
            found += _of_result(here, block)
        else:
            spoke = True
            found += _of_part(here, block)
    if sorted(answered) != sorted(waiting):
        found.append(f"{at}: answers {answered}, asked were {waiting}")
    elif answered != waiting:
        found.append(f"{at}: the results are not in the order of the calls")
    return found


def _of_result(here: str, block: dict[str, Any]) -> list[str]:
    found = []
    content = _blocks(block.get("content", []))
    if block.keys() - {"type", "tool_use_id", "content", "is_error", "cache_control"}:
        found.append(f"{here}: fields {sorted(block)}")
    if block.get("is_error") and (not content or any(part["type"] != "text" for part in content)):
        found.append(f"{here}: an error holds text and is not empty")
    for part in content:
        if part["type"] not in RESULT_BLOCKS:
            found.append(f"{here}: the block {part['type']!r} in a result")
        found += _of_part(here, part)
    return found


def _of_part(here: str, block: dict[str, Any]) -> list[str]:
    if block["type"] == "text":
        return _of_text(here, block)
    if block["type"] != "image":
        return []
    source = block["source"]
    if source["type"] == "url":
        return [] if source["url"].startswith(("http://", "https://")) else [f"{here}: an image at {source['url']!r}"]
    if source["type"] != "base64" or source["media_type"] not in MEDIA_TYPES or not source["data"]:
        return [f"{here}: an image that is no base64 of a known type"]
    return []


def _of_text(here: str, block: dict[str, Any]) -> list[str]:
    if block.get("type") != "text" or not isinstance(block.get("text"), str):
        return [f"{here}: no text block"]
    if not block["text"].strip():
        return [f"{here}: text content blocks must contain non-whitespace text"]
    if block.keys() - {"type", "text", "citations", "cache_control"}:
        return [f"{here}: fields {sorted(block)}"]
    return []
