"""account/*: logging in and out, and who is logged in. Secrets come in; none goes out."""

from __future__ import annotations

from typing import Literal

from messages.client.item import Wire

PlanType = Literal[
    "free",
    "go",
    "plus",
    "pro",
    "prolite",
    "promax",
    "team",
    "self_serve_business_prolite",
    "self_serve_business_usage_based",
    "business",
    "ent26",
    "enterprise_cbp_automation",
    "enterprise_cbp_usage_based",
    "enterprise",
    "edu",
    "edu_plus",
    "edu_pro",
    "sci",
    "sci_plus",
    "unknown",
]
"""Every plan the vocabulary has a name for; any other is `unknown`."""


class AccountReadParams(Wire, frozen=True, kw_only=True):
    refresh_token: bool | None = None


class ApiKeyAccount(Wire, frozen=True, kw_only=True, tag="apiKey", tag_field="type"):
    """A key is kept."""


class ChatgptAccount(Wire, frozen=True, kw_only=True, tag="chatgpt", tag_field="type"):
    """Somebody has logged in with ChatGPT."""

    email: str | None
    plan_type: PlanType


class AccountReadResponse(Wire, frozen=True, kw_only=True):
    """``requires_openai_auth`` is always false: whether a provider needs a login is the daemon's business."""

    requires_openai_auth: bool
    account: ApiKeyAccount | ChatgptAccount | None = None


class LoginStartParams(Wire, frozen=True, kw_only=True):
    """account/login/start. ``provider`` is ours: whose login it is, where the type does not say."""

    type: str
    api_key: str | None = None
    access_token: str | None = None
    chatgpt_account_id: str | None = None
    chatgpt_plan_type: str | None = None
    provider: str | None = None


class LoginStartResponse(Wire, frozen=True, kw_only=True):
    type: str
    login_id: str | None = None
    auth_url: str | None = None
    verification_url: str | None = None
    user_code: str | None = None


class LoginIdParams(Wire, frozen=True, kw_only=True):
    login_id: str


class LoginCancelResponse(Wire, frozen=True, kw_only=True):
    status: Literal["canceled", "notFound"]


class LoginPasteParams(Wire, frozen=True, kw_only=True):
    """callboard/login/paste: the code a page showed."""

    login_id: str
    code: str


class LogoutParams(Wire, frozen=True, kw_only=True):
    """account/logout. ``provider`` is ours; without it everything is forgotten."""

    provider: str | None = None


class LogoutResponse(Wire, frozen=True, kw_only=True):
    callboard: LogoutReport


class LogoutReport(Wire, frozen=True, kw_only=True):
    """Ours: what was forgotten, and what did not work besides."""

    providers: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class LoginCompleted(Wire, frozen=True, kw_only=True):
    """account/login/completed"""

    success: bool
    login_id: str | None = None
    error: str | None = None


class AccountUpdated(Wire, frozen=True, kw_only=True):
    """account/updated"""

    auth_mode: Literal["apikey", "chatgpt", "chatgptAuthTokens"] | None
    plan_type: PlanType | None = None


class AccountBody(Wire, frozen=True, kw_only=True):
    """One login, as `callboard login status` shows it."""

    provider: str
    kind: Literal["api_key", "oauth"]
    masked: str | None = None
    service: str | None = None
    email: str | None = None
    plan: str | None = None
    account_id: str | None = None
    expires_at: float | None = None
    borrowed: bool = False
    """Its token is another program's to renew."""
    trouble: str | None = None


class NewThreads(Wire, frozen=True, kw_only=True):
    """What a thread uses that names neither provider nor model."""

    provider: str
    model: str
    because: str
    """For people, in brackets: what decided on the provider."""


class AccountsResponse(Wire, frozen=True, kw_only=True):
    """callboard/accounts: every login, where they are kept, and what comes of it."""

    data: tuple[AccountBody, ...]
    store: str
    elsewhere: str | None
    """What lies in another store than this one, and what to do about that."""
    new_threads: NewThreads


class MigrateParams(Wire, frozen=True, kw_only=True):
    """callboard/login/migrate. Without ``to``: into the store that the settings name."""

    to: Literal["keyring", "file"] | None = None


class MigrateResponse(Wire, frozen=True, kw_only=True):
    """``replaced``: those of ``providers`` that had another, older login in one of the two places."""

    providers: tuple[str, ...]
    replaced: tuple[str, ...]
    store: str
