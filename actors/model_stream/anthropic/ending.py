"""How a Messages response ended: why it stopped and what it used."""

from __future__ import annotations

from typing import Any

from messages.model import StopReason, TokenUsage

_STOPS: dict[str, StopReason] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_use",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_window",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refused",
}


def stop_of(word: str | None, *, calls: bool) -> StopReason:
    """Why a response stopped. A reason nobody has told us of is an end like any other: vendors add them.

    Calls are calls, whatever else is said of an answer that is whole: compatible servers say ``end_turn`` of them.
    """
    stop = _STOPS.get(word or "", "end")
    return "tool_use" if calls and stop == "end" else stop


def why_of(details: object) -> str | None:
    """The provider's words on a refusal, or the category it was filed under."""
    if not isinstance(details, dict):
        return None
    explanation, category = details.get("explanation"), details.get("category")
    if isinstance(explanation, str) and explanation.strip():
        return explanation.strip()
    return f"(category: {category})" if isinstance(category, str) and category else None


def merged(usage: dict[str, Any], later: object) -> dict[str, Any]:
    """The counters with those of a later event, which are totals so far: they replace, and what is missing stays."""
    if not isinstance(later, dict):
        return usage
    return {**usage, **{name: value for name, value in later.items() if value is not None}}


def token_usage(usage: dict[str, Any]) -> TokenUsage:
    """Of the response itself. Anthropic's input leaves out what was cached; ours includes it."""
    details = usage.get("output_tokens_details")
    return _usage(usage, reasoning=_count(details, "thinking_tokens"))


def billed_usage(usage: dict[str, Any]) -> TokenUsage | None:
    """Of everything that was sampled on the way; None where that is the response alone.

    The top level leaves out what compactions and advisors used; the iterations have all of it.
    """
    iterations = usage.get("iterations")
    if not isinstance(iterations, list) or not iterations:
        return None
    each = [_usage(iteration, reasoning=0) for iteration in iterations if isinstance(iteration, dict)]
    own = token_usage(usage)
    total = TokenUsage(
        input=sum(one.input for one in each),
        cached_input=sum(one.cached_input for one in each),
        cache_write_input=sum(one.cache_write_input for one in each),
        output=sum(one.output for one in each),
        reasoning_output=own.reasoning_output,
        total=sum(one.total for one in each),
    )
    return total if total.total > own.total else None


def _usage(counters: dict[str, Any], *, reasoning: int) -> TokenUsage:
    cached = _count(counters, "cache_read_input_tokens")
    written = _count(counters, "cache_creation_input_tokens")
    tokens_in = _count(counters, "input_tokens") + cached + written
    tokens_out = _count(counters, "output_tokens")
    return TokenUsage(
        input=tokens_in,
        cached_input=cached,
        cache_write_input=written,
        output=tokens_out,
        reasoning_output=min(reasoning, tokens_out),
        total=tokens_in + tokens_out,
    )


def _count(fields: Any, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return 0
    return int(value)
