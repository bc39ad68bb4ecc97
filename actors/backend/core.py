"""The backend's addresses and answers. Pure.

Two styles of path lead to the same services, and the base URL chooses: one with ``/backend-api`` in its path is
ChatGPT's own and has them under ``/wham/``, any other has them under ``/api/codex/`` (CORE §10). The answers are read
for what we use and may hold anything besides; what they lack is None, so that a service that drops a field does not
break the rest.

Rejected: a setting for the style (a base URL of one style answers nothing in the other), following redirects (they
would carry the login's headers somewhere nobody has named), `http` beyond loopback (those headers, readable on the
way).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final, Literal, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from actors.model_stream.errors import from_http
from messages.failure import Failure, FailureKind

PathStyle = Literal["wham", "api/codex"]

CHATGPT_HOSTS: Final = frozenset({"chatgpt.com", "chat.openai.com"})
"""Whose services all lie under ``/backend-api``, said or not."""

WHERE: Final = "The ChatGPT backend"

TASK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_~.\-]{0,199}")
"""What an id may look like: one segment of a path that means nothing to a path."""

ADVICE: Final[Mapping[FailureKind, str]] = {
    "unauthorized": "log in again with: callboard login",
    "forbidden": "this account may not do that",
    "not_found": "it is not there for this account, or chatgpt_base_url leads elsewhere",
    "rate_limited": "it asks for fewer requests; try again later",
    "quota_exhausted": "the account's limit is used up",
    "overloaded": "try again later",
    "server_error": "try again later",
}


class BackendError(Exception):
    """A question that cannot be asked: the text says what to change."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A base URL without a slash at its end, and how paths go on from it."""

    base: str
    style: PathStyle

    def url(self, *segments: str, **query: str | int | None) -> str:
        """The URL of a service; parameters that are None are left out."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return "/".join((self.base, self.style, *segments)) + (f"?{asked}" if asked else "")


def place(base_url: str) -> Place:
    """Where `chatgpt_base_url` leads. Raises BackendError; its text quotes no password of the URL."""
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BackendError("chatgpt_base_url is no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BackendError("chatgpt_base_url has to be a URL such as https://chatgpt.com/backend-api")
    if parts.username is not None or parts.query or parts.fragment:
        raise BackendError("chatgpt_base_url takes no user, password, query or fragment: the login is sent in headers")
    if parts.scheme == "http" and not _loopback(host):
        raise BackendError(f"chatgpt_base_url would send the login unencrypted to {host}; use https")
    path = parts.path.rstrip("/")
    if host in CHATGPT_HOSTS and "/backend-api" not in path:
        path += "/backend-api"
    base = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return Place(base=base, style="wham" if "/backend-api" in path else "api/codex")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def task_id(named: str) -> str:
    """The id in what a person gave: an id, or the address of a task's page. Raises BackendError."""
    text = named.strip()
    id_ = urlsplit(text).path.rstrip("/").rpartition("/")[2] if text.startswith(("https://", "http://")) else text
    if TASK_ID.fullmatch(id_) is None:
        raise BackendError(f"{named[:80]!r} is no id of a task; see: callboard tasks")
    return id_


