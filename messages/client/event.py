"""Notifications about a thread: the ``params`` of each method. Names end like the methods do."""

from __future__ import annotations

from typing import Literal

from messages.approval import ApprovalPolicy
from messages.client.item import PlanStep, ThreadItem, Wire
from messages.client.sandbox import ActiveProfile, SandboxPolicy
from messages.client.thread import EnvironmentBody, ThreadBody, ThreadStatusBody
from messages.client.turn import CollaborationMode, TurnBody, TurnError
from messages.hooks import HookRun, HookStatus


class ThreadStarted(Wire, frozen=True, kw_only=True):
    thread: ThreadBody


class ThreadStatusChanged(Wire, frozen=True, kw_only=True):
    thread_id: str
    status: ThreadStatusBody


class ThreadClosed(Wire, frozen=True, kw_only=True):
    thread_id: str


class ThreadNameUpdated(Wire, frozen=True, kw_only=True):
    thread_id: str
    thread_name: str | None


class ThreadSettingsBody(Wire, frozen=True, kw_only=True):
    model: str
    model_provider: str
    cwd: str
    approval_policy: ApprovalPolicy
    approvals_reviewer: str
    sandbox_policy: SandboxPolicy
    collaboration_mode: CollaborationMode
    environments: tuple[EnvironmentBody, ...]
    active_permission_profile: ActiveProfile | None = None
    effort: str | None = None
    summary: str | None = None


class ThreadSettingsUpdated(Wire, frozen=True, kw_only=True):
    thread_id: str
    thread_settings: ThreadSettingsBody


class TokenCounts(Wire, frozen=True, kw_only=True):
    total_tokens: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cache_write_input_tokens: int


class ThreadTokenUsage(Wire, frozen=True, kw_only=True):
    total: TokenCounts
    last: TokenCounts
    model_context_window: int | None = None


class RateLimitWindow(Wire, frozen=True, kw_only=True):
    used_percent: int
    window_duration_mins: int | None = None
    resets_at: int | None = None
    """Unix seconds."""


class CreditsBody(Wire, frozen=True, kw_only=True):
    has_credits: bool
    unlimited: bool
    balance: str | None = None


class RateLimitSnapshot(Wire, frozen=True, kw_only=True):
    """The vocabulary knows two windows of one limit; what a provider says beyond them has no place in it."""

    limit_id: str | None = None
    limit_name: str | None = None
    primary: RateLimitWindow | None = None
    secondary: RateLimitWindow | None = None
    credits: CreditsBody | None = None


class RateLimitsUpdated(Wire, frozen=True, kw_only=True):
    rate_limits: RateLimitSnapshot
    thread_id: str | None
    """Ours: whose answer told of them; None: the backend did, asked by a client."""


class TokenUsageUpdated(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    token_usage: ThreadTokenUsage


class TurnNotice(Wire, frozen=True, kw_only=True):
    """turn/started and turn/completed."""

    thread_id: str
    turn: TurnBody


class HookEntryBody(Wire, frozen=True, kw_only=True):
    kind: str
    text: str


class HookRunBody(Wire, frozen=True, kw_only=True):
    """One run of a user's program."""

    id: str
    event_name: str
    display_order: int
    status: HookStatus
    status_message: str | None
    entries: tuple[HookEntryBody, ...]
    started_at: int
    completed_at: int | None
    duration_ms: int | None
    source_path: str
    source: Literal["user"]
    scope: Literal["thread", "turn"]
    execution_mode: Literal["sync"]
    handler_type: Literal["command"]


class HookNotice(Wire, frozen=True, kw_only=True):
    """hook/started and hook/completed"""

    thread_id: str
    turn_id: str | None
    run: HookRunBody


def hook_run(run: HookRun) -> HookRunBody:
    """A run as clients see it; times are Unix milliseconds."""
    ended = run.completed_at_ms
    return HookRunBody(
        id=run.id,
        event_name=run.event[0].lower() + run.event[1:],
        display_order=run.order,
        status=run.status,
        status_message=run.status_message,
        entries=tuple(HookEntryBody(kind=entry.kind, text=entry.text) for entry in run.entries),
        started_at=run.started_at_ms,
        completed_at=ended,
        duration_ms=None if ended is None else ended - run.started_at_ms,
        source_path=run.source_path,
        source="user",
        execution_mode="sync",
        handler_type="command",
        scope="thread" if run.event in ("SessionStart", "SessionEnd") else "turn",
    )


class TurnDiffUpdated(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    diff: str


class TurnPlanUpdated(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    plan: tuple[PlanStep, ...]
    explanation: str | None = None


class ItemStarted(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    item: ThreadItem
    started_at_ms: int


class ItemCompleted(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    item: ThreadItem
    completed_at_ms: int


class SummaryPartAdded(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    item_id: str
    summary_index: int


class TerminalInteraction(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    item_id: str
    process_id: str
    stdin: str


class ErrorNotice(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str
    error: TurnError
    will_retry: bool


class RequestResolved(Wire, frozen=True, kw_only=True):
    thread_id: str
    request_id: str


class Warning(Wire, frozen=True, kw_only=True):  # noqa: A001  # the method is called `warning`
    message: str
    thread_id: str | None = None


class TextPosition(Wire, frozen=True, kw_only=True):
    """Both counted from 1."""

    line: int
    column: int


class TextRange(Wire, frozen=True, kw_only=True):
    start: TextPosition
    end: TextPosition


class ConfigWarning(Wire, frozen=True, kw_only=True):
    summary: str
    details: str | None = None
    path: str | None = None
    range: TextRange | None = None
