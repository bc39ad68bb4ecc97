"""Threads as clients start, find and read them."""

from __future__ import annotations

from typing import Any, Literal

from messages.approval import ApprovalPolicy
from messages.client.dynamic import DynamicToolParam
from messages.client.item import ThreadItem, Wire
from messages.client.sandbox import ActiveProfile, SandboxModeParam, SandboxPolicy
from messages.client.turn import (
    ApprovalPolicyParam,
    CollaborationMode,
    ItemsView,
    SettingsFields,
    ToolChoiceParam,
    TurnBody,
)

SortDirection = Literal["asc", "desc"]


class ThreadStatusBody(Wire, frozen=True, kw_only=True):
    type: Literal["notLoaded", "idle", "systemError", "active"]
    active_flags: tuple[Literal["waitingOnApproval", "waitingOnUserInput"], ...] | None = None
    """There, if only empty, exactly when the thread is active."""


class GitInfo(Wire, frozen=True, kw_only=True):
    branch: str | None = None
    origin_url: str | None = None
    sha: str | None = None


class EnvironmentBody(Wire, frozen=True, kw_only=True):
    """Where a thread works. There is one place yet: this machine."""

    environment_id: Literal["local"]
    cwd: str
    runtime_workspace_roots: tuple[str, ...]


class ThreadBody(Wire, frozen=True, kw_only=True):
    """A thread; times in unix seconds."""

    id: str
    session_id: str
    cli_version: str
    created_at: int
    updated_at: int
    cwd: str
    ephemeral: bool
    model_provider: str
    preview: str
    project_id: str | None
    source: str | dict[str, str]
    status: ThreadStatusBody
    turns: tuple[TurnBody, ...]
    history_mode: Literal["paginated"]
    """Its history can be had page by page."""
    can_accept_direct_input: bool
    environments: tuple[EnvironmentBody, ...] | None = None
    thread_source: str | None = None
    """What its client began it for, in the client's words."""
    model: str | None = None
    reasoning_effort: str | None = None
    path: str | None = None
    name: str | None = None
    git_info: GitInfo | None = None
    recency_at: int | None = None
    originator: str | None = None


class Resume(Wire, frozen=True, kw_only=True):
    """Our addition to ``thread/resume``: go on behind the last event seen."""

    epoch: str
    after_seq: int


class Standing(Wire, frozen=True, kw_only=True):
    """Our addition to the answers that subscribe: where the events that follow begin.

    ``resumed`` false: the named event is out of reach, and the thread as given in the answer is what to go on from.
    """

    epoch: str
    seq: int
    resumed: bool


class ThreadStartParams(Wire, frozen=True, kw_only=True):
    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicyParam | None = None
    sandbox: SandboxModeParam | None = None
    permissions: str | None = None
    config: dict[str, Any] | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None
    ephemeral: bool | None = None
    thread_source: str | None = None
    dynamic_tools: tuple[DynamicToolParam, ...] | None = None
    environments: tuple[Any, ...] | None = None
    """An empty list: the thread works nowhere, and so has no tools."""
    callboard_tools: ToolChoiceParam | None = None


class ThreadResumeParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicyParam | None = None
    sandbox: SandboxModeParam | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None
    permissions: str | None = None
    exclude_turns: bool | None = None
    callboard: Resume | None = None


class ThreadOpened(Wire, frozen=True, kw_only=True):
    """The answer to thread/start and thread/resume."""

    thread: ThreadBody
    model: str
    model_provider: str
    cwd: str
    approval_policy: ApprovalPolicy
    approvals_reviewer: Literal["user"]
    sandbox: SandboxPolicy
    runtime_workspace_roots: tuple[str, ...]
    active_permission_profile: ActiveProfile | None = None
    reasoning_effort: str | None = None
    collaboration_mode: CollaborationMode | None = None
    turns_backwards_cursor: str | None = None
    """For `thread/turns/list` and `thread/items/list`, to page back from the present. None: there is nothing yet."""
    items_backwards_cursor: str | None = None
    callboard: Standing


class ThreadReadParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    include_turns: bool | None = None


class ThreadReadResponse(Wire, frozen=True, kw_only=True):
    thread: ThreadBody


class ThreadListParams(Wire, frozen=True, kw_only=True):
    cursor: str | None = None
    limit: int | None = None
    sort_key: Literal["created_at", "updated_at", "recency_at", "section_position"] | None = None
    sort_direction: SortDirection | None = None
    model_providers: tuple[str, ...] | None = None
    source_kinds: tuple[str, ...] | None = None
    archived: bool | None = None
    cwd: str | tuple[str, ...] | None = None
    search_term: str | None = None
    section_id: str | None = None
    project_id: str | None = None
    parent_thread_id: str | None = None
    ancestor_thread_id: str | None = None
    attached_to_thread_id: str | None = None
    excluded_thread_ids: tuple[str, ...] | None = None


class ThreadListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[ThreadBody, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class LoadedListParams(Wire, frozen=True, kw_only=True):
    cursor: str | None = None
    limit: int | None = None


class LoadedListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[str, ...]
    next_cursor: str | None = None


class ThreadIdParams(Wire, frozen=True, kw_only=True):
    """For the methods that need nothing but the thread."""

    thread_id: str


class UnsubscribeResponse(Wire, frozen=True, kw_only=True):
    status: Literal["notLoaded", "notSubscribed", "unsubscribed"]


class SetNameParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    name: str


class SettingsUpdateParams(SettingsFields, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    thread_id: str


class TurnsListParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    cursor: str | None = None
    limit: int | None = None
    sort_direction: SortDirection | None = None
    items_view: ItemsView | None = None


class TurnsListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[TurnBody, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class ItemAnchor(Wire, frozen=True, kw_only=True):
    """Begin at this item."""

    type: Literal["item"]
    item_id: str


class ItemsListParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    turn_id: str | None = None
    cursor: str | ItemAnchor | None = None
    limit: int | None = None
    sort_direction: SortDirection | None = None


class ItemEntry(Wire, frozen=True, kw_only=True):
    item: ThreadItem
    turn_id: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class ItemsListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[ItemEntry, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class TerminalsListParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    cursor: str | None = None
    limit: int | None = None


class BackgroundTerminal(Wire, frozen=True, kw_only=True):
    """A command that goes on beyond its turn."""

    item_id: str
    process_id: str
    command: str
    cwd: str


class TerminalsListResponse(Wire, frozen=True, kw_only=True):
    data: tuple[BackgroundTerminal, ...]
    next_cursor: str | None = None


class TerminalTerminateParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    process_id: str


class TerminalTerminateResponse(Wire, frozen=True, kw_only=True):
    terminated: bool
