"""What a program is told: one JSON object on its standard input, in the field names of CORE §4.7. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from messages.hooks import HookEvent
from messages.session import ThreadSettings
from messages.tools import ToolCall

TOOL_NAMES = {"exec_command": "Bash", "shell": "Bash"}
"""What hooks written for other agents call our tools."""

RESPONSE_CHARS_MAX = 100_000
"""Of a tool's output, to a program."""


def common(event: HookEvent, *, thread_id: str, turn_id: str | None, settings: ThreadSettings) -> dict[str, Any]:
    """What every program is told."""
    return {
        "session_id": thread_id,
        "turn_id": turn_id,
        "cwd": settings.cwd,
        "hook_event_name": event,
        "model": settings.model,
        "permission_mode": "bypassPermissions" if settings.approval_policy == "never" else "default",
    }


def tool_name(call: ToolCall) -> str:
    """What matchers compare with."""
    return TOOL_NAMES.get(call.name, call.name)


def about_call(call: ToolCall) -> dict[str, Any]:
    """What is told of a call: its tool, its arguments as an object."""
    return {"tool_name": tool_name(call), "tool_input": tool_input(call), "tool_use_id": call.call_id}


def tool_input(call: ToolCall) -> dict[str, Any]:
    """A call's arguments; a command line is under ``command``, whatever its tool calls it."""
    if call.freeform:
        return {"input": call.arguments}
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return {"arguments": call.arguments}
    if not isinstance(arguments, dict):
        return {"arguments": arguments}
    if call.name == "exec_command" and "cmd" in arguments:
        return {"command": arguments["cmd"], **{key: value for key, value in arguments.items() if key != "cmd"}}
    return arguments


def command_of(call: ToolCall) -> str:
    """The call in one line, for the model that is told it was forbidden."""
    given = tool_input(call)
    command = given.get("command")
    if isinstance(command, list):
        return " ".join(map(str, command))
    return str(command) if command is not None else f"{call.name} {call.arguments}"
