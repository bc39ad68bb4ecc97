"""[scripts]: whether models may write scripts, what those may call, and how much they may use."""

from __future__ import annotations

from typing import Literal

import msgspec


class ScriptSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scripts of one provider's models, where they differ from the general."""

    mode: Literal["disabled", "dry-run", "enabled"] | None = None
    """`disabled`: a script is plain text. `dry-run`: it is run, but no call of it takes place. Unset: enabled where the
    sandbox is fully in force, else disabled."""
    allowed_tools: tuple[str, ...] | None = None
    """The tools that scripts may call, by their names in the registry or in scripts. Unset: all of a thread's."""


class ScriptLimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one script may use. Unset: the sandbox's own limit, which can only be lowered where the sandbox holds it."""

    wall_seconds: float | None = None
    """From its start to its end, approvals excluded."""
    cpu_seconds: float | None = None
    """Of processor time; at most 5."""
    memory_mb: int | None = None
    """Of its heap; at most 96."""
    calls: int | None = None
    """Of tools."""
    calls_at_once: int | None = None
    """Others wait."""
    return_bytes: int | None = None
    """Of the returned value as JSON; at most 131072."""


class ScriptsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scripts: TypeScript that a model writes into its text to compose tools itself, run confined."""

    mode: Literal["disabled", "dry-run", "enabled"] | None = None
    """`disabled`: a script is plain text. `dry-run`: it is run, but no call of it takes place. Unset: enabled where the
    sandbox is fully in force, else disabled."""
    allowed_tools: tuple[str, ...] | None = None
    """The tools that scripts may call, by their names in the registry or in scripts. Unset: all of a thread's."""
    without_confinement: bool = False
    """Run scripts though this kernel cannot confine them; `callboard doctor` says what is missing."""
    spawn: bool = False
    """Scripts may begin calls that outlive them (`tools.spawn`): at most eight at once in a thread, listed with its
    background terminals, ended with the thread."""
    approval_seconds: float = 600.0
    """How long a script waits for a person's answer; its own clock stands still meanwhile."""
    limits: ScriptLimitSettings = ScriptLimitSettings()
