"""Which tools a thread has: said by configuration, by a client, and by what its model can do.

`ToolSelection` is the choice of people; `Abilities` is what the model and its provider can do; a tool says in its
`ToolSpec.needs` what it cannot do without. `actors/tool_worker/toolset.py` makes the list of the three.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.model import ToolNeed
from messages.settings import WireApi

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


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do at its provider."""

    wire: WireApi = "responses"
    """Tools whose schema this wire cannot carry are left out."""
    lacks: tuple[ToolNeed, ...] = ()
    """What tools need and this model has not."""
