"""account/*: who is logged in, logging in and out. The credentials actor does it; clients see no secret."""

from __future__ import annotations

from typing import Final, Literal, get_args

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from messages.client.account import (
    AccountBody,
    AccountReadParams,
    AccountReadResponse,
    AccountsResponse,
    AccountUpdated,
    ApiKeyAccount,
    ChatgptAccount,
    LoginCancelResponse,
    LoginCompleted,
    LoginIdParams,
    LoginPasteParams,
    LoginStartParams,
    LoginStartResponse,
    LogoutParams,
    LogoutReport,
    LogoutResponse,
    MigrateParams,
    MigrateResponse,
    NewThreads,
    PlanType,
)
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.client.listing import NoParams, Nothing
from messages.client.offers import AuthStatus, AuthStatusParams
from messages.credentials import (
    Account,
    Accounts,
    AwaitLogin,
    CancelLogin,
    CredentialState,
    EndLogin,
    GetAccounts,
    GetCredentialState,
    LoggedOut,
    LoginEnded,
    LoginMethod,
    LoginsMoved,
    LoginStarted,
    MoveLogins,
    PasteCode,
    SaveKey,
    SaveToken,
    SecretValue,
    StartLogin,
)
from messages.failure import Failure
from messages.settings import GetSettings, SettingsSnapshot

METHOD_OF: Final[dict[str, LoginMethod]] = {"chatgpt": "browser", "chatgptDeviceCode": "device", "paste": "paste"}
"""By the type of the request; `paste` is ours."""

DEFAULT_KEY_PROVIDER: Final = "openai"
DEFAULT_LOGIN_PROVIDER: Final = "chatgpt"


async def read(caller: Caller, _params: AccountReadParams) -> AccountReadResponse:
    accounts = (await caller.house.credentials.ask(GetAccounts(), Accounts)).accounts
    return AccountReadResponse(requires_openai_auth=False, account=_body(_main(accounts)))


async def auth_status(caller: Caller, _params: AuthStatusParams) -> AuthStatus:
    account = _main((await caller.house.credentials.ask(GetAccounts(), Accounts)).accounts)
    return AuthStatus(auth_method=_mode(account), auth_token=None, requires_openai_auth=False)


async def accounts(caller: Caller, _params: NoParams) -> AccountsResponse:
    found = await caller.house.credentials.ask(GetAccounts(), Accounts)
    return AccountsResponse(
        data=tuple(
            AccountBody(
                provider=each.provider,
                kind=each.kind,
                masked=each.masked,
                service=each.service,
                email=each.email,
                plan=each.plan,
                account_id=each.account_id,
                expires_at=each.expires_at,
                borrowed=each.borrowed,
                trouble=each.trouble,
            )
            for each in found.accounts
        ),
        store=found.store,
        elsewhere=found.elsewhere,
        new_threads=await _new_threads(caller, anybody=bool(found.accounts)),
    )


async def _new_threads(caller: Caller, *, anybody: bool) -> NewThreads:
    snapshot = await _settings_now(caller)
    provider, origin = snapshot.settings.model_provider, snapshot.origins.get("model_provider")
    state = await caller.house.credentials.ask(GetCredentialState(provider=provider), CredentialState)
    if origin is not None:
        because = f"{origin.where} says so"
    elif state.present and state.source is not None:
        because = state.source
    elif state.needed:
        because = "but there is no login for it here"
    else:
        nobody = "no login is to one whose models are known" if anybody else "nobody is logged in"
        because = f"no provider is set, no key is in the environment, and {nobody}"
    return NewThreads(provider=provider, model=snapshot.settings.model, because=because)


async def _settings_now(caller: Caller) -> SettingsSnapshot:
    """With the logins as they are: which there are decides what new threads use."""
    return await caller.house.settings.ask(GetSettings(fresh=True), SettingsSnapshot)


async def login(caller: Caller, params: LoginStartParams) -> LoginStartResponse:
    if params.type == "apiKey":
        key = SecretValue(params.api_key or "")
        provider = params.provider or DEFAULT_KEY_PROVIDER
        ended = await caller.house.credentials.ask(SaveKey(provider=provider, key=key), LoginEnded)
        if ended.error is not None:
            raise RpcError(INVALID_REQUEST, f"the key was not kept: {ended.error}")
        await _tell(caller, ended)
        return LoginStartResponse(type="apiKey")
    if params.type == "chatgptAuthTokens":
        provider = params.provider or DEFAULT_LOGIN_PROVIDER
        token = SaveToken(
            provider=provider,
            token=SecretValue(params.access_token or ""),
            account_id=params.chatgpt_account_id,
            plan=params.chatgpt_plan_type,
        )
        ended = await caller.house.credentials.ask(token, LoginEnded)
        if ended.error is not None:
            raise RpcError(INVALID_REQUEST, f"the token was not kept: {ended.error}")
        await _tell(caller, ended)
        return LoginStartResponse(type="chatgptAuthTokens")
    if params.type not in METHOD_OF:
        raise RpcError(
            INVALID_PARAMS,
            # not quoted: whoever mixes up two members has put the key here
            f"there is no login of this type; there are apiKey, chatgptAuthTokens, {', '.join(METHOD_OF)}",
        )
    provider = params.provider or DEFAULT_LOGIN_PROVIDER
    started = await caller.house.credentials.ask(
        StartLogin(provider=provider, method=METHOD_OF[params.type]), (LoginStarted, Failure)
    )
    if isinstance(started, Failure):
        raise RpcError(INVALID_REQUEST, started.message)
    caller.nursery.start_soon(_follow, caller, started.login_id)
    device = started.user_code is not None
    return LoginStartResponse(
        type=params.type,
        login_id=started.login_id,
        auth_url=None if device else started.url,
        verification_url=started.url if device else None,
        user_code=started.user_code,
    )


