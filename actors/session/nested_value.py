"""What a call came to, as the script that made it gets it: a value, or an error to catch."""

from __future__ import annotations

from actors.sandbox_pool.values import parts_of, value
from actors.session.state import CallResult
from messages.handle import Kept
from messages.script import CallError
from messages.script import CallResult as Settled
from messages.tools import ToolOutcome


def value_of(result: CallResult) -> Settled:
    """What a call came to, as its script gets it."""
    parts = parts_of(result.output, result.item, result.terminal)
    text = parts.text
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
    kept = result.kept or Kept()
    if kept.problem is not None:  # it has taken effect, whatever becomes of what it said
        return Settled(outcome="done", error=CallError(code="result_too_large", message=kept.problem))
    return Settled(outcome="done", value=value(parts, kept))


def _failure(outcome: ToolOutcome, code: str, text: str) -> Settled:
    return Settled(outcome=outcome, error=CallError(code=code, message=text, retryable=False))
