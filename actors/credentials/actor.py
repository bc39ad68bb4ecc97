"""The credentials actor: the only holder of secrets. What leaves it is headers for one request.

It keeps the logins of the store in memory, renews a token once for all who wait for it, asks a provider's program, and
runs the logins under way. Everything that waits is a child of its own; the mailbox never does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import assert_never

import msgspec
import trio

from actors.credentials import core, oauth, register, services
from actors.credentials.entries import Entry, KeyEntry, TokenEntry, Vault
from actors.credentials.flows import Flow
from actors.credentials.keeping import Keeper, Posts, Refreshed
from actors.credentials.services import Service, UnknownServiceError
from actors.credentials.stores import Store, StoreError
from actors.credentials.stores.choosing import Chosen
from actors.kernel import Context, Mailbox, Reply
from actors.kernel import Service as ServiceName
from actors.ports import Ports
from actors.ports.processes import SpawnError
from actors.tool_worker.programs import ProgramTimeoutError, run_program
from messages.credentials import (
    Accounts,
    AwaitLogin,
    CancelLogin,
    CredentialsRequest,
    EndLogin,
    GetAccounts,
    GetCredentialState,
    GetHeaders,
    Headers,
    LoggedOut,
    Login,
    LoginEnded,
    LoginsMoved,
    LoginStarted,
    MoveLogins,
    PasteCode,
    SaveKey,
    SaveToken,
    SecretValue,
    StartLogin,
    StoreChoice,
    StoreKind,
)
from messages.failure import Failure
from messages.settings import AuthCommand, OAuthSettings, ProviderSettings

CREDENTIALS: ServiceName[CredentialsRequest] = ServiceName("credentials")

ENDED_KEPT = 64
"""Ends of logins that somebody may still ask for."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the actor works with."""

    ports: Ports
    home: str
    providers: Mapping[str, ProviderSettings]
    services: Callable[[], Mapping[str, OAuthSettings]]
    environment: Mapping[str, str]
    open_store: Callable[[StoreChoice], Chosen]
    """Blocking. Raises StoreError."""
    choice: Callable[[], Awaitable[StoreChoice]]
    """What the settings say now. Asked when a store is opened; one that is open stays in use until logins are moved."""
    posts: Posts


