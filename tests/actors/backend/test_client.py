"""One question: headers, retries, limits; with real sockets and the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from actors.backend import client as clients
from actors.backend import core
from actors.backend.client import Backend
from actors.kernel import ServiceAddress
from actors.ports.production import production_ports
from messages.credentials import CredentialsRequest, GetHeaders, Headers, SecretValue
from messages.failure import Failure
from tests.actors.backend.standin import ACCOUNT, TOKEN, USAGE, StandIn, listed, stand_in, task
from tests.actors.gateway.stage import NoProcesses

AGAIN = {"retry-after": "0.01"}


class Login:
    """Answers as the credentials actor does; each renewal gives another token."""

    def __init__(self) -> None:
        self.heard: list[GetHeaders] = []
        self.generation: int | None = 3
        self.failure: Failure | None = None

    async def ask(self, message: GetHeaders, _types: Any) -> Headers | Failure:
        self.heard.append(message)
        if self.failure is not None:
            return self.failure
        if self.generation is not None and message.rejected == self.generation:
            self.generation += 1
        token = SecretValue(f"Bearer {TOKEN}{self.generation}")
        return Headers((("authorization", token), ("chatgpt-account-id", SecretValue(ACCOUNT))), self.generation)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


def backend(server: StandIn, login: Login, path: str = "/backend-api") -> Backend:
    address = cast("ServiceAddress[CredentialsRequest]", login)
    return Backend(production_ports(NoProcesses()), address, server.url + path)


@pytest.mark.parametrize(("base", "prefix"), [("/backend-api", "/backend-api/wham"), ("", "/api/codex")])
async def test_every_service_is_asked_in_the_style_of_the_base_url(server: StandIn, base: str, prefix: str) -> None:
    server.answers = {
        f"{prefix}/usage": USAGE,
        f"{prefix}/tasks/list": {"items": [listed("t1", "One")], "cursor": "next"},
        f"{prefix}/tasks/t1": task("diff\n"),
    }
    asking = backend(server, Login(), base)
    usage, page, one = await asking.usage(), await asking.tasks(limit=5, cursor="c"), await asking.task("t1")
    assert isinstance(usage, core.Usage)
    assert usage.email == "ada@example.org"
    assert isinstance(page, core.TaskPage)
    assert (page.items[0].id, page.cursor) == ("t1", "next")
    assert isinstance(one, core.TaskDetails)
    assert core.latest_diff(one) == "diff\n"
    assert server.paths == [
        f"{prefix}/usage",
        f"{prefix}/tasks/list?limit=5&task_filter=current&cursor=c",
        f"{prefix}/tasks/t1",
    ]
    sent = server.asked[0][1]
    assert (sent["authorization"], sent["chatgpt-account-id"]) == (f"Bearer {TOKEN}3", ACCOUNT)
    assert sent["user-agent"].startswith("callboard/")


async def test_a_refused_token_is_renewed_once_and_then_it_is_an_error(server: StandIn) -> None:
    server.answers = {"/backend-api/wham/usage": USAGE}
    server.replies = [(401, {"detail": "expired"}, {})]
    login = Login()
    assert isinstance(await backend(server, login).usage(), core.Usage)
    assert [each.rejected for each in login.heard] == [None, 3]
    assert server.asked[1][1]["authorization"] == f"Bearer {TOKEN}4"

    server.asked.clear()
    server.replies = [(401, {"detail": f"no: {TOKEN}4"}, {}), (401, {"detail": f"no: Bearer {TOKEN}5"}, {})]
    failure = await backend(server, login).usage()
    assert isinstance(failure, Failure)
    assert failure.kind == "unauthorized"
    assert len(server.asked) == 2
    assert "log in again" in failure.message
    assert TOKEN not in repr(failure)


async def test_what_may_pass_is_asked_again_and_what_cannot_is_not(server: StandIn) -> None:
    server.answers = {"/backend-api/wham/usage": USAGE}
    server.replies = [(429, {}, AGAIN), (500, b"<html>oops", AGAIN), (503, {}, AGAIN)]
    assert isinstance(await backend(server, Login()).usage(), core.Usage)
    assert len(server.asked) == 4

    for status, body, kind in (
        (400, {}, "invalid_request"),
        (403, {}, "forbidden"),
        (404, {}, "not_found"),
        (429, {"error": {"type": "usage_limit_reached", "message": "used up"}}, "quota_exhausted"),
    ):
        server.asked.clear()
        server.replies = [(status, body, AGAIN)]
        failure = await backend(server, Login()).usage()
        assert isinstance(failure, Failure)
        assert failure.kind == kind
        assert len(server.asked) == 1


async def test_patience_has_an_end(server: StandIn) -> None:
    server.replies = [(503, {}, AGAIN)] * 9
    failure = await backend(server, Login()).usage()
    assert isinstance(failure, Failure)
    assert len(server.asked) == clients.ATTEMPTS

    server.asked.clear()
    server.replies = [(429, {}, {"retry-after": "100"})]
    failure = await backend(server, Login()).usage()
    assert isinstance(failure, Failure)
    assert failure.retry_after_seconds == 100
    assert len(server.asked) == 1


async def test_pages_floods_silence_and_redirects_are_errors(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = backend(server, Login())
    server.replies = [(200, b"\n<!doctype html>", {}), (200, b"[1]", {}), (302, b"", {"location": "/elsewhere"})]
    for words in ("a web page", "something else than expected", "a redirect"):
        failure = await asking.usage()
        assert isinstance(failure, Failure)
        assert words in failure.message

    monkeypatch.setattr(clients, "BODY_BYTES_MAX", 1024 * 1024)
    server.replies = [(200, b" " * 3_000_000, {})]
    failure = await asking.usage()
    assert failure == Failure(kind="protocol", message="The ChatGPT backend answered with more than 1024 KiB.")

    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    server.silent.clear()
    failure = await asking.usage()
    assert isinstance(failure, Failure)
    assert failure.kind == "timeout"


async def test_without_a_login_or_a_server_it_says_which(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    login = Login()
    login.failure = Failure(kind="missing_key", message="ChatGPT needs a login.")
    assert await backend(server, login).usage() == login.failure
    assert server.asked == []
    address = cast("ServiceAddress[CredentialsRequest]", Login())
    away = Backend(production_ports(NoProcesses()), address, "http://127.0.0.1:1/backend-api")
    failure = await away.usage()
    assert isinstance(failure, Failure)
    assert failure.kind == "connection"
    assert TOKEN not in repr(failure)
    assert "http://127.0.0.1:1/backend-api cannot be reached" in failure.message
