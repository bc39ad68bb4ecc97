"""Cutting text down to a budget for the model, in the middle and in the open: the model is told what is missing.

A token is estimated as four bytes of UTF-8: close enough for a budget, and the same for every model. The head gets half
the budget, the tail the rest; the cuts fall on character boundaries but not on lines, because one line can be larger
than the budget.

Source: CORE §1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from actors.rollout_writer.handle_store import VALUE_BYTES_MAX
from actors.tool_worker.head_tail import Output
from messages.items import InputText, OutputPart

BYTES_PER_TOKEN = 4

DEFAULT_OUTPUT_TOKENS = 10_000
"""Asked for when a call names no budget, and what the models known today grant."""


class TruncationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one output a model's history may hold."""

    mode: Literal["tokens", "bytes"] = "tokens"
    limit: int = DEFAULT_OUTPUT_TOKENS

    @property
    def budget_bytes(self) -> int:
        return self.limit * BYTES_PER_TOKEN if self.mode == "tokens" else self.limit


WHOLE = TruncationPolicy(mode="bytes", limit=VALUE_BYTES_MAX)
"""For a script, which reads what it is given and shows none of it to a model: all that can be kept of one value."""


def approximate_tokens(byte_count: int) -> int:
    """The estimate for a number of bytes of UTF-8, rounded up."""
    return -(-byte_count // BYTES_PER_TOKEN)


def call_policy(policy: TruncationPolicy, requested_tokens: int | None = None) -> TruncationPolicy:
    """The policy for one call: what it asked for, but no more than the model's policy grants."""
    if policy == WHOLE and requested_tokens is None:
        return policy
    requested = max(DEFAULT_OUTPUT_TOKENS if requested_tokens is None else requested_tokens, 0)
    if policy.mode == "bytes":
        return TruncationPolicy(mode="bytes", limit=min(requested * BYTES_PER_TOKEN, policy.limit))
    return TruncationPolicy(mode="tokens", limit=min(requested, policy.limit))


def history_policy(policy: TruncationPolicy) -> TruncationPolicy:
    """What history enforces on any output: a fifth more, so that text cut once, with its notes, is not cut again."""
    return TruncationPolicy(mode=policy.mode, limit=-(-policy.limit * 6 // 5))


def truncate(text: str, policy: TruncationPolicy) -> str:
    """The text itself if it fits; else head, `…N tokens truncated…` (or chars, in bytes mode), tail."""
    data = text.encode("utf-8", "replace")
    budget = policy.budget_bytes
    if len(data) <= budget:
        return text
    head_end = budget // 2
    tail_start = len(data) - (budget - head_end)
    while head_end > 0 and _is_continuation(data[head_end]):
        head_end -= 1
    while tail_start < len(data) and _is_continuation(data[tail_start]):
        tail_start += 1
    head, tail = data[:head_end].decode(), data[tail_start:].decode()
    if policy.mode == "tokens":
        missing = f"{approximate_tokens(len(data) - budget)} tokens"
    else:
        missing = f"{len(text) - len(head) - len(tail)} chars"
    return f"{head}…{missing} truncated…{tail}"


def truncate_output(output: Output | str, policy: TruncationPolicy) -> str:
    """A command's output for the model; over budget, two lines above it say how much there was.

    Where the buffer had already lost the middle, its marker takes the place of the line count, which nobody knows.
    """
    if isinstance(output, str):
        output = Output(text=output, total_bytes=len(output.encode("utf-8", "replace")))
    shown = truncate(output.text, policy)
    if shown is output.text:
        return shown
    count = output.marker or f"Total output lines: {_count_lines(output.text)}"
    tokens = approximate_tokens(output.total_bytes)
    return f"Warning: truncated output (original token count: {tokens})\n{count}\n\n{shown}"


def truncate_parts(parts: Sequence[OutputPart], policy: TruncationPolicy) -> tuple[OutputPart, ...]:
    """Texts share the budget in order: the first that overflows is cut, later ones are dropped and counted.

    Images stay: they are priced otherwise, and half an image is none. Empty texts go.
    """
    kept: list[OutputPart] = []
    remaining = policy.limit
    omitted = 0
    for part in parts:
        if not isinstance(part, InputText):
            kept.append(part)
        elif part.text:
            if remaining <= 0:
                omitted += 1
                continue
            size = len(part.text.encode("utf-8", "replace"))
            cost = approximate_tokens(size) if policy.mode == "tokens" else size
            text = truncate(part.text, TruncationPolicy(mode=policy.mode, limit=remaining))
            kept.append(part if text is part.text else InputText(text=text))
            remaining -= cost
    if omitted:
        kept.append(InputText(text=f"[omitted {omitted} text items ...]"))
    return tuple(kept)


def truncate_for_history(
    output: str | tuple[OutputPart, ...], policy: TruncationPolicy
) -> str | tuple[OutputPart, ...]:
    """What history records of any tool's output."""
    widened = history_policy(policy)
    return truncate(output, widened) if isinstance(output, str) else truncate_parts(output, widened)


def _is_continuation(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def _count_lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and text != "")
