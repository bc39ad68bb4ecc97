"""How a response ended: why it stopped and what it used, from its last snapshot. Many servers leave much of it out."""

from __future__ import annotations

from typing import Any

from messages.model import StopReason, TokenUsage


def stop_of_completed(*, calls: bool, refused: bool, end_turn: object) -> StopReason:
    """Why a completed response stopped.

    A call asks for tools whatever else was said. ``end_turn: false`` is a backend saying that the model has not
    finished and wants to be sampled again.
    """
    if calls:
        return "tool_use"
    if refused:
        return "refused"
    return "pause" if end_turn is False else "end"


def stop_of_incomplete(details: object) -> StopReason:
    """Why an incomplete response stopped. A reason nobody has told us of counts as a limit: the answer is cut."""
    reason = details.get("reason") if isinstance(details, dict) else details
    if isinstance(reason, str) and "content_filter" in reason:
        return "filtered"
    return "length"


def token_usage(usage: object) -> TokenUsage:
    """OpenAI's usage object; zeros for what is missing. Input includes cached, output includes reasoning."""
    if not isinstance(usage, dict):
        return TokenUsage()
    input_details = usage.get("input_tokens_details")
    output_details = usage.get("output_tokens_details")
    input_tokens = _count(usage, "input_tokens")
    output_tokens = _count(usage, "output_tokens")
    return TokenUsage(
        input=input_tokens,
        cached_input=_count(input_details, "cached_tokens"),
        cache_write_input=_count(input_details, "cache_write_tokens"),
        output=output_tokens,
        reasoning_output=_count(output_details, "reasoning_tokens"),
        total=_count(usage, "total_tokens") or input_tokens + output_tokens,
    )


def _count(fields: Any, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return 0
    return int(value)
