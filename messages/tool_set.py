"""Which tools a thread has: said by configuration, by a client, and by what its model can do.

`ToolSelection` is the choice of people; `Abilities` is what the model and its provider can do; a tool says in its
`ToolSpec.needs` what it cannot do without. `actors/tool_worker/toolset.py` makes the list of the three.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.model import ToolNeed
from messages.settings import WireApi

NAMESPACE_MARK = "__"
"""Between a group and its tool: providers take letters, digits, `_` and `-` in names, and nothing else."""

WebSearchMode = Literal["disabled", "cached", "live"]
"""cached: the provider answers from what it has stored, where it can tell the two apart; live: it opens pages too."""


class ToolSelection(msgspec.Struct, frozen=True, kw_only=True):
    """What people chose. A name that no tool has is no mistake: it may be that of a tool that comes later."""

    only: tuple[str, ...] | None = None
    """None: every tool there is."""
    without: tuple[str, ...] = ()
    """Left out, also of ``only``."""
    web_search: WebSearchMode = "cached"
    questions: Literal["plan", "always"] = "plan"
    """In which modes a model may put questions to people (`request_user_input`)."""


class DynamicTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a client offered with its thread, and runs itself."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of its arguments, as the client gave it."""
    namespace: str | None = None
    """Of a group of tools; to a model it is part of the name."""
    deferred: bool = False
    """It can be called and is in no request's list of tools: the client asked for that, to keep requests small."""
    wires: tuple[str, ...] = ()
    """Those that carry its schema; at least one."""

    @property
    def full_name(self) -> str:
        """As a model calls it."""
        return self.name if self.namespace is None else f"{self.namespace}{NAMESPACE_MARK}{self.name}"


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do at its provider."""

    wire: WireApi = "responses"
    """Tools whose schema this wire cannot carry are left out."""
    lacks: tuple[ToolNeed, ...] = ()
    """What tools need and this model has not."""
