"""Addresses and answers of the backend, without a server."""

from __future__ import annotations

import msgspec
import pytest

from actors.backend import core
from tests.actors.backend.standin import TOKEN, task


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://chatgpt.com/backend-api/", "https://chatgpt.com/backend-api/wham/usage"),
        ("https://chatgpt.com", "https://chatgpt.com/backend-api/wham/usage"),
        ("https://chat.openai.com//", "https://chat.openai.com/backend-api/wham/usage"),
        ("https://proxy.example/x/backend-api", "https://proxy.example/x/backend-api/wham/usage"),
        ("https://codex.example/", "https://codex.example/api/codex/usage"),
        ("http://127.0.0.1:8080/backend-api", "http://127.0.0.1:8080/backend-api/wham/usage"),
        ("http://[::1]:80", "http://[::1]:80/api/codex/usage"),
        ("https://backend-api.example/backend", "https://backend-api.example/backend/api/codex/usage"),
    ],
)
def test_the_base_url_chooses_the_style_of_the_paths(base_url: str, url: str) -> None:
    assert core.place(base_url).url("usage") == url


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://chatgpt.com/backend-api", "unencrypted to chatgpt.com"),
        ("http://127.0.0.1.evil.example", "unencrypted"),
        ("https://u:hunter2@chatgpt.com", "no user, password"),
        ("https://chatgpt.com?key=hunter2", "no user, password, query"),
        ("chatgpt.com", "has to be a URL"),
        ("https://[x", "no URL"),
        ("https://h:99999999", "no URL"),
    ],
)
def test_a_base_url_that_would_give_the_login_away_is_refused(base_url: str, why: str) -> None:
    with pytest.raises(core.BackendError, match=why) as caught:
        core.place(base_url)
    assert "hunter2" not in str(caught.value)


def test_parameters_are_quoted_and_those_that_are_none_left_out() -> None:
    place = core.place("https://chatgpt.com")
    url = place.url("tasks", "list", limit=5, cursor="a&b=c", task_filter=None)
    assert url == "https://chatgpt.com/backend-api/wham/tasks/list?limit=5&cursor=a%26b%3Dc"


def test_a_task_is_named_by_its_id_or_its_page_and_never_by_a_path() -> None:
    assert core.task_id(" task_e_68f1 ") == "task_e_68f1"
    assert core.task_id("https://chatgpt.com/codex/tasks/task_e_68f1?tab=diff") == "task_e_68f1"
    for wrong in ("", "..", "a/b", "../usage", "a?b", "a b", "x" * 201, "https://chatgpt.com/"):
        with pytest.raises(core.BackendError, match="is no id of a task"):
            core.task_id(wrong)


def test_the_latest_diff_is_the_diff_turns_and_else_the_assistants() -> None:
    own = task("of the assistant\n")
    newer = {"output_items": [{"type": "message"}, {"type": "output_diff", "diff": "of the diff turn\n"}]}
    found = msgspec.convert({**own, "current_diff_task_turn": newer}, core.TaskDetails)
    assert core.latest_diff(found) == "of the diff turn\n"
    assert core.latest_diff(msgspec.convert(own, core.TaskDetails)) == "of the assistant\n"
    assert core.latest_diff(msgspec.convert(task(None), core.TaskDetails)) is None
    assert core.latest_diff(core.TaskDetails()) is None


def test_a_task_says_what_was_asked_what_was_answered_and_what_went_wrong() -> None:
    found = msgspec.convert(task(None, error={"code": "setup", "message": "no network"}), core.TaskDetails)
    assert core.words(found.current_user_turn, of="input") == ("Mend", "this")
    assert core.words(found.current_assistant_turn, of="output") == ("Done.", "Yes.")
    assert core.trouble(found) == "setup: no network"
    assert core.trouble(core.TaskDetails()) is None


def test_errors_quote_what_helps_and_no_secret_and_no_page() -> None:
    quoting = msgspec.json.encode({"detail": f"bad token {TOKEN} for you"})
    failure = core.refused(403, {}, quoting, now=0, secrets=(TOKEN,))
    assert (failure.kind, failure.retryable) == ("forbidden", False)
    assert failure.message == (
        "The ChatGPT backend answered HTTP 403: bad token … for you (this account may not do that)."
    )
    page = core.refused(503, {"retry-after": "7"}, b" <html><body>challenge</body></html>", now=0, secrets=())
    assert (page.kind, page.retryable, page.retry_after_seconds, page.detail) == ("overloaded", True, 7.0, None)
    assert page.message == "The ChatGPT backend answered HTTP 503 (try again later)."
    elsewhere = core.refused(302, {"location": "https://evil.example"}, b"", now=0, secrets=())
    assert elsewhere.kind == "protocol"
    assert "not followed" in elsewhere.message
