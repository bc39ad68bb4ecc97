"""How a Chat Completions response ended: why it stopped and what it used."""

from __future__ import annotations

from typing import Any

from messages.model import StopReason, TokenUsage

_LIMITS = frozenset(("length", "max_tokens", "max_output_tokens", "model_length"))
_FILTERS = frozenset(("content_filter", "safety", "recitation", "prohibited_content", "blocklist", "sensitive"))
_WINDOWS = frozenset(("model_context_window_exceeded", "context_length_exceeded"))


def stop_reason(word: str | None, *, calls: bool, refused: bool) -> StopReason:
    """What ``finish_reason`` means for the conversation.

    A call asks for tools whatever the word is: half of the servers say ``stop`` beside calls, some say nothing. Only a
    word that says the answer was cut or filtered outranks it, because then a call may be half of what was meant.
    """
    word = (word or "").lower()
    if word in _LIMITS:
        return "length"
    if word in _WINDOWS:
        return "context_window"
    if word in _FILTERS:
        return "filtered"
    if calls:
        return "tool_use"
    return "refused" if refused or word == "refusal" else "end"


def token_usage(usage: object) -> TokenUsage:
    """A usage object, counted our way: input includes what was cached, output includes reasoning.

    xAI counts reasoning beside the completion and says so only by its total. Broken gateways report more reasoning than
    output and more cached input than input: both are held within the whole.
    """
    if not isinstance(usage, dict):
        return TokenUsage()
    input_ = _count(usage, "prompt_tokens") or _count(usage, "input_tokens")
    output = _count(usage, "completion_tokens") or _count(usage, "output_tokens")
    total = _count(usage, "total_tokens")
    input_details = usage.get("prompt_tokens_details")
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or _count(usage, "reasoning_tokens")
    if reasoning and total == input_ + output + reasoning:
        output += reasoning
    cached = (
        _count(input_details, "cached_tokens")
        or _count(usage, "prompt_cache_hit_tokens")  # DeepSeek
        or _count(usage, "cached_tokens")  # Moonshot
    )
    return TokenUsage(
        input=input_,
        cached_input=min(cached, input_),
        cache_write_input=min(_count(input_details, "cache_write_tokens"), input_),
        output=output,
        reasoning_output=min(reasoning, output),
        total=total or input_ + output,
    )


def _count(fields: Any, name: str) -> int:
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return 0
    return int(value)