async def run(ctx: Context, means: Means, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Answer until cancelled."""
    mailbox: Mailbox[CredentialsRequest] = ctx.open_mailbox()
    async with trio.open_nursery() as nursery:
        desk = Desk(means, nursery)
        ctx.publish(CREDENTIALS, mailbox.address)
        ctx.state = "serving"
        task_status.started()
        while True:
            for message, reply in await mailbox.receive():
                if reply is not None:
                    desk.take(message, reply)


class Desk:
    """One life of the actor. The store is opened when the first answer needs it: most daemons only use the environment,
    and a keyring may ask its owner to unlock it."""

    def __init__(self, means: Means, nursery: trio.Nursery) -> None:
        self._means = means
        self._nursery = nursery
        self._held: dict[str, core.Held] = {}
        self._keeper: Keeper | None = None
        self._where = ""
        self._elsewhere: tuple[Login, ...] = ()
        """What lies in another store than the one in use."""
        self._registered: frozenset[str] | None = None
        """Of which providers the register knew a login when it was read, before the store was opened."""
        self._opening = trio.Lock()
        self._trouble: str | None = None
        self._waiting: dict[str, list[tuple[GetHeaders, Reply, Headers | None]]] = {}
        """Who waits for a token that is being renewed."""
        self._printed: dict[str, tuple[SecretValue, float]] = {}
        self._asking: dict[str, list[tuple[GetHeaders, Reply]]] = {}
        self._flows: dict[str, tuple[Flow, trio.CancelScope]] = {}
        self._ended: dict[str, LoginEnded] = {}
        self._watching: dict[str, list[Reply]] = {}

    def take(self, message: CredentialsRequest, reply: Reply) -> None:
        """One request; whatever has to wait is handed to a task."""
        match message:
            case GetHeaders():
                if self._needs_store(message.provider):
                    self._nursery.start_soon(self._after_opening, message, reply)
                else:
                    self._headers(message, reply)
            case GetCredentialState() | GetAccounts():
                self._nursery.start_soon(self._after_opening, message, reply)
            case SaveKey():
                self._nursery.start_soon(self._save_key, message, reply)
            case SaveToken():
                self._nursery.start_soon(self._save_token, message, reply)
            case StartLogin():
                self._nursery.start_soon(self._login, message, reply)
            case PasteCode():
                flow = self._flows.get(message.login_id)
                if flow is not None:
                    flow[0].paste(message.code)
                reply.answer(flow is not None)
            case AwaitLogin():
                self._await_login(message.login_id, reply)
            case CancelLogin():
                flow = self._flows.get(message.login_id)
                if flow is not None:
                    flow[1].cancel()
                reply.answer(flow is not None)
            case EndLogin():
                self._nursery.start_soon(self._end_login, message.provider, reply)
            case MoveLogins():
                self._nursery.start_soon(self._move, message.to, reply)
            case _:
                assert_never(message)

    # --- headers ----------------------------------------------------------------------------------------------------

    def _needs_store(self, provider_id: str) -> bool:
        if self._keeper is not None:
            return False
        decision = self._decide(GetHeaders(provider=provider_id))
        return isinstance(decision, Failure) or (isinstance(decision, Headers) and self._may_hold(provider_id))

    def _may_hold(self, provider_id: str) -> bool:
        """Whether the store can make a difference to headers that do without it."""
        has_key = core.has_key(provider_id, self._means.providers.get(provider_id), self._means.environment)
        return not has_key and (self._registered is None or provider_id in self._registered)

    async def _keyless(self, message: GetHeaders) -> bool:
        """Whether the store need not be opened for a provider that wants no key, as the register says."""
        if isinstance(self._decide(message), Failure):
            return False
        if self._registered is None:
            means = self._means
            found = await means.ports.threads.run(register.read, means.ports.files, means.home)
            self._registered = frozenset(login.provider for login in found.logins)
        return message.provider not in self._registered

    async def _after_opening(self, message: GetHeaders | GetCredentialState | GetAccounts, reply: Reply) -> None:
        if not (isinstance(message, GetHeaders) and await self._keyless(message)):
            with contextlib.suppress(StoreError):  # remembered in `_trouble`, and said where it matters
                await self._open()
        match message:
            case GetHeaders():
                self._headers(message, reply)
            case GetCredentialState(provider=name):
                means = self._means
                reply.answer(core.state(name, means.providers.get(name), means.environment, self._held.get(name)))
            case GetAccounts():
                accounts = tuple(core.account(name, held) for name, held in sorted(self._held.items()))
                told = register.advice(self._elsewhere)
                reply.answer(Accounts(accounts=accounts, store=self._trouble or self._where, elsewhere=told))

    def _decide(self, message: GetHeaders) -> core.Decision:
        means, now = self._means, self._means.ports.clock.now()
        name = message.provider
        printed = self._printed.get(name)
        return core.decide(
            name,
            means.providers.get(name),
            means.environment,
            self._held.get(name),
            now=now,
            rejected=message.rejected,
            printed=None if printed is None or now >= printed[1] else printed[0],
        )

    def _headers(self, message: GetHeaders, reply: Reply) -> None:
        name = message.provider
        match self._decide(message):
            case Headers() as headers:
                reply.answer(headers)
            case Failure() as failure:
                lying = tuple(login for login in self._elsewhere if login.provider == name)
                more = self._trouble or register.advice(lying)
                text = failure.message if more is None else f"{failure.message} ({more})"
                reply.answer(msgspec.structs.replace(failure, message=text))
            case core.AskCommand(command=command):
                waiting = self._asking.setdefault(name, [])
                waiting.append((message, reply))
                if len(waiting) == 1:
                    self._nursery.start_soon(self._ask_command, name, command)
            case core.Renew(meanwhile=meanwhile):
                queue = self._waiting.setdefault(name, [])
                queue.append((message, reply, meanwhile))
                if len(queue) == 1:
                    self._nursery.start_soon(self._renew, name)

    async def _renew(self, name: str) -> None:
        """Once for everybody who waits."""
        held = self._held.get(name)
        if held is None or not isinstance(held.entry, TokenEntry):  # it was ended, or a key has come in its place
            for message, reply, _ in self._waiting.pop(name):
                self._headers(GetHeaders(provider=message.provider), reply)
            return
        try:
            refreshed = await self._refreshed(name, held.entry)
        except (StoreError, oauth.OAuthError, UnknownServiceError) as error:
            refreshed = Refreshed(entry=held.entry, error=str(error))
        renewed = refreshed.error is None
        if name in self._held:
            self._held[name] = core.Held(
                entry=refreshed.entry,
                generation=held.generation + renewed,
                trouble=refreshed.error if refreshed.permanent else None,
            )
        for message, reply, meanwhile in self._waiting.pop(name):
            if renewed or refreshed.permanent:
                self._headers(GetHeaders(provider=message.provider), reply)
            elif meanwhile is not None:
                reply.answer(meanwhile)
            else:
                text = f"The login of {name!r} could not be renewed: {refreshed.error}."
                reply.answer(Failure(kind="connection", message=text, retryable=True))

    async def _refreshed(self, name: str, entry: TokenEntry) -> Refreshed:
        assert self._keeper is not None
        service = services.service(entry.service, self._means.services())
        return await self._keeper.refresh(name, entry, service, self._means.posts)

    async def _ask_command(self, name: str, command: AuthCommand) -> None:
        means = self._means
        failure: Failure | None = None
        try:
            ran = await run_program(
                means.ports.processes,
                (command.command, *command.args),
                cwd=means.home,
                environment=means.environment,
                seconds=command.timeout_ms / 1000,
                limit=64 * 1024,
            )
            token = ran.output.decode("utf-8", "replace").strip()
            why = f"ended with {ran.code}" if ran.code else core.unusable(token)
            if why is not None:
                failure = self._silent(name, command, f"it {why}" if ran.code else f"what it printed {why}")
            else:
                until = means.ports.clock.now() + command.refresh_interval_ms / 1000
                self._printed[name] = (SecretValue(token), until)
        except (SpawnError, ProgramTimeoutError) as error:
            failure = self._silent(name, command, str(error))
        for message, reply in self._asking.pop(name):
            if failure is not None:
                reply.answer(failure)
            else:
                self._headers(message, reply)

    def _silent(self, name: str, command: AuthCommand, why: str) -> Failure:
        text = f"Provider {name!r} gets its token from {command.command}, and {why}."
        return Failure(kind="missing_key", message=text)

    # --- logins -----------------------------------------------------------------------------------------------------

    async def _open(self) -> Keeper:
        """The store, opened and read. Raises StoreError."""
        async with self._opening:
            if self._keeper is None:
                means = self._means
                try:
                    chosen = await means.ports.threads.run(means.open_store, await means.choice())
                    keeper = Keeper(means.ports, chosen.store, means.home)
                    await self._take_store(keeper, chosen.why, await keeper.begin())
                except StoreError as error:
                    self._trouble = str(error)
                    raise
                self._keeper = keeper
        return self._keeper

    async def _take_store(self, keeper: Keeper, why: str, vault: Vault) -> None:
        before = self._held
        self._where, self._trouble = why, None
        self._held = {
            name: core.Held(entry=entry, generation=before[name].generation + 1 if name in before else 0)
            for name, entry in vault.entries.items()
        }
        self._elsewhere = register.elsewhere((await keeper.register()).logins, keeper.store.kind)

    async def _move(self, to: StoreKind | None, reply: Reply) -> None:
        means = self._means
        try:
            async with self._opening:
                choice = await means.choice()
                if to is not None and choice not in (to, "auto"):
                    reply.answer(LoginsMoved(error=core.other_store(choice, to)))
                    return
                target = await means.ports.threads.run(means.open_store, to or choice)
                keeper = self._keeper or Keeper(means.ports, target.store, means.home)
                moved = await keeper.move_to(target.store, await self._sources(keeper, target.kind))
                # Chosen once more: why a store is in use may be another reason now.
                why = (await means.ports.threads.run(means.open_store, choice)).why
                self._keeper = keeper
                await self._take_store(keeper, why, await keeper.begin())
        except StoreError as error:
            reply.answer(LoginsMoved(error=str(error)))
            return
        reply.answer(LoginsMoved(moved=moved.providers, replaced=moved.replaced, store=self._where))

    async def _sources(self, keeper: Keeper, target: StoreKind) -> tuple[Store, ...]:
        """The stores that hold logins beside that one. Raises StoreError if one of them cannot be opened."""
        means = self._means
        kinds = {login.store for login in (await keeper.register()).logins} - {target, "ephemeral"}
        found = [(await means.ports.threads.run(means.open_store, kind)).store for kind in sorted(kinds)]
        if self._keeper is not None and self._keeper.store.kind not in (target, *kinds):
            found.append(self._keeper.store)
        return tuple(found)

    async def _keep(self, name: str, entry: Entry) -> str | None:
        """Store a login; why that did not work, None if it did."""
        try:
            await (await self._open()).put(name, entry)
        except StoreError as error:
            return str(error)
        before = self._held.get(name)
        self._held[name] = core.Held(entry=entry, generation=0 if before is None else before.generation + 1)
        return None

    async def _save_key(self, message: SaveKey, reply: Reply) -> None:
        key = SecretValue(message.key.reveal().strip())
        why = core.unusable(key.reveal())
        error = f"the key {why}" if why is not None else None
        if error is None and message.provider not in self._means.providers:
            known = ", ".join(sorted(self._means.providers))
            error = f"there is no provider {message.provider!r}; known are {known}"
        if error is None:
            error = await self._keep(message.provider, KeyEntry(key=key, saved_at=self._means.ports.clock.now()))
        reply.answer(LoginEnded(error=error, store=self._where))

    async def _save_token(self, message: SaveToken, reply: Reply) -> None:
        name = message.provider
        provider = self._means.providers.get(name)
        token = SecretValue(message.token.reveal().strip())
        why = core.unusable(token.reveal())
        error = None if why is None else f"the token {why}"
        if error is None and (provider is None or provider.oauth is None):
            error = f"provider {name!r} takes no login"
        if error is None and provider is not None and provider.oauth is not None:
            now = self._means.ports.clock.now()
            entry = oauth.borrowed(provider.oauth, token, account_id=message.account_id, plan=message.plan, now=now)
            over = now >= core.ends_at(entry)
            error = "the token has ended already" if over else await self._keep(name, entry)
        reply.answer(LoginEnded(error=error, store=self._where))

    async def _login(self, message: StartLogin, reply: Reply) -> None:
        means, name = self._means, message.provider
        try:
            service = self._service_of(name)
        except UnknownServiceError as error:
            reply.answer(Failure(kind="missing_key", message=str(error)))
            return
        login_id = means.ports.entropy.uuid7()
        told = False

        def tell(started: LoginStarted) -> None:
            nonlocal told
            told = True
            reply.answer(started)

        flow = Flow(means.ports, means.posts, service, login_id, tell)
        steps = {"browser": flow.browser, "device": flow.device, "paste": flow.paste_back}
        scope = trio.CancelScope()
        self._flows[login_id] = (flow, scope)
        why: str | None = "the login was given up"
        try:
            with scope:
                entry = await steps[message.method]()
                why = await self._keep(name, entry)
        except (oauth.OAuthError, UnknownServiceError) as refused:
            why = str(refused)
        finally:
            del self._flows[login_id]
        if not told:
            reply.answer(Failure(kind="missing_key", message=why or "the login ended before it began"))
            return
        self._note_end(login_id, LoginEnded(login_id=login_id, error=why, store=self._where))

    def _service_of(self, name: str) -> Service:
        provider = self._means.providers.get(name)
        if provider is None:
            known = ", ".join(sorted(each for each, it in self._means.providers.items() if it.oauth is not None))
            raise UnknownServiceError(f"there is no provider {name!r}; one can log in to: {known}")
        if provider.oauth is None:
            raise UnknownServiceError(f"provider {name!r} takes a key, not a login: add --with-api-key")
        return services.service(provider.oauth, self._means.services())

    def _note_end(self, login_id: str, ended: LoginEnded) -> None:
        self._ended[login_id] = ended
        while len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        for reply in self._watching.pop(login_id, ()):
            reply.answer(ended)

    def _await_login(self, login_id: str, reply: Reply) -> None:
        if login_id in self._ended:
            reply.answer(self._ended[login_id])
        elif login_id in self._flows:
            self._watching.setdefault(login_id, []).append(reply)
        else:
            reply.answer(LoginEnded(login_id=login_id, error="there is no such login"))

    async def _end_login(self, name: str, reply: Reply) -> None:
        warning: str | None = None
        try:
            keeper = await self._open()
            held = self._held.get(name)
            if held is None:
                reply.answer(LoggedOut(was_in=False))
                return
            await keeper.put(name, None)
            self._held.pop(name, None)
            if isinstance(held.entry, TokenEntry):
                warning = await self._revoke(held.entry)
        except StoreError as error:
            reply.answer(LoggedOut(was_in=True, warning=f"still logged in: {error}"))
            return
        reply.answer(LoggedOut(was_in=True, warning=warning))

    async def _revoke(self, entry: TokenEntry) -> str | None:
        try:
            asked = oauth.revocation(services.service(entry.service, self._means.services()), entry)
            if asked is None:
                return None
            status, _ = await self._means.posts.post(asked)
        except (oauth.OAuthError, UnknownServiceError) as error:
            return f"its server was not told: {error}"
        return None if status == 200 else f"its server did not take the token back (HTTP status {status})"


def means_of(
    ports: Ports,
    *,
    home: str,
    providers: Mapping[str, ProviderSettings],
    oauth_settings: Callable[[], Mapping[str, OAuthSettings]],
    environment: Mapping[str, str],
    choice: Callable[[], Awaitable[StoreChoice]],
    posts: Posts,
) -> Means:
    """The production means."""
    from actors.credentials.stores import choosing
    from actors.credentials.stores.keyring import secret_service

    return Means(
        ports=ports,
        home=home,
        providers=providers,
        services=oauth_settings,
        environment=environment,
        open_store=lambda kind: choosing.choose(kind, ports.files, home, secret_service),
        choice=choice,
        posts=posts,
    )
