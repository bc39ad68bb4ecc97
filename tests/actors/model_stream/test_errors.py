"""What a provider's error means, in each of the shapes it comes in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model_stream.errors import (
    ProviderError,
    delay_in_words,
    from_http,
    from_stream,
    provider_error,
    redact,
    retry_after_seconds,
    without_secrets,
)
from messages.failure import Failure, FailureKind

NOW = 1_800_000_000.0


def http(status: int, body: object, **headers: str) -> Failure:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_http(status, names, raw, now=NOW, where="the provider")


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (400, "invalid_value", "invalid_request", False),
        (400, "context_length_exceeded", "context_window_exceeded", False),
        (400, "model_not_found", "not_found", False),
        (401, "invalid_api_key", "unauthorized", False),
        (403, "unsupported_country_region_territory", "forbidden", False),
        (404, None, "not_found", False),
        (408, None, "server_error", True),
        (429, "rate_limit_exceeded", "rate_limited", True),
        (429, "slow_down", "overloaded", True),
        (429, None, "rate_limited", True),
        (429, "insufficient_quota", "quota_exhausted", False),
        (429, "credit_balance_exhausted", "quota_exhausted", False),
        (429, "project_spend_limit_exceeded", "quota_exhausted", False),
        (429, "organization_usage_limit_exceeded", "quota_exhausted", False),
        (500, "server_error", "server_error", True),
        (503, "server_is_overloaded", "overloaded", True),
        (529, None, "overloaded", True),
    ],
)
def test_a_status_and_a_code_decide_the_kind_and_whether_to_try_again(
    status: int, code: str | None, kind: FailureKind, retryable: bool
) -> None:
    failure = http(status, {"error": {"message": "words", "type": "invalid_request_error", "code": code}})
    assert (failure.kind, failure.retryable, failure.http_status) == (kind, retryable, status)
    assert "words" in failure.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "nested"}}, "nested"),
        ({"code": "invalid-argument", "error": "a bare string"}, "a bare string"),
        ({"message": "flat", "code": "x"}, "flat"),
        ({"detail": "of a FastAPI server"}, "of a FastAPI server"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        (b"<html><style>x{}</style><body><h1>Bad  gateway</h1></body></html>", "Bad gateway"),
        (b"plain words", "plain words"),
        (b"", "without saying why"),
        (b"\xff\xfe not utf-8", "not utf-8"),
    ],
)
def test_the_words_are_found_in_every_shape_of_body(body: object, words: str) -> None:
    assert words in http(500, body).message


def test_a_hint_of_the_server_outranks_the_status() -> None:
    assert not http(500, {}, x_should_retry="false").retryable
    assert http(400, {}, x_should_retry="true").retryable


def test_headers_name_the_request_and_the_delay() -> None:
    failure = http(429, {"error": {"message": "m"}}, x_request_id="req_1", retry_after="7")
    assert (failure.request_id, failure.retry_after_seconds) == ("req_1", 7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_a_delay_is_read_in_milliseconds_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    ("sentence", "seconds"),
    [
        ("Please try again in 1.3s.", 1.3),
        ("Please try again in 20ms. Visit the site.", 0.02),
        ("try again in 6m0s", 360.0),
        ("Try again in 1h2m3s.", 3723.0),
        ("try again in 35 seconds", 35.0),
        ("try again in 2 minutes", 120.0),
        ("try again in 500 milliseconds", 0.5),
        ("try again later", None),
    ],
)
def test_a_delay_is_read_out_of_a_sentence(sentence: str, seconds: float | None) -> None:
    assert delay_in_words(sentence) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("context_length_exceeded", "context_window_exceeded", False),
        ("insufficient_quota", "quota_exhausted", False),
        ("usage_not_included", "quota_exhausted", False),
        ("invalid_prompt", "invalid_request", False),
        ("cyber_policy", "refused", False),
        ("bio_policy", "refused", False),
        ("server_is_overloaded", "overloaded", True),
        ("slow_down", "overloaded", True),
        ("rate_limit_exceeded", "rate_limited", True),
        ("429", "rate_limited", True),
        ("server_error", "server_error", True),
        ("never_heard_of", "server_error", True),
    ],
)
def test_inside_a_stream_an_unknown_code_is_a_passing_trouble(code: str, kind: FailureKind, retryable: bool) -> None:
    failure = from_stream(ProviderError(message="try again in 3s", code=code), where="the provider")
    assert (failure.kind, failure.retryable, failure.retry_after_seconds) == (kind, retryable, 3.0)


def test_keys_are_taken_out_also_those_we_do_not_know() -> None:
    body = msgspec.json.encode({"error": {"message": "Incorrect key: abcdefgh-mine, or sk-proj-abc123***xyz"}})
    failure = from_http(401, {}, body, now=NOW, where="the provider", secrets=("abcdefgh-mine",))
    assert "mine" not in str(failure)
    assert "abc123" not in str(failure)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail"]), inner)
        ),
    )
)
def test_no_body_is_too_strange(value: object) -> None:
    error = provider_error(value)
    if error is not None:
        from_stream(error, where="the provider")
    try:
        body = msgspec.json.encode(value)
    except ValueError:
        return
    assert http(500, body).kind


SECRET = 'k3y/+="x é'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"bad key {SECRET}!", "bad key …!"),
        ("GET /v1?key=k3y%2F%2b%3D%22x+%C3%a9&x=1", "GET /v1?key=…&x=1"),
        ("GET /v1?key=k3y/+%3d%22x%20%C3%A9", "GET /v1?key=…"),
        ('{"key":"k3y\\/+=\\"x \\u00e9"}', '{"key":"…"}'),
        ("it was k3y/+=…", "it was …"),
        ("it was k3y%2F%2B…", "it was …"),
        ("it was k3…", "it was k3…"),  # says nothing
        ("Bearer abc.def+ghi/jkl=&mno, he said", "Bearer …, he said"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_a_secret_is_taken_out_however_it_is_spelled_and_wherever_it_was_cut(said: str, told: str) -> None:
    assert redact(said, (SECRET,)) == told


def test_a_failure_tells_nothing_of_what_only_its_provider_may_read() -> None:
    secret = "s3cret-0123456789"
    failure = from_stream(
        ProviderError(message=f"{'x' * 480} {secret} no", code=secret, request_id=f"r-{secret}"), where="It"
    )
    assert secret[:8] in failure.message
    told = without_secrets(failure, (secret,))
    assert secret[:4] not in f"{told.message}{told.detail}{told.request_id}"
    assert told.kind == failure.kind
