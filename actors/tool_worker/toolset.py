"""The tools of one thread: what there is, less what people left out, less what its model cannot use. Pure.

`thread_tools` is the one list: a request offers it, the system prompt describes it, scripts are given it, and a worker
runs nothing else (`offers`). It depends on the thread's settings alone, so two requests under the same settings carry
the same bytes, which providers' prefix caches depend on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, TypeVar

import msgspec

from actors.tool_worker.approval import verdict
from messages.approval import policy_name
from messages.model import ToolNeed, ToolSpec
from messages.session import ThreadSettings
from messages.tool_set import Abilities, DynamicTool

V = TypeVar("V")

CHOICES_REMEMBERED = 64
"""A sampling asks for its tools three times under the same settings; that many threads sample at once at most."""


def thread_tools(specs: tuple[ToolSpec, ...], settings: ThreadSettings, abilities: Abilities) -> tuple[ToolSpec, ...]:
    """Those of ``specs`` that a thread under these settings has, in their order."""
    return _chosen(_Same(specs), _Same(settings), abilities)


class _Same(Generic[V]):
    """A value that equals itself only. Settings hold JSON, which has no hash, and are replaced, never changed."""

    __slots__ = ("value",)

    def __init__(self, value: V) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


@lru_cache(maxsize=CHOICES_REMEMBERED)
def _chosen(
    specs: _Same[tuple[ToolSpec, ...]], settings: _Same[ThreadSettings], abilities: Abilities
) -> tuple[ToolSpec, ...]:
    chosen = settings.value
    ours = tuple(_as_chosen(spec, chosen) for spec in specs.value if offers(spec, chosen, abilities))
    return (*ours, *(spec_of(each) for each in chosen.dynamic_tools if _is_listed(each, abilities)))


def spec_of(offered: DynamicTool) -> ToolSpec:
    """A client's tool as a model is told of it."""
    return ToolSpec(
        name=offered.full_name, description=offered.description, parameters=offered.parameters, wires=offered.wires
    )


def _is_listed(offered: DynamicTool, abilities: Abilities) -> bool:
    """A client's own tools are its own choice: left out is what the wire cannot carry, and what it wants unlisted."""
    return not offered.deferred and abilities.wire in offered.wires


def offers(spec: ToolSpec, settings: ThreadSettings, abilities: Abilities) -> bool:
    """Whether a thread under these settings has this tool."""
    chosen = settings.tools
    if spec.name in chosen.without or (chosen.only is not None and spec.name not in chosen.only):
        return False
    if spec.wires is not None and abilities.wire not in spec.wires:
        return False
    return not any(need in abilities.lacks or _denied(need, settings) for need in spec.needs)


def why_not(spec: ToolSpec, settings: ThreadSettings) -> str:
    """What a model is told that calls a tool which there is, but not in this thread."""
    if "questions" in spec.needs and _denied("questions", settings):
        return f"{spec.name} is unavailable in Default mode"
    if "default_mode" in spec.needs and _denied("default_mode", settings):
        return f"{spec.name} is unavailable in Plan mode"
    if "permissions" in spec.needs and settings.sandbox_mode == "danger-full-access":
        return f"{spec.name} is unavailable: there is no sandbox, commands may do all that their user may"
    if "permissions" in spec.needs and not _may_ask_for_more(settings):
        return f"{spec.name} is unavailable: the approval policy is {policy_name(settings.approval_policy)}"
    return f"unsupported call: {spec.name}"


def _denied(need: ToolNeed, settings: ThreadSettings) -> bool:
    """Whether the thread's own settings keep this from its tools."""
    match need:
        case "web_search":
            return settings.tools.web_search == "disabled"
        case "questions":
            return settings.mode != "plan" and settings.tools.questions != "always"
        case "default_mode":
            return settings.mode == "plan"
        case "permissions":
            return settings.sandbox_mode == "danger-full-access" or not _may_ask_for_more(settings)
        case "handles":
            return settings.ephemeral  # nothing of such a thread is on disk
        case _:
            return False


def _may_ask_for_more(settings: ThreadSettings) -> bool:
    return verdict(settings.approval_policy, "permission_request") == "ask"


def _as_chosen(spec: ToolSpec, settings: ThreadSettings) -> ToolSpec:
    live = spec.hosted == "web_search" and settings.tools.web_search == "live"
    return msgspec.structs.replace(spec, live=True) if live else spec
