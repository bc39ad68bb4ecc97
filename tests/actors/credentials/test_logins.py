"""The four ways in, end to end: the real actor, real sockets, and an authorization server that forgives nothing."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from actors.credentials import actor, services
from actors.credentials.actor import CREDENTIALS, Means
from actors.credentials.entries import TokenEntry
from actors.credentials.posting import Poster
from actors.credentials.services import Service
from actors.credentials.stores.choosing import Chosen
from actors.credentials.stores.file import FILE_NAME, FileStore
from actors.kernel import Context, ServiceAddress, System
from actors.ports import Ports
from actors.ports.processes import Process, SpawnError, SpawnRequest
from actors.ports.production import production_ports
from messages.credentials import (
    Account,
    Accounts,
    AwaitLogin,
    CredentialsRequest,
    EndLogin,
    GetAccounts,
    GetHeaders,
    Headers,
    LoggedOut,
    LoginEnded,
    LoginMethod,
    LoginStarted,
    PasteCode,
    SaveKey,
    SecretValue,
    StartLogin,
    StoreChoice,
)
from messages.failure import Failure
from messages.settings import ProviderSettings
from tests.actors.credentials.authority import CLIENT, Authority, authority

PROVIDERS = {
    "claude": ProviderSettings(base_url="http://x/v1", wire_api="messages", oauth="claude"),
    "chatgpt": ProviderSettings(base_url="http://x/v1", oauth="chatgpt"),
    "openai": ProviderSettings(base_url="http://x/v1", env_key="OPENAI_API_KEY"),
    "anthropic": ProviderSettings(base_url="http://x/v1", env_key="A_KEY", key_header="x-api-key"),
}


class NoProcesses:
    """Nothing here starts a program."""

    async def spawn(self, request: SpawnRequest) -> Process:
        raise SpawnError("no programs here")


class Desk:
    """A credentials actor and whoever asks it."""

    def __init__(self, address: ServiceAddress[CredentialsRequest], ports: Ports) -> None:
        self.address = address
        self.ports = ports

    async def headers(self, provider: str, rejected: int | None = None) -> dict[str, str]:
        found = await self.address.ask(GetHeaders(provider=provider, rejected=rejected), (Headers, Failure))
        assert isinstance(found, Headers), found
        return {name: value.reveal() for name, value in found.items}

    async def failure(self, provider: str) -> Failure:
        found = await self.address.ask(GetHeaders(provider=provider), (Headers, Failure))
        assert isinstance(found, Failure)
        return found

    async def start(self, provider: str, method: LoginMethod) -> LoginStarted:
        started = await self.address.ask(StartLogin(provider=provider, method=method), (LoginStarted, Failure))
        assert isinstance(started, LoginStarted), started
        return started

    async def ended(self, started: LoginStarted) -> str | None:
        return (await self.address.ask(AwaitLogin(login_id=started.login_id), LoginEnded)).error

    async def log_in(self, provider: str = "claude") -> None:
        started = await self.start(provider, "browser")
        await trio.to_thread.run_sync(visit, started.url)
        assert await self.ended(started) is None


def visit(url: str) -> str:
    """What a browser does: follow the redirects, and read the page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            return str(page.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


@pytest.fixture
def server() -> Iterator[Authority]:
    with authority() as made:
        yield made
        assert made.complaints == []


@asynccontextmanager
async def desk(
    server: Authority,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Service], Service] | None = None,
    *,
    stores: Callable[[StoreChoice], Chosen] | None = None,
    chosen: Sequence[StoreChoice] = ("file",),
) -> AsyncIterator[Desk]:
    """``change`` alters how the actor is told of the server; ``chosen[0]`` is what the settings say of the store."""
    built_in = tuple(
        (change or (lambda each: each))(
            server.service(name, state_in_exchange=name == "claude", refresh_body="json", redirect_host="localhost")
        )
        for name in ("claude", "chatgpt")
    )
    monkeypatch.setattr(services, "BUILT_IN", built_in)
    ports = production_ports(NoProcesses())  # type: ignore[arg-type]  # as much of it as is used
    system = System(random=random.Random(1), strict=True)
    ctx = Context(system, "credentials")

    async def choice() -> StoreChoice:
        return chosen[0]

    means = Means(
        ports=ports,
        home=str(home),
        providers=PROVIDERS,
        services=dict,
        environment={},
        open_store=stores or (lambda _: Chosen(store=FileStore(ports.files, str(home)), why="In a file.")),
        choice=choice,
        posts=Poster(ports),
    )
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(ports.network.rounds.run)
            await nursery.start(actor.run, ctx, means)
            yield Desk(system.directory.address(CREDENTIALS), ports)
            nursery.cancel_scope.cancel()


