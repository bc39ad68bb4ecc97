"""What clients ask a thread or a turn to run under, in our words. Pure.

Clients offer more than we have: policies stricter or finer than ours become `on-request`, which asks for every command
that is not known to be safe; a sandbox is read and not followed, and what we answer says so plainly.
"""

from __future__ import annotations

from typing import Any

from messages.client.turn import ApprovalPolicyParam, SettingsFields
from messages.session import ApprovalPolicy, SettingsPatch

CONFIG_EFFORT = "model_reasoning_effort"
CONFIG_SUMMARY = "model_reasoning_summary"
CONFIG_VERBOSITY = "model_verbosity"


def policy_of(asked: ApprovalPolicyParam | None) -> ApprovalPolicy | None:
    """Our policy for a client's; None if it did not say."""
    if asked is None:
        return None
    return "never" if asked == "never" else "on-request"


def patch_of(fields: SettingsFields) -> SettingsPatch | None:
    """The changes that came with a turn, or on their own; None if there are none."""
    mode = None if fields.collaboration_mode is None else fields.collaboration_mode.settings
    patch = SettingsPatch(
        model=(mode.model if mode is not None else None) or fields.model,
        provider=fields.model_provider,
        cwd=fields.cwd,
        approval_policy=policy_of(fields.approval_policy),
        reasoning_effort=(mode.reasoning_effort if mode is not None else None) or fields.effort,
        reasoning_summary=fields.summary,
    )
    return None if patch == SettingsPatch() else patch


def text_at(config: dict[str, Any] | None, key: str) -> str | None:
    """A text from the free-form ``config`` of a request."""
    value = None if config is None else config.get(key)
    return value if isinstance(value, str) and value else None
