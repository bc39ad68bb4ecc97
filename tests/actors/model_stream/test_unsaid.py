"""What is taken out of a provider's words."""

from __future__ import annotations

import httpx2

from actors.model_stream.errors import redact
from actors.model_stream.exchange import Post, _unreached
from actors.model_stream.unsaid import unsaid


def test_headers_and_all_that_a_url_carries_are_taken_out_however_they_are_quoted() -> None:
    secrets = unsaid(
        [("authorization", "Bearer canary-header"), ("x-short", "1")],
        "http://ada:canary%2Fpassword@host/v1?sig=canary%20query&v=2",
        ("canary-parameter",),
    )
    said = (
        "canary-header | canary%2Fpassword | canary/password | YWRhOmNhbmFyeS9wYXNzd29yZA== | "
        "YWRhOmNhbmFyeSUyRnBhc3N3b3Jk | canary%20query | canary query | canary-parameter | host v=2"
    )
    assert redact(said, secrets) == " | ".join("…" * 8) + " | host v=2"


def test_nothing_short_and_nothing_empty_is_taken_out() -> None:
    assert unsaid([("x-short", "1234567")], "http://host/v1") == ()


def test_a_server_that_cannot_be_reached_is_named_without_what_its_url_carries() -> None:
    url = "http://ada:canary-password@host/v1?sig=canary-query/responses"
    post = Post(
        url=url,
        headers=(),
        body=b"",
        query={},
        idle_seconds=1.0,
        where="mine",
        generation=None,
        secrets=unsaid((), url.removesuffix("/responses")),
    )
    failure = _unreached(post, httpx2.ConnectError("refused"))
    assert "canary" not in failure.message
    assert "host/v1" in failure.message
