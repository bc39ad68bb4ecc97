"""Logins are moved between stores: nothing is lost wherever it is killed, and people are told where theirs lie."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.credentials import actor, register
from actors.credentials.actor import CREDENTIALS, Means
from actors.credentials.entries import Entry, KeyEntry, TokenEntry, Vault, encode
from actors.credentials.keeping import Keeper, Moved
from actors.credentials.oauth import Asked
from actors.credentials.posting import Poster
from actors.credentials.services import Service
from actors.credentials.stores import Store, StoreError
from actors.credentials.stores.choosing import choose
from actors.credentials.stores.file import FILE_NAME, FileStore
from actors.credentials.stores.keyring import KeyringStore
from actors.kernel import Context, ServiceAddress, System
from actors.ports import Ports
from actors.ports.production import production_ports
from messages.credentials import (
    Accounts,
    CredentialsRequest,
    GetAccounts,
    GetHeaders,
    Headers,
    Login,
    LoginsMoved,
    MoveLogins,
    SecretValue,
    StoreChoice,
    StoreKind,
)
from messages.failure import Failure
from tests.actors.credentials.test_logins import PROVIDERS, NoProcesses

ADVICE = "Not in use: openai in the file of the home. To move it here: callboard login migrate"


class Killed(BaseException):
    """As far as the code below can tell, this is SIGKILL: nothing of it runs any more."""


class Desktop:
    """A Secret Service with one collection."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


class Fatal:
    """A store of a process that is killed before the so-manieth time a store is changed, or after it."""

    def __init__(self, inner: Store, lives: list[int]) -> None:
        self._inner = inner
        self._lives = lives
        self.kind: StoreKind = inner.kind
        self.where = inner.where

    def load(self) -> Vault:
        self._step()
        return self._inner.load()

    def save(self, vault: Vault) -> None:
        self._step()
        self._inner.save(vault)
        self._step()

    def clear(self) -> None:
        self._step()
        self._inner.clear()
        self._step()

    def _step(self) -> None:
        self._lives[0] -= 1
        if self._lives[0] < 0:
            raise Killed


def ports_here() -> Ports:
    return production_ports(NoProcesses())  # type: ignore[arg-type]  # as much of it as is used


def key(text: str, at: float = 1.0) -> KeyEntry:
    return KeyEntry(key=SecretValue(text), saved_at=at)


def tokens(text: str, at: float) -> TokenEntry:
    refresh = SecretValue(f"rt-{text}")
    return TokenEntry(service="s", client_id="c", access_token=SecretValue(text), refresh_token=refresh, obtained_at=at)


def vault(**entries: Entry) -> Vault:
    return Vault(entries=dict(entries))


def contents(store: Store) -> bytes:
    return encode(store.load())


async def move(home: Path, source: Store, target: Store) -> Moved:
    return await Keeper(ports_here(), source, str(home)).move_to(target, (source,))


async def test_killed_at_any_step_every_login_is_somewhere_and_a_second_try_ends_with_all_of_them_in_one_place(
    tmp_path: Path,
) -> None:
    both = vault(openai=key("sk-1"), chatgpt=tokens("at-1", 2.0))
    steps = 0
    while True:
        home = tmp_path / str(steps)
        source, target = FileStore(ports_here().files, str(home)), KeyringStore(Desktop())
        source.save(both)
        lives = [steps]
        try:
            await move(home, Fatal(source, lives), Fatal(target, lives))
        except Killed:
            assert encode(both) in (contents(source), contents(target))
            await move(home, source, target)
            finished = False
        else:
            finished = True
        assert contents(target) == encode(both)
        assert not (home / FILE_NAME).exists()
        known = register.read(ports_here().files, str(home)).logins
        assert {(login.provider, login.store) for login in known} == {("openai", "keyring"), ("chatgpt", "keyring")}
        if finished:
            break
        steps += 1
    assert steps == 7  # two loads, a save, a load to compare, a removal; before and after what changes something


