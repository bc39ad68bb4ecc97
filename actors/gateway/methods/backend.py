"""What the backend of a ChatGPT login knows: limits, the account, tasks. Asked when a client asks, never kept.

Rejected: polling limits for everybody (each model answer tells of them already, and nobody may be looking).
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, get_args

from actors.backend.client import PROVIDER, Backend
from actors.backend.core import (
    BackendError,
    DiffStats,
    Limit,
    TaskDetails,
    TaskDisplay,
    TaskItem,
    TurnDisplay,
    Usage,
    Window,
    latest_diff,
    task_id,
)
from actors.backend.core import trouble as trouble_of
from actors.backend.core import words as words_of
from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from messages.client.account import PlanType
from messages.client.backend import (
    AccountLimit,
    AccountLimitsResponse,
    BackendAccount,
    TaskBody,
    TaskParams,
    TaskResponse,
    TasksParams,
    TasksResponse,
)
from messages.client.envelope import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from messages.client.event import CreditsBody, RateLimitsUpdated, RateLimitWindow
from messages.client.listing import NoParams
from messages.credentials import Accounts, GetAccounts
from messages.failure import Failure, FailureKind

MAIN_LIMIT: Final = "codex"
"""What the vocabulary calls the limit that all use counts against."""

TASKS_DEFAULT, TASKS_MAX = 20, 100
"""Of one page: what fits a screen, and what an answer of a few hundred kilobytes holds."""

THEIR_MOVE: Final[frozenset[FailureKind]] = frozenset(
    {"missing_key", "unauthorized", "forbidden", "not_found", "invalid_request", "quota_exhausted", "rate_limited"}
)
"""Failures that whoever asked can do something about; the others are ours or the backend's."""

T = TypeVar("T")


async def rate_limits(caller: Caller, _params: NoParams) -> AccountLimitsResponse:
    if not await _logged_in(caller):
        raise RpcError(
            INVALID_REQUEST,
            "account/rateLimits/read: nobody is logged in here, so there are no rate limits to read; "
            "keys belong to the daemon, and limits to their providers",
        )
    usage = _got(await (await _backend(caller)).usage())
    plan = None if usage.plan_type is None else _plan(usage)
    money = usage.credits and CreditsBody(
        has_credits=usage.credits.has_credits,
        unlimited=usage.credits.unlimited,
        balance=None if usage.credits.balance is None else str(usage.credits.balance),
    )
    main = _limit(usage.rate_limit, limit_id=MAIN_LIMIT, plan_type=plan, credits=money)
    further = {
        id_: _limit(each.rate_limit, limit_id=id_, limit_name=each.limit_name, plan_type=plan)
        for each in usage.additional_rate_limits or ()
        if (id_ := each.metered_feature or each.limit_name)
    }
    # Whoever shows limits shows these now, whoever has asked.
    caller.house.everywhere.limits_changed(RateLimitsUpdated(rate_limits=main, thread_id=None))
    return AccountLimitsResponse(
        rate_limits=main,
        rate_limits_by_limit_id={**further, MAIN_LIMIT: main},
        account_id=usage.account_id,
        ordinary_usage_allowed=None if usage.rate_limit is None else usage.rate_limit.allowed,
    )


async def account(caller: Caller, _params: NoParams) -> BackendAccount:
    usage = _got(await (await _backend(caller)).usage())
    return BackendAccount(account_id=usage.account_id, user_id=usage.user_id, email=usage.email, plan_type=_plan(usage))


async def tasks(caller: Caller, params: TasksParams) -> TasksResponse:
    limit = TASKS_DEFAULT if params.limit is None else params.limit
    if not 1 <= limit <= TASKS_MAX:
        raise RpcError(INVALID_PARAMS, f"callboard/tasks/list: limit is {limit}; it can be 1 to {TASKS_MAX}")
    page = _got(await (await _backend(caller)).tasks(limit=limit, cursor=params.cursor))
    return TasksResponse(
        data=tuple(_task(item) for item in page.items if not item.archived), next_cursor=page.cursor or None
    )


async def task(caller: Caller, params: TaskParams) -> TaskResponse:
    try:
        id_ = task_id(params.task_id)
    except BackendError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    found: TaskDetails = _got(await (await _backend(caller)).task(id_))
    turn = found.current_assistant_turn
    messages = (*words_of(found.current_diff_task_turn, of="output"), *words_of(turn, of="output"))
    return TaskResponse(
        id=id_,
        title=(found.task and found.task.title) or "",
        status=None if turn is None else turn.turn_status,
        prompt="\n\n".join(words_of(found.current_user_turn, of="input")),
        messages=messages,
        error=trouble_of(found),
        diff=latest_diff(found),
    )


async def _logged_in(caller: Caller) -> bool:
    found = (await caller.house.credentials.ask(GetAccounts(), Accounts)).accounts
    return any(each.provider == PROVIDER and each.kind == "oauth" for each in found)


async def _backend(caller: Caller) -> Backend:
    """Where the settings lead. A key kept under the login's name is no login, and not sent there."""
    if not await _logged_in(caller):
        raise RpcError(INVALID_REQUEST, "nobody is logged in with ChatGPT; log in with: callboard login")
    settings = (await caller.gatehouse.configuration.snapshot()).settings
    try:
        return Backend(caller.house.ports, caller.house.credentials, settings.chatgpt_base_url)
    except BackendError as error:
        raise RpcError(INVALID_REQUEST, str(error)) from None


def _got(answer: T | Failure) -> T:
    if not isinstance(answer, Failure):
        return answer
    data: dict[str, Any] = {"kind": answer.kind}
    if answer.retry_after_seconds is not None:
        data["retryAfterSeconds"] = answer.retry_after_seconds
    raise RpcError(INVALID_REQUEST if answer.kind in THEIR_MOVE else INTERNAL_ERROR, answer.message, data)


def _plan(usage: Usage) -> PlanType:
    return next((plan for plan in get_args(PlanType) if plan == usage.plan_type), "unknown")


def _limit(limit: Limit | None, **more: Any) -> AccountLimit:
    limit = limit or Limit()
    return AccountLimit(
        primary=_window(limit.primary_window),
        secondary=_window(limit.secondary_window),
        rate_limit_reached_type="rate_limit_reached" if limit.limit_reached else None,
        **more,
    )


def _window(window: Window | None) -> RateLimitWindow | None:
    if window is None:
        return None
    seconds = window.limit_window_seconds
    return RateLimitWindow(
        used_percent=round(window.used_percent),
        window_duration_mins=None if seconds is None else -int(-seconds // 60),
        resets_at=None if window.reset_at is None else int(window.reset_at),
    )


def _task(item: TaskItem) -> TaskBody:
    display = item.task_status_display or TaskDisplay()
    latest = display.latest_turn_status_display or TurnDisplay()
    stats = latest.diff_stats or DiffStats()
    return TaskBody(
        id=item.id,
        title=item.title or "",
        status=latest.turn_status,
        environment=display.environment_label,
        created_at=item.created_at,
        updated_at=item.updated_at,
        files_modified=stats.files_modified,
        lines_added=stats.lines_added,
        lines_removed=stats.lines_removed,
    )


METHODS = (
    method("account/rateLimits/read", NoParams, rate_limits),
    method("callboard/account", NoParams, account),
    method("callboard/tasks/list", TasksParams, tasks),
    method("callboard/tasks/read", TaskParams, task),
)
