"""Whether a turn has scripts, and what they may call: the thread's tools, the settings, and what the turn asked for."""

from __future__ import annotations

from functools import lru_cache
from operator import is_

from actors.sandbox_pool.declarations import allowed, scripted, spawnable
from actors.sandbox_pool.prompt import prompt
from actors.session.state import Offer, Scripting
from messages.model import ToolSpec
from messages.script import ScriptChoice, ScriptLimits, ScriptMode
from messages.session import ThreadSettings

MADE_KEPT = 64
"""Sets of tools whose declarations are kept: one for each way in which the threads of a daemon are set up."""

IDEMPOTENT = frozenset(
    ("read_file", "list_dir", "grep_files", "file_search", "view_image", "update_plan", "read_handle")
)
"""Tools that may be started again when a restart left unknown how they ended: they look, or say the same again."""


def scripting_of(offer: Offer, settings: ThreadSettings, choice: ScriptChoice | None) -> Scripting | None:
    """What a turn's scripts may do; None: it has none, and a block is plain text.

    The turn's ``choice`` comes before the provider's settings, and those before the general ones.
    """
    scripts = offer.scripts
    if scripts is None:
        return None
    mode: ScriptMode = "disabled"
    names: tuple[str, ...] | None = None
    for each in (scripts.choice, scripts.by_provider.get(settings.provider), choice):
        if each is not None:
            mode = each.mode or mode
            names = names if each.allowed_tools is None else each.allowed_tools
    if mode == "disabled":
        return None
    return _made(_Specs(offer.tools_of(settings)), names, mode, scripts.limits, scripts.spawn)


class _Specs:
    """Tools, as a key: specs hold schemas and cannot be hashed, but they are made once and stay."""

    __slots__ = ("_hash", "specs")

    def __init__(self, specs: tuple[ToolSpec, ...]) -> None:
        self.specs = specs
        self._hash = hash(tuple(map(id, specs)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Specs) and len(self.specs) == len(other.specs) and all(map(is_, self.specs, other.specs))
        )


@lru_cache(maxsize=MADE_KEPT)
def _made(
    specs: _Specs, names: tuple[str, ...] | None, mode: ScriptMode, limits: ScriptLimits, spawn: bool
) -> Scripting:
    own = [spec for spec in specs.specs if spec.hosted is None]  # those the provider runs are not ours to call
    tools = allowed(scripted(own, idempotent=IDEMPOTENT), names)
    if spawn:
        tools = (*tools, *spawnable(tools))
    return Scripting(mode=mode, tools=tools, prompt=prompt(tools, mode, limits))
