"""JSON lines: one shape, whatever the client wire calls things."""

from __future__ import annotations

from typing import Any

from actors.console.client import Incoming
from actors.console.events import Lines


def test_a_turn_becomes_lines_with_ids_counted_from_zero() -> None:
    lines = Lines()
    command = {
        "type": "commandExecution",
        "id": "call_x",
        "command": "ls",
        "cwd": "/",
        "commandActions": [],
        "status": "inProgress",
    }
    messages: list[tuple[str, dict[str, Any]]] = [
        ("turn/started", {"turn": {"id": "t"}}),
        ("item/started", {"item": {"type": "userMessage", "id": "u", "content": []}}),
        ("item/started", {"item": command}),
        ("item/commandExecution/outputDelta", {"itemId": "call_x", "delta": "a"}),
        ("item/completed", {"item": {**command, "status": "completed", "exitCode": 0, "aggregatedOutput": "a\n"}}),
        ("item/completed", {"item": {"type": "agentMessage", "id": "msg_1", "text": "hi"}}),
        ("error", {"error": {"message": "oops"}, "willRetry": True}),
    ]
    assert [line for name, params in messages if (line := lines.line(Incoming(method=name, params=params)))] == [
        {"type": "turn.started"},
        {
            "type": "item.started",
            "item": {
                "id": "item_0",
                "type": "command_execution",
                "command": "ls",
                "aggregated_output": "",
                "exit_code": None,
                "status": "in_progress",
            },
        },
        {
            "type": "item.completed",
            "item": {
                "id": "item_0",
                "type": "command_execution",
                "command": "ls",
                "aggregated_output": "a\n",
                "exit_code": 0,
                "status": "completed",
            },
        },
        {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": "hi"}},
        {"type": "error", "message": "oops"},
    ]
