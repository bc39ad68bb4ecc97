"""How threads, turns and failures look on the client wire. Pure."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import msgspec

from actors.gateway.rights import rights_body
from messages.base import TurnId
from messages.client.item import AgentMessage, UserMessage
from messages.client.sandbox import ActiveProfile, Enforcement, SandboxPolicy
from messages.client.thread import EnvironmentBody, GitInfo, ThreadBody, ThreadStatusBody
from messages.client.turn import ItemsView, TurnBody, TurnError
from messages.failure import Failure, FailureKind
from messages.session import ThreadSettings, ThreadStatus, ThreadSummary, ThreadView, Turn

NO_HANDS: Final = SandboxPolicy(type="readOnly", network_access=False)
"""Of a thread without tools."""

WIRE_SOURCES: Final = frozenset({"cli", "vscode", "exec", "appServer", "unknown"})
"""The words the wire has for where a thread came from; any other is a `custom` one."""

FAILURE_WORDS: Final[dict[FailureKind, str]] = {
    "connection": "httpConnectionFailed",
    "stream_disconnected": "responseStreamDisconnected",
    "timeout": "responseStreamDisconnected",
    "rate_limited": "rateLimitExceeded",
    "quota_exhausted": "usageLimitExceeded",
    "overloaded": "serverOverloaded",
    "server_error": "internalServerError",
    "unauthorized": "unauthorized",
    "forbidden": "unauthorized",
    "not_found": "modelNotFound",
    "invalid_request": "badRequest",
    "context_window_exceeded": "contextWindowExceeded",
    "refused": "other",
    "incomplete": "other",
    "protocol": "other",
    "missing_key": "unauthorized",
    "budget_exceeded": "sessionBudgetExceeded",
    "storage": "other",
    "internal": "other",
}
"""codexErrorInfo for each kind of failure: what a client chooses its words and its advice by."""

WITH_STATUS: Final = frozenset({"httpConnectionFailed", "responseStreamDisconnected"})
"""The words that carry the HTTP status."""


def error_body(failure: Failure) -> TurnError:
    """A failure as a turn's error."""
    word = FAILURE_WORDS[failure.kind]
    info: str | dict[str, Any] = {word: {"httpStatusCode": failure.http_status}} if word in WITH_STATUS else word
    return TurnError(message=failure.message, codex_error_info=info, additional_details=failure.detail)


def begun(turn_id: TurnId) -> TurnBody:
    """A turn that has just begun, for whoever began it."""
    return TurnBody(id=turn_id, root_turn_id=turn_id, items=(), items_view="notLoaded", status="inProgress")


def turn_body(turn: Turn, *, items_view: ItemsView = "full") -> TurnBody:
    """A turn, with all of its items, with none, or with what was asked first and answered last."""
    items = turn.items
    if items_view == "notLoaded":
        items = ()
    elif items_view == "summary":
        asked = tuple(islice((item for item in items if isinstance(item, UserMessage)), 1))
        items = asked + tuple(islice((item for item in reversed(items) if isinstance(item, AgentMessage)), 1))
    return TurnBody(
        id=turn.id,
        root_turn_id=turn.id,
        items=items,
        items_view=items_view,
        status=turn.status,
        error=None if turn.failure is None else error_body(turn.failure),
        started_at=int(turn.started_at),
        completed_at=None if turn.completed_at is None else int(turn.completed_at),
        duration_ms=None if turn.completed_at is None else max(0, round((turn.completed_at - turn.started_at) * 1000)),
    )


def sandbox_body(settings: ThreadSettings, enforcement: Enforcement | None = None) -> SandboxPolicy:
    """The policy in force, with what enforces it where that is known. A thread that has no tools can be said to only
    read, which clients insist on for the threads in which they have titles made."""
    if settings.tools.only == ():
        return NO_HANDS
    if settings.granted:
        enforcement = msgspec.structs.replace(enforcement or Enforcement(), granted=rights_body(settings.granted))
    match settings.sandbox_mode:
        case "danger-full-access":
            return SandboxPolicy(type="dangerFullAccess")
        case "read-only":
            return SandboxPolicy(type="readOnly", network_access=settings.network_access, callboard=enforcement)
        case "workspace-write":
            return SandboxPolicy(
                type="workspaceWrite",
                writable_roots=(*settings.writable_roots, *(settings.profile.write if settings.profile else ())),
                network_access=settings.network_access,
                exclude_tmpdir_env_var=settings.exclude_tmpdir_env_var,
                exclude_slash_tmp=settings.exclude_slash_tmp,
                callboard=enforcement,
            )


def active_profile(settings: ThreadSettings) -> ActiveProfile | None:
    """The permission profile of the user's own, if the thread runs under one."""
    profile = settings.profile
    return None if profile is None else ActiveProfile(id=profile.id, extends=profile.extends)


def status_body(status: ThreadStatus) -> ThreadStatusBody:
    """A thread's status."""
    return ThreadStatusBody(type=status.kind, active_flags=status.flags if status.kind == "active" else None)


def summary_body(summary: ThreadSummary, status: ThreadStatus, turns: tuple[TurnBody, ...] = ()) -> ThreadBody:
    """A thread as a list of threads shows it."""
    git = None
    if summary.git_branch or summary.git_commit or summary.git_origin:
        git = GitInfo(branch=summary.git_branch, sha=summary.git_commit, origin_url=summary.git_origin)
    return ThreadBody(
        id=summary.id,
        session_id=summary.id,
        cli_version=summary.cli_version,
        created_at=int(summary.created_at),
        updated_at=int(summary.updated_at),
        recency_at=int(summary.updated_at),
        cwd=summary.cwd,
        ephemeral=summary.ephemeral,
        model_provider=summary.provider,
        model=summary.model or None,
        preview=summary.preview,
        project_id=None,
        source=summary.source if summary.source in WIRE_SOURCES else {"custom": summary.source},
        status=status_body(status),
        turns=turns,
        history_mode="paginated",
        can_accept_direct_input=True,
        thread_source=summary.thread_source,
        originator=summary.originator,
        path=summary.path,
        name=summary.name,
        git_info=git,
    )


def thread_body(view: ThreadView, *, include_turns: bool = True) -> ThreadBody:
    """A loaded thread as it stands."""
    turns = tuple(turn_body(turn) for turn in view.turns) if include_turns else ()
    settings = view.settings
    return msgspec.structs.replace(
        summary_body(view.summary, view.status, turns),
        model=settings.model,
        model_provider=settings.provider,
        cwd=settings.cwd,
        environments=environments(settings),
        reasoning_effort=settings.reasoning_effort,
    )


def environments(settings: ThreadSettings) -> tuple[EnvironmentBody, ...]:
    """Where a thread works: nowhere, if it has no tools."""
    if settings.tools.only == ():
        return ()
    return (
        EnvironmentBody(environment_id="local", cwd=settings.cwd, runtime_workspace_roots=workspace_roots(settings)),
    )


def workspace_roots(settings: ThreadSettings) -> tuple[str, ...]:
    """The folders a thread works in."""
    return (settings.cwd, *(root for root in settings.writable_roots if root != settings.cwd))
