"""What a request asks, as far as scenes look at it.

The *last user message* is the last one that a person wrote: what the daemon puts before it (environment, instructions)
and after it (an aborted turn's marker) is made of tags and is skipped. Everything after it is this turn: calls, their
outputs, and how often the model has already been asked.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec
from msgspec.json import Decoder

_CWD = re.compile(r"<cwd>(.*?)</cwd>", re.DOTALL)
_SCRIPT_RESULT = re.compile(r"<tool-calls-result status=.*</tool-calls-result>", re.DOTALL)
_DAEMON_BLOCK = re.compile(r"\s*<([A-Za-z_-]+)(?: [^<>]*)?>.*</\1>\s*|\s*# AGENTS\.md instructions.*", re.DOTALL)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A call or a script of this turn and what it came to."""

    tool: str
    """``script`` for a script."""
    output: str
    round: int


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    model: str
    user: str
    cwd: str
    round: int
    """How many answers with calls there were since the user's message."""
    answered: tuple[Answered, ...]
    tools: dict[str, str]
    """Name -> ``function`` or ``custom``."""
    schema: dict[str, Any] | None
    stream: bool
    fingerprint: str
    """Equal for equal requests."""
    input_chars: int


class NotAPromptError(Exception):
    """The request's body is not one of the API it was sent to; the text says why."""


class Item(msgspec.Struct, frozen=True):
    """An item of a conversation, as far as scenes look at it."""

    type: str = "message"
    role: str = ""
    content: Any = None
    call_id: str = ""
    name: str = ""
    output: Any = None


class _Text(msgspec.Struct, frozen=True):
    format: dict[str, Any] | None = None


class _Body(msgspec.Struct, frozen=True):
    model: str
    input: str | list[Item] = ""
    tools: list[dict[str, Any]] = []
    text: _Text | None = None
    stream: bool = False


_body: Decoder[_Body] = Decoder(_Body)


def read_prompt(body: bytes) -> Prompt:
    """Raises NotAPromptError."""
    try:
        request = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPromptError(str(error)) from error
    items = [Item(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    form = request.text.format if request.text else None
    return prompt_of(
        body,
        model=request.model,
        items=items,
        tools={str(tool.get("name", "")): str(tool.get("type", "")) for tool in request.tools},
        schema=form.get("schema") if form and form.get("type") == "json_schema" else None,
        stream=request.stream,
    )


def prompt_of(
    body: bytes, *, model: str, items: list[Item], tools: dict[str, str], schema: object, stream: bool
) -> Prompt:
    """What a conversation asks, whichever wire it came over."""
    at, user = _last_user_message(items)
    rounds, answered = _this_turn(items[at + 1 :])
    places = [match for item in items if item.role == "user" for match in _CWD.findall(words(item.content))]
    return Prompt(
        model=model,
        user=user,
        cwd=_unescaped(places[-1]) if places else ".",
        round=rounds,
        answered=answered,
        tools=tools,
        schema=schema if isinstance(schema, dict) else None,
        stream=stream,
        fingerprint=hashlib.blake2b(body, digest_size=16).hexdigest(),
        input_chars=len(body),
    )


def _last_user_message(items: list[Item]) -> tuple[int, str]:
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if item.type == "message" and item.role == "user":
            parts = [part for part in _parts(item.content) if not _DAEMON_BLOCK.fullmatch(part)]
            if parts:
                return at, "\n".join(parts)
    return -1, ""


def _this_turn(items: list[Item]) -> tuple[int, tuple[Answered, ...]]:
    rounds = 0
    calls: dict[str, tuple[str, int]] = {}
    answered: list[Answered] = []
    in_answer = False
    counted = False
    """The answer that is being looked at counts as a round already."""
    for item in items:
        if item.type == "message" and item.role == "assistant":
            counted = False
        elif item.type == "message" and _SCRIPT_RESULT.search(words(item.content)) is not None:
            rounds, counted, in_answer = rounds + (not counted), True, False
            answered.append(Answered(tool="script", output=words(item.content), round=rounds))
        elif item.type in ("function_call", "custom_tool_call"):
            if not in_answer:
                rounds += 1
            in_answer = counted = True
            calls[item.call_id] = (item.name, rounds)
        elif item.type in ("function_call_output", "custom_tool_call_output"):
            in_answer = False
            tool, round_ = calls.get(item.call_id, ("", rounds))
            answered.append(Answered(tool=tool, output=words(item.output), round=round_))
    return rounds, tuple(answered)


def _parts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]


def words(content: object) -> str:
    """The texts of a content, side by side."""
    return "\n".join(_parts(content))


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
