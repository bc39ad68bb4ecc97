"""What each Claude model takes, as a table. A model that is not in it gets what is safe to send to any.

Thinking is the reason for the table: models up to 4.5 want a budget and refuse the adaptive form, models from 4.7 on
the other way round; some cannot be told not to think, and one has a word of its own for it. Sources: Anthropic's pages
on thinking (the table of rejected configurations), effort, mid-conversation system messages and the model overviews,
November 2026; recorded 400s.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

OLD_VERSION = "2023-06-01"
"""Every model and every compatible server takes it."""
NEW_VERSION = "2026-10-21"
"""For the models that came with it. It refuses sampling knobs and documents in assistant messages; we send neither."""

EFFORT_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """Of one family of models."""

    thinking: Literal["adaptive", "budget", "never"]
    """How thinking is asked for: the model decides, with an effort; or it gets a budget of tokens; or not at all."""
    off: Literal["disabled", "between_tools"] | None = None
    """The word that turns thinking off where it is on unless one says so; None: nothing needs to or can be said."""
    always_thinks: bool = False
    efforts: tuple[str, ...] = ()
    """Levels of `output_config.effort`. Empty: the field is refused."""
    off_efforts: tuple[str, ...] = ()
    """Levels that go together with thinking turned off."""
    default_effort: str | None = None
    """What is used when nobody asked. None: no thinking unless it is asked for."""
    shows_thinking: bool = False
    """Unless one asks for it, the text of thinking is left out by the newer models."""
    forced_tools: Literal["without thinking", "never"] = "without thinking"
    """When a call can be demanded."""
    system_messages: bool = False
    """Whether `system` may speak in the middle of a conversation."""
    interleaves_by_header: bool = False
    """Thinks between calls only if a beta header says so; later models do anyway, earlier ones cannot."""
    binds_prefix: bool = False
    """Its thinking is refused behind any other instructions, tools or messages than it was made behind."""
    api_version: str = OLD_VERSION
    max_output_tokens: int | None = None
    context_window: int = 200_000


_THREE = ("low", "medium", "high")
_FOUR = (*_THREE, "max")
_FIVE = (*_THREE, "xhigh", "max")

_ADAPTIVE = Abilities(
    thinking="adaptive",
    efforts=_FIVE,
    off_efforts=_FIVE,
    default_effort="high",
    max_output_tokens=128_000,
    context_window=1_000_000,
)
_BUDGET = Abilities(thinking="budget", interleaves_by_header=True, max_output_tokens=64_000)
_replace = msgspec.structs.replace

_ALWAYS = _replace(_ADAPTIVE, always_thinks=True, off_efforts=(), forced_tools="never", system_messages=True)
_BOUND = _replace(_ALWAYS, binds_prefix=True, api_version=NEW_VERSION)

FAMILIES: dict[str, Abilities] = {
    "claude-fable-5-2": _BOUND,
    "claude-fable-5-1": _BOUND,
    "claude-mythos-5-2": _BOUND,
    "claude-mythos-5-1": _BOUND,
    "claude-fable-5": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-opus-5-5": _replace(_BOUND, default_effort="medium"),
    "claude-sonnet-5-5": _replace(_BOUND, always_thinks=False, off="between_tools", off_efforts=_THREE),
    "claude-haiku-5-5": _replace(
        _ADAPTIVE, off="disabled", system_messages=True, binds_prefix=True, api_version=NEW_VERSION
    ),
    "claude-opus-5": _replace(_ADAPTIVE, off="disabled", off_efforts=_THREE, system_messages=True),
    "claude-sonnet-5": _replace(_ADAPTIVE, off="disabled"),
    "claude-opus-4-8": _replace(_ADAPTIVE, system_messages=True),
    "claude-opus-4-7": _ADAPTIVE,
    "claude-opus-4-6": _replace(_ADAPTIVE, efforts=_FOUR, off_efforts=_FOUR, shows_thinking=True),
    "claude-sonnet-4-6": _replace(_ADAPTIVE, efforts=_FOUR, off_efforts=_FOUR, shows_thinking=True),
    "claude-opus-4-5": _replace(_BUDGET, efforts=_THREE, off_efforts=_THREE, shows_thinking=True),
    "claude-sonnet-4-5": _replace(_BUDGET, shows_thinking=True),
    "claude-haiku-4-5": _replace(_BUDGET, shows_thinking=True),
    "claude-opus-4-1": _replace(_BUDGET, shows_thinking=True, max_output_tokens=32_000),
    "claude-opus-4-0": _replace(_BUDGET, shows_thinking=True, max_output_tokens=32_000),
    "claude-opus-4": _replace(_BUDGET, shows_thinking=True, max_output_tokens=32_000),
    "claude-sonnet-4-0": _replace(_BUDGET, shows_thinking=True),
    "claude-sonnet-4": _replace(_BUDGET, shows_thinking=True),
    "claude-3-7-sonnet": _replace(_BUDGET, shows_thinking=True, interleaves_by_header=False),
    "claude-3-5-sonnet": Abilities(thinking="never", max_output_tokens=8192),
    "claude-3-5-haiku": Abilities(thinking="never", max_output_tokens=8192),
    "claude-3-opus": Abilities(thinking="never", max_output_tokens=4096),
    "claude-3-haiku": Abilities(thinking="never", max_output_tokens=4096),
}

UNKNOWN_CLAUDE = _replace(_ADAPTIVE, default_effort=None, max_output_tokens=None, context_window=200_000)
"""A Claude model younger than this table: like the youngest ones, but nothing is said of thinking unless it is asked
for."""

UNKNOWN = Abilities(thinking="budget", shows_thinking=True)
"""Any other model behind this wire: compatible servers know the older form."""

_VENDOR = re.compile(r"^.*[/.:](?=claude-)")
"""A gateway's or cloud's prefix: ``anthropic/``, ``us.anthropic.``, ``publishers/anthropic/models/``."""

_SUFFIX = re.compile(r"(?:[-@](?:\d{8}|latest|default))?(?:-v\d+)?(?::\w+)?(?:\[\w+\])?")
"""What a slug may have behind its family and still be of it: a date, a cloud's revision, a variant."""


def family_of(slug: str) -> str | None:
    """The family a model belongs to; None if it is not in the table. Versions may be written with dots."""
    name = _VENDOR.sub("", slug.strip().lower())
    name = re.sub(r"(?<=\d)\.(?=\d)", "-", name)
    fitting = [family for family in FAMILIES if name.startswith(family) and _SUFFIX.fullmatch(name[len(family) :])]
    return max(fitting, key=len, default=None)


def abilities_of(slug: str) -> Abilities:
    """What a model takes."""
    family = family_of(slug)
    if family is not None:
        return FAMILIES[family]
    return UNKNOWN_CLAUDE if "claude-" in slug.lower() else UNKNOWN


def nearest_effort(asked: str, known: tuple[str, ...]) -> str | None:
    """The highest known level that is no higher than what was asked for, else the lowest; None if none is known."""
    if asked in known or not known:
        return asked if known else None
    if asked not in EFFORT_ORDER:
        return None
    rank = EFFORT_ORDER.index(asked)
    lower = [level for level in known if EFFORT_ORDER.index(level) <= rank]
    return lower[-1] if lower else known[0]
