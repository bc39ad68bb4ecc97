"""What a call came to, as the script that made it gets it: a value, or an error to catch."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.session.state import CallResult
from messages.client.item import CommandExecution
from messages.items import InputImage, InputText, OutputPart
from messages.script import CallError
from messages.script import CallResult as Settled
from messages.tools import ToolOutcome


def value_of(result: CallResult) -> Settled:
    """What a call came to, as its script gets it."""
    text, images = _parts(result.output)
    match result.outcome:
        case "done":
            pass
        case "denied":
            return _failure("denied", "denied", text)
        case "failed":
            code = "invalid_arguments" if text.startswith("failed to parse function arguments") else "tool_failed"
            return _failure("failed", code, text)
        case "cancelled":
            return _failure("cancelled", "cancelled", text)
        case "unknown":
            return _failure("unknown", "unknown", text)
    value: Any = text
    if isinstance(result.item, CommandExecution) or result.terminal is not None:
        item = result.item if isinstance(result.item, CommandExecution) else None
        value = {"output": _output_of(text), "exitCode": None if item is None else item.exit_code}
        if result.terminal is not None:
            value["sessionId"] = result.terminal
    elif images:
        value = {"text": text, "images": images}
    return Settled(outcome="done", value=msgspec.json.encode(value).decode())


def _failure(outcome: ToolOutcome, code: str, text: str) -> Settled:
    return Settled(outcome=outcome, error=CallError(code=code, message=text, retryable=False))


def _parts(output: str | tuple[OutputPart, ...]) -> tuple[str, list[str]]:
    if isinstance(output, str):
        return output, []
    text = "\n".join(part.text for part in output if isinstance(part, InputText))
    return text, [part.image_url for part in output if isinstance(part, InputImage)]


def _output_of(text: str) -> str:
    """What a command printed, without the lines that models are told of it."""
    head, mark, output = text.partition("\nOutput:\n")
    return output if mark and head.startswith(("Chunk ID:", "Wall time:")) else text