# --- what it answers ---


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of answers: what we do not know is left out."""


class Window(Answer, frozen=True, kw_only=True):
    used_percent: float = 0
    limit_window_seconds: float | None = None
    reset_at: float | None = None
    """Unix seconds."""


class Limit(Answer, frozen=True, kw_only=True):
    allowed: bool | None = None
    limit_reached: bool | None = None
    primary_window: Window | None = None
    secondary_window: Window | None = None


class FurtherLimit(Answer, frozen=True, kw_only=True):
    """Of one feature or model beside the common limit."""

    limit_name: str | None = None
    metered_feature: str | None = None
    rate_limit: Limit | None = None


class Credits(Answer, frozen=True, kw_only=True):
    has_credits: bool = False
    unlimited: bool = False
    balance: str | float | None = None


class Usage(Answer, frozen=True, kw_only=True):
    """``usage``: limits, how much of them is used, and whose they are."""

    plan_type: str | None = None
    rate_limit: Limit | None = None
    additional_rate_limits: tuple[FurtherLimit, ...] | None = None
    credits: Credits | None = None
    account_id: str | None = None
    user_id: str | None = None
    email: str | None = None


class DiffStats(Answer, frozen=True, kw_only=True):
    files_modified: int | None = None
    lines_added: int | None = None
    lines_removed: int | None = None


class TurnDisplay(Answer, frozen=True, kw_only=True):
    turn_status: str | None = None
    diff_stats: DiffStats | None = None


class TaskDisplay(Answer, frozen=True, kw_only=True):
    environment_label: str | None = None
    latest_turn_status_display: TurnDisplay | None = None


class TaskItem(Answer, frozen=True, kw_only=True):
    id: str
    title: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    archived: bool | None = None
    task_status_display: TaskDisplay | None = None


class TaskPage(Answer, frozen=True, kw_only=True):
    """``tasks/list``. ``cursor``: of the next page, if there is one."""

    items: tuple[TaskItem, ...]
    cursor: str | None = None


class Fragment(Answer, frozen=True, kw_only=True):
    content_type: str | None = None
    text: str | None = None


class DiffPayload(Answer, frozen=True, kw_only=True):
    diff: str | None = None


class TurnItem(Answer, frozen=True, kw_only=True):
    type: str = ""
    role: str | None = None
    content: tuple[str | Fragment, ...] | None = None
    diff: str | None = None
    output_diff: DiffPayload | None = None


class TurnTrouble(Answer, frozen=True, kw_only=True):
    code: str | None = None
    message: str | None = None


class TaskTurn(Answer, frozen=True, kw_only=True):
    turn_status: str | None = None
    input_items: tuple[TurnItem, ...] | None = None
    output_items: tuple[TurnItem, ...] | None = None
    error: TurnTrouble | None = None


class TaskHead(Answer, frozen=True, kw_only=True):
    id: str | None = None
    title: str | None = None


class TaskDetails(Answer, frozen=True, kw_only=True):
    """``tasks/ID``: the task as it is now."""

    task: TaskHead | None = None
    current_user_turn: TaskTurn | None = None
    current_assistant_turn: TaskTurn | None = None
    current_diff_task_turn: TaskTurn | None = None


T = TypeVar("T")


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T | Failure:
    """An answer, or a failure that says what came instead; the body itself is not quoted, it may be anything."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        page = body.lstrip()[:1] == b"<"
    came = "a web page" if page else "something else than expected"
    text = f"{WHERE} answered with {came}; look whether chatgpt_base_url is right, or whether a proxy stands before it"
    return Failure(kind="protocol", message=f"{text}.")


def latest_diff(task: TaskDetails) -> str | None:
    """The newest diff of a task: of the turn that made a diff, else of the assistant's; None without one."""
    for turn in (task.current_diff_task_turn, task.current_assistant_turn):
        for item in (turn and turn.output_items) or ():
            if item.type == "output_diff" and item.diff:
                return item.diff
            if item.type == "pr" and item.output_diff is not None and item.output_diff.diff:
                return item.output_diff.diff
    return None


def words(turn: TaskTurn | None, *, of: Literal["input", "output"]) -> tuple[str, ...]:
    """What was said in a turn, message by message, without what is no text."""
    if turn is None:
        return ()
    items = turn.input_items if of == "input" else turn.output_items
    said = (
        fragment if isinstance(fragment, str) else fragment.text if fragment.content_type == "text" else None
        for item in items or ()
        if item.type == "message"
        for fragment in item.content or ()
    )
    return tuple(text for text in said if text and text.strip())


def trouble(task: TaskDetails) -> str | None:
    """Why a task failed, in the backend's words; None if it did not."""
    error = task.current_assistant_turn and task.current_assistant_turn.error
    if not error:
        return None
    return ": ".join(part for part in (error.code, error.message) if part) or None


def refused(status: int, headers: Mapping[str, str], body: bytes, *, now: float, secrets: tuple[str, ...]) -> Failure:
    """What an answer that is no success means. Judged as a model's is (`model_stream.errors`), told in our words.

    ``headers`` has lower-case names; ``now`` is Unix seconds; ``secrets`` are removed wherever they are quoted back.
    """
    if 300 <= status < 400:
        text = f"{WHERE} answered HTTP {status}, a redirect, which is not followed; look at chatgpt_base_url."
        return Failure(kind="protocol", message=text, http_status=status)
    failure = from_http(status, headers, body, now=now, where=WHERE, secrets=secrets)
    # An error's page of HTML says nothing a person needs; an error in JSON does.
    quoted = "" if body.lstrip()[:1] == b"<" else (failure.detail or "")[:300]
    said = f": {quoted.rstrip('.')}" if quoted else ""
    advice = ADVICE.get(failure.kind)
    message = f"{WHERE} answered HTTP {status}{said}{f' ({advice})' if advice else ''}."
    detail = failure.detail if quoted else None
    return msgspec.structs.replace(failure, message=message, detail=detail)
