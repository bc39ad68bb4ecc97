"""Freeform tools on wires that have only structured ones: the input becomes the one string of an object, and back.

The history keeps the call as the freeform call it is, so a thread that moves to a wire with freeform tools replays it
there as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from messages.model import ToolSpec

FREEFORM_FIELD = "input"
"""The property that holds the whole input."""


def freeform_names(tools: Iterable[ToolSpec]) -> frozenset[str]:
    """Which of the tools take free text."""
    return frozenset(tool.name for tool in tools if tool.parameters is None and tool.hosted is None)


def freeform_schema() -> dict[str, Any]:
    """The JSON schema under which a freeform tool is offered."""
    return {
        "type": "object",
        "properties": {
            FREEFORM_FIELD: {"type": "string", "description": "The whole input of the tool, as plain text."}
        },
        "required": [FREEFORM_FIELD],
        "additionalProperties": False,
    }


def freeform_description(tool: ToolSpec) -> str:
    """The description under which it is offered: where the text goes and, as the wire cannot carry it, its grammar."""
    where = f"{tool.description}\n\nGive the whole input as one string in `{FREEFORM_FIELD}`."
    if tool.grammar is None:
        return where
    return f"{where} It must follow this Lark grammar:\n\n{tool.grammar}"


def wrapped(text: str) -> dict[str, str]:
    """A freeform input as the arguments of the structured tool."""
    return {FREEFORM_FIELD: text}


def unwrapped(arguments: str) -> str:
    """The freeform input in a structured call's arguments.

    What is not wrapped as agreed is taken as the text itself: the tool will say better than we can what is wrong.
    """
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments
    if isinstance(value, dict) and isinstance(value.get(FREEFORM_FIELD), str):
        text: str = value[FREEFORM_FIELD]
        return text
    return value if isinstance(value, str) else arguments
