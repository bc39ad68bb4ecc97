"""Requests as the daemon would send them to the rehearsal server."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.rehearsal.prompt import Prompt, read_prompt

ENVIRONMENT = "<environment_context>\n  <cwd>/work &amp; play</cwd>\n</environment_context>"


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def called(tool: str, call_id: str, output: str, *, custom: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """A call and its output."""
    kind = "custom_tool_call" if custom else "function_call"
    return (
        {"type": kind, "call_id": call_id, "name": tool, "input" if custom else "arguments": "{}"},
        {"type": f"{kind}_output", "call_id": call_id, "output": output},
    )


def round_of(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of one answer with calls: all calls, then all outputs."""
    return [call for call, _ in pairs] + [output for _, output in pairs]


def body(*items: dict[str, Any], model: str = "rehearsal", stream: bool = True, **fields: Any) -> bytes:
    return msgspec.json.encode({"model": model, "stream": stream, "input": list(items), **fields})


def prompt(*items: dict[str, Any], model: str = "rehearsal", **fields: Any) -> Prompt:
    return read_prompt(body(*items, model=model, **fields))