async def test_by_browser_with_a_loopback_redirect(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        started = await house.start("chatgpt", "browser")
        assert "Logged in" in await trio.to_thread.run_sync(visit, started.url)
        assert await house.ended(started) is None
        assert await house.headers("chatgpt") == {
            "authorization": f"Bearer {server.current}",
            "chatgpt-account-id": "acc-1",
        }
        (account,) = (await house.address.ask(GetAccounts(), Accounts)).accounts
        assert msgspec.structs.replace(account, expires_at=None) == Account(
            provider="chatgpt",
            kind="oauth",
            service="chatgpt",
            email="ada@example.org",
            plan="pro",
            account_id="acc-1",
        )
    kept = tmp_path / FILE_NAME
    assert (kept.stat().st_mode & 0o777, server.current in kept.read_text()) == (0o600, True)


async def test_a_redirect_with_another_state_is_turned_away_and_ours_still_counts(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        started = await house.start("claude", "browser")
        port = started.url.split("localhost%3A")[1].split("%2F")[0]
        forged = await trio.to_thread.run_sync(visit, f"http://127.0.0.1:{port}/callback?code=evil&state=guessed")
        assert "does not belong to this login" in forged
        assert "Nothing here" in await trio.to_thread.run_sync(visit, f"http://127.0.0.1:{port}/elsewhere")
        assert "Logged in" in await trio.to_thread.run_sync(visit, started.url)
        assert await house.ended(started) is None


async def test_a_person_who_says_no_is_believed(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deny = True
    async with desk(server, tmp_path, monkeypatch) as house:
        started = await house.start("claude", "browser")
        await trio.to_thread.run_sync(visit, started.url)
        assert await house.ended(started) == "the login was not granted (access_denied: no)"
        assert "callboard login --provider claude" in (await house.failure("claude")).message


async def test_by_a_code_that_a_page_shows(server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        wrong = await house.start("claude", "paste")
        shown = json.loads(await trio.to_thread.run_sync(visit, wrong.url))
        await house.address.ask(PasteCode(login_id=wrong.login_id, code=SecretValue(f"{shown['code']}#other")), bool)
        assert await house.ended(wrong) == (
            "the pasted code belongs to another login; open the page again and paste what it shows"
        )
        started = await house.start("claude", "paste")
        shown = json.loads(await trio.to_thread.run_sync(visit, started.url))
        code = SecretValue(f" {shown['code']}#{shown['state']}\n")
        assert await house.address.ask(PasteCode(login_id=started.login_id, code=code), bool)
        assert await house.ended(started) is None
        assert await house.headers("claude") == {
            "authorization": f"Bearer {server.current}",
            "anthropic-beta": "oauth-2025-04-20",
        }


@pytest.mark.parametrize("style", ["rfc8628", "two_step"])
async def test_by_a_device_code_without_polling_too_fast(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    def change(service: Service) -> Service:
        where = f"{server.url}/device/poll" if style == "two_step" else service.device_token_url
        return msgspec.structs.replace(service, device_style=style, device_token_url=where)

    from actors.credentials import oauth

    monkeypatch.setattr(oauth, "SLOWER_SECONDS", 0.1)
    async with desk(server, tmp_path, monkeypatch, change) as house:
        started = await house.start("chatgpt", "device")
        assert (started.user_code, started.url) == ("WXYZ-1234", f"{server.url}/activate")
        assert await house.ended(started) is None
        assert (await house.headers("chatgpt"))["authorization"] == f"Bearer {server.current}"
    assert server.polls == 3


async def test_two_hundred_sessions_with_an_expired_token_lead_to_one_renewal(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.access_seconds = 0
    got: list[str] = []
    async with desk(server, tmp_path, monkeypatch) as house:
        await house.log_in()
        server.access_seconds = 3600

        async def one() -> None:
            got.append((await house.headers("claude"))["authorization"])

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(one)
        assert (set(got), server.refreshes) == ({f"Bearer {server.current}"}, 1)


async def test_a_token_that_was_refused_is_renewed_once_however_many_were_refused_it(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        await house.log_in()
        before = server.current
        first = await house.headers("claude", rejected=0)
        assert first["authorization"] == f"Bearer {server.current}" != f"Bearer {before}"
        assert await house.headers("claude", rejected=0) == first, "it had been renewed since"
        assert server.refreshes == 1


async def test_two_daemons_that_share_a_store_never_use_a_token_twice(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.access_seconds = 0
    async with desk(server, tmp_path, monkeypatch) as one:
        await one.log_in()
        async with desk(server, tmp_path, monkeypatch) as other:
            assert len((await other.address.ask(GetAccounts(), Accounts)).accounts) == 1
            server.access_seconds = 3600
            got: list[str] = []

            async def ask(which: Desk) -> None:
                got.append((await which.headers("claude"))["authorization"])

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(ask, one)
                    nursery.start_soon(ask, other)
            assert set(got) == {f"Bearer {server.current}"}
    assert (server.refreshes, server.reused) == (1, 0)


async def test_an_answer_that_was_lost_says_what_to_do_and_wipes_nothing(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between receiving and storing a rotated token: the note is in the store, the old token is spent."""
    async with desk(server, tmp_path, monkeypatch) as house:
        await house.log_in()
        files = house.ports.files
    store = FileStore(files, str(tmp_path))
    entry = store.load().entries["claude"]
    assert isinstance(entry, TokenEntry)
    assert entry.refresh_token is not None
    await trio.to_thread.run_sync(spend, server, entry.refresh_token.reveal())
    store.save(store.load().with_entry("claude", msgspec.structs.replace(entry, refreshing_since=1.0, expires_at=2.0)))
    async with desk(server, tmp_path, monkeypatch) as house:
        failure = await house.failure("claude")
        assert failure.kind == "unauthorized"
        assert "a daemon died while it was renewing this login" in failure.message
        assert "callboard login --provider claude" in failure.message
        assert (await house.failure("claude")) == failure, "and nobody asks again and again"
    assert "claude" in store.load().entries
    assert server.reused == 1


def spend(server: Authority, token: str) -> None:
    body = json.dumps({"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": token}).encode()
    headers = {"content-type": "application/json", "user-agent": "callboard/test"}
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/token", body, headers), timeout=10).read()


async def test_a_server_that_cannot_be_reached_costs_nothing_while_the_token_is_good(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.access_seconds = 200
    async with desk(server, tmp_path, monkeypatch) as house:
        await house.log_in()
        before = server.current
        monkeypatch.setattr(
            services,
            "BUILT_IN",
            tuple(msgspec.structs.replace(each, token_url="http://127.0.0.1:1/") for each in services.BUILT_IN),
        )
        assert (await house.headers("claude"))["authorization"] == f"Bearer {before}"


async def test_logging_out_forgets_the_login_and_tells_its_server(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        await house.log_in()
        assert await house.address.ask(EndLogin(provider="claude"), LoggedOut) == LoggedOut(was_in=True)
        assert await house.address.ask(EndLogin(provider="claude"), LoggedOut) == LoggedOut(was_in=False)
    assert [token.startswith("refresh-") for token in server.revoked] == [True]
    assert "access-" not in (tmp_path / FILE_NAME).read_text()


async def test_a_key_is_kept_and_sent_as_its_provider_wants_it(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        for provider in ("openai", "anthropic"):
            key = SecretValue(f" sk-{provider}-0123456789\n")
            assert (await house.address.ask(SaveKey(provider=provider, key=key), LoginEnded)).error is None
        bad = await house.address.ask(SaveKey(provider="openai", key=SecretValue("ä b")), LoginEnded)
        assert bad.error == "the key holds blanks or more than one line"
    async with desk(server, tmp_path, monkeypatch) as house:
        assert await house.headers("openai") == {"authorization": "Bearer sk-openai-0123456789"}
        assert await house.headers("anthropic") == {"x-api-key": "sk-anthropic-0123456789"}


async def test_without_a_client_of_ones_own_there_is_no_login_and_the_setting_is_named(
    server: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(server, tmp_path, monkeypatch, lambda it: msgspec.structs.replace(it, client_id=None)) as house:
        refused = await house.address.ask(StartLogin(provider="claude", method="browser"), (LoginStarted, Failure))
        assert isinstance(refused, Failure)
        assert 'oauth.claude.client_id = "…"' in refused.message
