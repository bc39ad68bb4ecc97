"""Turns as clients start them and are told of them."""

from __future__ import annotations

from typing import Any, Literal

from messages.approval import GranularPolicy
from messages.client.item import ThreadItem, UserInput, Wire
from messages.client.sandbox import SandboxPolicy
from messages.tool_set import WebSearchMode

TurnStatus = Literal["inProgress", "completed", "interrupted", "failed"]
ItemsView = Literal["notLoaded", "summary", "full"]

ApprovalPolicyParam = Literal["untrusted", "on-request", "on-failure", "never"] | GranularPolicy
"""`on-failure` is a word of older clients, and taken as on-request."""


class TurnError(Wire, frozen=True, kw_only=True):
    message: str
    codex_error_info: str | dict[str, Any] | None = None
    """One word, or one word with what belongs to it, such as an HTTP status."""
    additional_details: str | None = None


class TurnBody(Wire, frozen=True, kw_only=True):
    """A turn; times in unix seconds."""

    id: str
    root_turn_id: str
    """Of a turn inside another one, the outermost. Here every turn is its own."""
    items: tuple[ThreadItem, ...]
    status: TurnStatus
    items_view: ItemsView
    error: TurnError | None = None
    started_at: int | None = None
    completed_at: int | None = None
    duration_ms: int | None = None


class CollaborationSettings(Wire, frozen=True, kw_only=True, rename=None):
    """snake_case on the wire, unlike everything around it."""

    model: str | None = None
    reasoning_effort: str | None = None
    developer_instructions: str | None = None


class CollaborationMode(Wire, frozen=True, kw_only=True):
    """What a client's mode asks for; where it names a model or an effort, that comes before the plain fields."""

    mode: str
    settings: CollaborationSettings | None = None


class ToolChoiceParam(Wire, frozen=True, kw_only=True):
    """Our addition: the tools a model is offered from here on. docs/tools.md names them."""

    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    web_search: WebSearchMode | None = None
    questions: Literal["plan", "always"] | None = None


class SettingsFields(Wire, frozen=True, kw_only=True):
    """The settings a client may send with a turn or on their own."""

    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicyParam | None = None
    sandbox_policy: SandboxPolicy | None = None
    permissions: str | None = None
    """A permission profile by its id; where there is one, it comes before the policy."""
    effort: str | None = None
    summary: str | None = None
    collaboration_mode: CollaborationMode | None = None
    callboard_tools: ToolChoiceParam | None = None
    base_instructions: str | None = None
    """Our addition: replaces the system prompt from this turn on."""
    show_reasoning: Literal["none", "readable", "raw"] | None = None
    """Our addition: what is shown of the model's reasoning from this turn on."""


class ScriptsParam(Wire, frozen=True, kw_only=True):
    """What a turn's scripts may do, instead of what the settings say; what is left out stays as it is there."""

    mode: Literal["disabled", "dry-run", "enabled"] | None = None
    allowed_tools: tuple[str, ...] | None = None
    """Names in the registry or in scripts."""


class TurnStartParams(SettingsFields, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    thread_id: str
    input: tuple[UserInput, ...]
    client_user_message_id: str | None = None
    """Makes it safe to send again: the same id is the same turn."""
    output_schema: dict[str, Any] | None = None
    scripts: ScriptsParam | None = None
    """Our addition; for this turn only."""


class TurnStartResponse(Wire, frozen=True, kw_only=True):
    turn: TurnBody


class TurnSteerParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    input: tuple[UserInput, ...]
    expected_turn_id: str
    client_user_message_id: str | None = None


class TurnSteerResponse(Wire, frozen=True, kw_only=True):
    turn_id: str


class TurnInterruptParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str | None = None
    """Absent: whichever turn runs (our addition)."""
