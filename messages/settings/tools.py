"""[tools]: which tools a model is offered."""

from __future__ import annotations

from typing import Literal

import msgspec


class ToolsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client may choose otherwise for its thread or turn; what the model cannot use is left out in any case."""

    enabled: tuple[str, ...] | None = None
    """Only these, by name; unset: every tool there is. docs/tools.md lists them."""
    disabled: tuple[str, ...] = ()
    """Without these, also where `enabled` names them."""
    questions: Literal["plan", "always"] = "plan"
    """When a model may put questions to you with `request_user_input`: in plan mode only, or always."""
