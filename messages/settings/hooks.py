"""`[hooks]`: programs of the user's that are told what happens, and may object."""

from __future__ import annotations

from typing import Literal

import msgspec


class HookCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program."""

    type: Literal["command"] = "command"
    command: str
    """A command line for `sh -c`. What happened is JSON on its standard input; see docs/hooks.md."""
    timeout: float = 60.0
    """Seconds; then it is ended and counts as failed, which stops nothing."""
    status_message: str | None = msgspec.field(default=None, name="statusMessage")
    """What clients show while it runs."""


class HookGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Programs for one event."""

    matcher: str | None = None
    """A regular expression that the tool's (or the session source's) whole name must match; none or `*`: any."""
    hooks: tuple[HookCommand, ...] = ()


class HooksSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """By event. A hook runs only once its exact text has been trusted: `callboard hooks trust`."""

    pre_tool_use: tuple[HookGroup, ...] = ()
    """Before a tool call is asked about or run; may forbid it."""
    post_tool_use: tuple[HookGroup, ...] = ()
    """After a tool call; may replace what the model is told of it."""
    permission_request: tuple[HookGroup, ...] = ()
    """Before people are asked; may answer for them."""
    user_prompt_submit: tuple[HookGroup, ...] = ()
    """Before a prompt, or input that steers a turn, goes to the model; may add context or stop it."""
    session_start: tuple[HookGroup, ...] = ()
    """Before the first turn after a thread was started or loaded, and after a compaction; may add context."""
    session_end: tuple[HookGroup, ...] = ()
    """When a thread is unloaded."""
    stop: tuple[HookGroup, ...] = ()
    """When a turn would end; may send the model back to work."""
    pre_compact: tuple[HookGroup, ...] = ()
    """Before a conversation is compacted; may stop it."""
    post_compact: tuple[HookGroup, ...] = ()
    """After a conversation was compacted."""
