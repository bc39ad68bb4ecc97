"""What a tool call would need people's word for, and what they may answer."""

from __future__ import annotations

from typing import Literal

import msgspec

ApprovalDecision = Literal["accept", "acceptForSession", "decline", "cancel"]
"""decline: the call is refused and the turn goes on. cancel: the turn ends as well."""


class CommandNeed(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """A command to be run."""

    argv: tuple[str, ...]
    script: str | None
    cwd: str
    justification: str | None = None
    escalated: bool = False


class PatchNeed(msgspec.Struct, frozen=True, kw_only=True, tag="patch"):
    """Files to be changed; ``outside`` are those beyond the workspace."""

    paths: tuple[str, ...]
    outside: tuple[str, ...] = ()


ApprovalNeed = CommandNeed | PatchNeed
