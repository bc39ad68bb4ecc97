"""account/rateLimits/read, and callboard/tasks/*: what the backend of a ChatGPT login knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from messages.client.account import PlanType
from messages.client.event import RateLimitSnapshot
from messages.client.item import Wire


class AccountLimit(RateLimitSnapshot, frozen=True, kw_only=True):
    """A limit as the backend tells it, which is more than a model's answer does."""

    plan_type: PlanType | None = None
    rate_limit_reached_type: Literal["rate_limit_reached"] | None = None


class AccountLimitsResponse(Wire, frozen=True, kw_only=True):
    """``rate_limits``: the one that all use counts against; the others by their id beside it."""

    rate_limits: AccountLimit
    rate_limits_by_limit_id: Mapping[str, AccountLimit] | None = None
    account_id: str | None = None
    ordinary_usage_allowed: bool | None = None


class BackendAccount(Wire, frozen=True, kw_only=True):
    """callboard/account: who the login is, as the backend says now and not as the token said when it was made."""

    account_id: str | None
    user_id: str | None
    email: str | None
    plan_type: PlanType


class TasksParams(Wire, frozen=True, kw_only=True):
    limit: int | None = None
    cursor: str | None = None


class TaskBody(Wire, frozen=True, kw_only=True):
    """One task of the list. Times in Unix seconds."""

    id: str
    title: str
    status: str | None
    """In the backend's words, e.g. `completed`, `in_progress`, `failed`."""
    environment: str | None
    created_at: float | None
    updated_at: float | None
    files_modified: int | None
    lines_added: int | None
    lines_removed: int | None


class TasksResponse(Wire, frozen=True, kw_only=True):
    data: tuple[TaskBody, ...]
    next_cursor: str | None = None


class TaskParams(Wire, frozen=True, kw_only=True):
    task_id: str


class TaskResponse(Wire, frozen=True, kw_only=True):
    """One task, with its latest diff."""

    id: str
    title: str
    status: str | None
    prompt: str
    messages: tuple[str, ...]
    error: str | None
    diff: str | None
