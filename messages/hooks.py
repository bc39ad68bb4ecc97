"""Hooks: what one run of a user's program was for, and what came of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from messages.base import Message, TurnId

HookEvent = Literal[
    "PreToolUse",
    "PostToolUse",
    "PermissionRequest",
    "UserPromptSubmit",
    "SessionStart",
    "SessionEnd",
    "Stop",
    "PreCompact",
    "PostCompact",
]

HookStatus = Literal["running", "completed", "failed", "blocked", "stopped"]


class HookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a program had to say."""

    kind: Literal["warning", "stop", "feedback", "context", "error"]
    text: str


class HookRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one program."""

    id: str
    event: HookEvent
    order: int
    """Its place among all hooks."""
    status: HookStatus = "running"
    source_path: str = ""
    """The file it is configured in."""
    status_message: str | None = None
    entries: tuple[HookEntry, ...] = ()
    started_at_ms: int
    completed_at_ms: int | None = None


class HookReported(Message, frozen=True, kw_only=True, tag="hook_reported"):
    """A run has begun, or ended. ``turn_id`` is None for those about the thread itself."""

    turn_id: TurnId | None
    run: HookRun


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What all programs of one event came to together."""

    blocked: str | None = None
    """Why not, in the first objector's words; "" without words."""
    run_id: str = ""
    """Of the program that objected."""
    context: tuple[str, ...] = ()
    """What the model is to know besides."""
    decision: Literal["allow", "deny"] | None = None
    """Of a PermissionRequest. One deny outweighs every allow."""
