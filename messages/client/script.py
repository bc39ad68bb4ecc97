"""callboard/script/*: scripts, as clients run them."""

from __future__ import annotations

from typing import Literal

from messages.client.item import Wire
from messages.client.turn import TurnBody


class ScriptRunParams(Wire, frozen=True, kw_only=True):
    """callboard/script/run: run a script that a person wrote, as a turn of the thread in which no model is asked."""

    thread_id: str
    source: str
    """TypeScript: the body of an async function."""
    mode: Literal["dry-run", "enabled"] | None = None
    """None: enabled."""
    allowed_tools: tuple[str, ...] | None = None
    """Names in the registry or in scripts; None: what the settings say."""
    client_user_message_id: str | None = None
    """Makes it safe to send again: the same id is the same turn."""


class ScriptRunResponse(Wire, frozen=True, kw_only=True):
    """The turn, which has begun; what the script comes to is in its item."""

    turn: TurnBody