async def test_where_both_have_a_login_the_younger_tokens_stay_for_the_older_may_be_spent(tmp_path: Path) -> None:
    source, target = FileStore(ports_here().files, str(tmp_path)), KeyringStore(Desktop())
    source.save(vault(claude=tokens("old", 1.0), chatgpt=tokens("young", 9.0), openai=key("sk-same")))
    target.save(vault(claude=tokens("renewed", 5.0), chatgpt=tokens("stale", 3.0), openai=key("sk-same")))
    moved = await move(tmp_path, source, target)
    assert moved == Moved(providers=("claude", "chatgpt", "openai"), replaced=("chatgpt", "claude"))
    expected = vault(claude=tokens("renewed", 5.0), chatgpt=tokens("young", 9.0), openai=key("sk-same"))
    assert contents(target) == encode(expected)


async def test_a_store_that_does_not_give_back_what_it_was_given_gets_nothing_taken_away_for_it(tmp_path: Path) -> None:
    class Forgetful(Desktop):
        def set_password(self, service: str, username: str, password: str) -> None:
            pass

    source = FileStore(ports_here().files, str(tmp_path))
    source.save(vault(openai=key("sk-1")))
    with pytest.raises(StoreError, match="does not give back what was put there; nothing was removed"):
        await move(tmp_path, source, KeyringStore(Forgetful()))
    assert contents(source) == encode(vault(openai=key("sk-1")))


async def test_a_renewal_before_or_behind_a_move_loses_no_token_and_asks_once(tmp_path: Path) -> None:
    """Both want the lock; whoever waited works in the store that holds the logins then."""

    class Server:
        def __init__(self) -> None:
            self.asked: list[bytes] = []
            self.was_asked, self.may_answer = trio.Event(), trio.Event()

        async def post(self, asked: Asked) -> tuple[int, bytes]:
            self.asked.append(asked.body)
            self.was_asked.set()
            await self.may_answer.wait()
            return 200, b'{"access_token":"at-new","refresh_token":"rt-new","expires_in":3600}'

    old, server = tokens("old", 1.0), Server()
    source, target = FileStore(ports_here().files, str(tmp_path)), KeyringStore(Desktop())
    source.save(vault(claude=old))
    keeper = Keeper(ports_here(), source, str(tmp_path))
    service = Service(name="s", title="S", client_id="c", token_url="http://127.0.0.1:1/token")
    renewed: list[str] = []

    async def renew() -> None:
        renewed.append((await keeper.refresh("claude", old, service, server)).entry.access_token.reveal())

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(renew)
            await server.was_asked.wait()  # so that one has the lock
            nursery.start_soon(keeper.move_to, target, (source,))
            nursery.start_soon(renew)
            server.may_answer.set()
    assert renewed == ["at-new", "at-new"]
    assert len(server.asked) == 1
    held = target.load().entries["claude"]
    assert isinstance(held, TokenEntry)
    assert (held.access_token.reveal(), held.refreshing_since) == ("at-new", None)
    assert not (tmp_path / FILE_NAME).exists()


@asynccontextmanager
async def desk(
    home: Path, desktop: Desktop | None, said: Sequence[StoreChoice]
) -> AsyncIterator[ServiceAddress[CredentialsRequest]]:
    """A daemon's credentials actor; ``said[0]`` is what the settings say of the store now."""
    ports = ports_here()
    system = System(random=random.Random(1), strict=True)

    async def choice() -> StoreChoice:
        return said[0]

    means = Means(
        ports=ports,
        home=str(home),
        providers=PROVIDERS,
        services=dict,
        environment={},
        open_store=lambda kind: choose(kind, ports.files, str(home), lambda: desktop),
        choice=choice,
        posts=Poster(ports),
    )
    system.directory.expect(CREDENTIALS)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(actor.run, Context(system, "credentials"), means)
            yield system.directory.address(CREDENTIALS)
            nursery.cancel_scope.cancel()


async def sent_key(address: ServiceAddress[CredentialsRequest]) -> str:
    """The key that is sent to OpenAI, or why there is none."""
    found = await address.ask(GetHeaders(provider="openai"), (Headers, Failure))
    return found.message if isinstance(found, Failure) else found.items[0][1].reveal()


async def told(address: ServiceAddress[CredentialsRequest]) -> tuple[list[str], str | None]:
    """Who is logged in, and what is said of logins elsewhere."""
    found = await address.ask(GetAccounts(), Accounts)
    return [account.provider for account in found.accounts], found.elsewhere


