"""The ``load`` directive of benchmarks: how many deltas, how fast, after how many rounds of tool calls.

    load deltas=500 rate=50 size=24 chunk=1 tools=4 sleep=0.5 rounds=1 wait=200

Words and defaults are those of the neutral rig's mock model. A delta's text tells when it was sent and which it is: 14
hex digits of Unix microseconds, 6 of its number, then padding; so whoever receives it, in whatever pieces, can measure
its way and notice a loss. Without a directive in the prompt one delta is sent.
"""

from __future__ import annotations

import re

import msgspec

STAMP_CHARS = 21
"""14 + 6 digits and a blank: the smallest delta."""

MAX_DELTAS = 10_000_000
MAX_SIZE = 1_000_000
MAX_TOOLS = 1000
"""Bounds on what a prompt may ask of a server that shares its process with a daemon."""

_DIRECTIVE = re.compile(r"\bload((?:\s+[a-z]+=[0-9.]+)+)")


class LoadError(Exception):
    """A directive that makes no sense; the text says which word."""


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for."""

    deltas: int = 1
    rate: float = 0.0
    """Deltas a second; 0: as fast as the connection takes them."""
    size: int = STAMP_CHARS
    """Characters in a delta."""
    chunk: int = 1
    """Deltas in one write."""
    tools: int = 0
    """Parallel shell calls per round."""
    sleep: float = 0.0
    """Seconds that each of them sleeps."""
    rounds: int = 1
    """Of tool calls, before the text."""
    wait: float = 0.0
    """Milliseconds of silence before the first delta."""


def read_load(prompt: str) -> Load:
    """The last directive in ``prompt``. Raises LoadError."""
    words = ""
    for found in _DIRECTIVE.finditer(prompt):
        words = found[1]
    values = dict(word.split("=", 1) for word in words.split())
    try:
        load = msgspec.convert(values, Load, strict=False)
    except msgspec.ValidationError as error:
        raise LoadError(f"load directive: {error}; known words: {', '.join(Load.__struct_fields__)}") from error
    if load.deltas > MAX_DELTAS or load.size > MAX_SIZE or load.tools > MAX_TOOLS:
        raise LoadError(f"load directive: at most deltas={MAX_DELTAS} size={MAX_SIZE} tools={MAX_TOOLS}")
    if load.chunk < 1:
        raise LoadError("load directive: chunk must be at least 1")
    return load


def delta_text(load: Load, number: int, now: float) -> str:
    """The text of delta ``number``, sent at ``now`` (Unix seconds)."""
    stamp = f"{int(now * 1e6):014x}{number:06x} "
    return stamp + "x" * (load.size - len(stamp))


def command(load: Load) -> str:
    """What each call runs."""
    return f"sleep {load.sleep:g}" if load.sleep else "true"