async def _follow(caller: Caller, login_id: str) -> None:
    ended = await caller.house.credentials.ask(AwaitLogin(login_id=login_id), LoginEnded)
    await _tell(caller, ended)


async def _tell(caller: Caller, ended: LoginEnded) -> None:
    if ended.error is None:
        await _settings_now(caller)
    completed = LoginCompleted(success=ended.error is None, login_id=ended.login_id, error=ended.error)
    caller.notify("account/login/completed", completed)
    if ended.error is None:
        await _tell_all(caller)


async def _tell_all(caller: Caller) -> None:
    account = _main((await caller.house.credentials.ask(GetAccounts(), Accounts)).accounts)
    plan = None if account is None or account.kind == "api_key" else _plan(account)
    caller.house.everywhere.account_changed(AccountUpdated(auth_mode=_mode(account), plan_type=plan))


async def cancel(caller: Caller, params: LoginIdParams) -> LoginCancelResponse:
    found = await caller.house.credentials.ask(CancelLogin(login_id=params.login_id), bool)
    return LoginCancelResponse(status="canceled" if found else "notFound")


async def paste(caller: Caller, params: LoginPasteParams) -> Nothing:
    message = PasteCode(login_id=params.login_id, code=SecretValue(params.code))
    if not await caller.house.credentials.ask(message, bool):
        raise RpcError(INVALID_REQUEST, "there is no such login; start it again")
    return Nothing()


async def logout(caller: Caller, params: LogoutParams) -> LogoutResponse:
    credentials = caller.house.credentials
    found = (await credentials.ask(GetAccounts(), Accounts)).accounts
    chosen = [each.provider for each in found if params.provider in (None, each.provider)]
    gone: list[str] = []
    warnings: list[str] = []
    for provider in chosen:
        done = await credentials.ask(EndLogin(provider=provider), LoggedOut)
        gone.append(provider)
        if done.warning is not None:
            warnings.append(f"{provider}: {done.warning}")
    if gone:
        await _settings_now(caller)
        await _tell_all(caller)
    return LogoutResponse(callboard=LogoutReport(providers=tuple(gone), warnings=tuple(warnings)))


async def migrate(caller: Caller, params: MigrateParams) -> MigrateResponse:
    done = await caller.house.credentials.ask(MoveLogins(to=params.to), LoginsMoved)
    if done.error is not None:
        raise RpcError(INVALID_REQUEST, done.error)
    return MigrateResponse(providers=done.moved, replaced=done.replaced, store=done.store)


def _main(found: tuple[Account, ...]) -> Account | None:
    """The one that clients of this wire, which know one account, are told of."""
    order = {"chatgpt": 0, "openai": 1}
    return min(found, key=lambda each: (order.get(each.provider, 2), each.provider), default=None)


def _body(account: Account | None) -> ApiKeyAccount | ChatgptAccount | None:
    if account is None:
        return None
    if account.kind == "api_key":
        return ApiKeyAccount()
    return ChatgptAccount(email=account.email, plan_type=_plan(account))


def _mode(account: Account | None) -> Literal["apikey", "chatgpt", "chatgptAuthTokens"] | None:
    if account is None or account.kind == "api_key":
        return None if account is None else "apikey"
    return "chatgptAuthTokens" if account.borrowed else "chatgpt"


def _plan(account: Account) -> PlanType:
    return next((plan for plan in get_args(PlanType) if plan == account.plan), "unknown")


METHODS = (
    method("account/read", AccountReadParams, read),
    method("account/login/start", LoginStartParams, login),
    method("account/login/cancel", LoginIdParams, cancel),
    method("account/logout", LogoutParams, logout),
    method("getAuthStatus", AuthStatusParams, auth_status),
    method("callboard/accounts", NoParams, accounts),
    method("callboard/login/paste", LoginPasteParams, paste),
    method("callboard/login/migrate", MigrateParams, migrate),
)