async def test_whoever_changes_the_store_is_told_where_the_logins_lie_and_moves_them_with_one_command(
    tmp_path: Path,
) -> None:
    desktop = Desktop()
    said: list[StoreChoice] = ["file"]
    FileStore(ports_here().files, str(tmp_path)).save(vault(openai=key("sk-1")))
    async with desk(tmp_path, desktop, said) as address:
        assert await sent_key(address) == "Bearer sk-1"
        said[0] = "keyring"
        assert await sent_key(address) == "Bearer sk-1", "a daemon that runs keeps its store"
    async with desk(tmp_path, desktop, said) as address:
        missing = await sent_key(address)
        assert missing.startswith("Provider 'openai' needs a key")
        assert missing.endswith(f"({ADVICE})")
        assert await told(address) == ([], ADVICE)
        moved = await address.ask(MoveLogins(), LoginsMoved)
        assert (moved.moved, moved.error) == (("openai",), None)
        assert moved.store == "Logins are kept in the desktop's keyring (Secret Service)."
        assert await sent_key(address) == "Bearer sk-1"
        assert await told(address) == (["openai"], None)
        assert (await address.ask(MoveLogins(), LoginsMoved)).moved == ()
    assert not (tmp_path / FILE_NAME).exists()


async def test_a_daemon_that_runs_takes_the_new_store_with_the_move(tmp_path: Path) -> None:
    desktop = Desktop()
    said: list[StoreChoice] = ["file"]
    FileStore(ports_here().files, str(tmp_path)).save(vault(openai=key("sk-1")))
    async with desk(tmp_path, desktop, said) as address:
        assert await told(address) == (["openai"], None)
        refused = await address.ask(MoveLogins(to="keyring"), LoginsMoved)
        assert refused.error is not None
        assert refused.error.endswith("First: callboard config set cli_auth_credentials_store keyring")
        said[0] = "keyring"
        assert (await address.ask(MoveLogins(), LoginsMoved)).moved == ("openai",)
        assert await sent_key(address) == "Bearer sk-1"
    assert len(desktop.held) == 1


async def test_auto_leaves_no_login_behind_when_a_desktop_comes_or_goes(tmp_path: Path) -> None:
    desktop = Desktop()
    FileStore(ports_here().files, str(tmp_path)).save(vault(openai=key("sk-1")))
    async with desk(tmp_path, desktop, ["auto"]) as address:
        assert await sent_key(address) == "Bearer sk-1"
        assert (await address.ask(GetAccounts(), Accounts)).store.endswith(
            "A keyring answers here; to move them there: callboard login migrate --to keyring"
        )
        assert (await address.ask(MoveLogins(to="keyring"), LoginsMoved)).moved == ("openai",)
        assert await sent_key(address) == "Bearer sk-1"
    async with desk(tmp_path, None, ["auto"]) as address:
        assert await told(address) == (
            [],
            "Not in use: openai in the desktop's keyring. To move it here: callboard login migrate",
        )
        moved = await address.ask(MoveLogins(), LoginsMoved)
        assert (moved.error or "").startswith("no Secret Service answers here")
    async with desk(tmp_path, desktop, ["auto"]) as address:
        assert await sent_key(address) == "Bearer sk-1"


def test_the_register_knows_of_logins_and_nothing_secret_and_outlives_what_it_cannot_read() -> None:
    held = vault(openai=key("sk-secret", 1.0), chatgpt=tokens("at-secret", 2.0))
    known = register.with_store(register.Register(), "file", held)
    openai = Login(provider="openai", kind="api_key", store="file", at=1.0)
    chatgpt = Login(provider="chatgpt", kind="oauth", store="file", at=2.0)
    assert known.logins == (chatgpt, openai)
    assert b"secret" not in register.encode(known)
    assert register.decode(register.encode(known)) == known
    for garbage in (b"", b"{", b'{"logins": 1}', b"\xff", None):
        assert register.decode(garbage) == register.Register()
    memory = register.with_store(known, "ephemeral", vault(groq=key("k", 5.0)))
    assert {each.provider for each in register.counting(memory, since=5.0)} == {"openai", "chatgpt", "groq"}
    assert {each.provider for each in register.counting(memory, since=6.0)} == {"openai", "chatgpt"}
    assert register.with_store(memory, "file", Vault()).logins == memory.logins[-1:]
