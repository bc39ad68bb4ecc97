"""``callboard login`` and ``logout``: who the daemon is to its providers. The daemon does it; this asks and shows.

A secret is read from standard input or typed unseen, sent to the daemon, and not kept here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

import msgspec
import trio
from rich.text import Text

from actors.console import home as homes
from actors.console.borrowed import attached
from actors.console.client import Client, WireError, leaves
from actors.console.config import CODEX_HOME
from actors.console.screen import Screen
from actors.console.unseen import typed_unseen
from actors.credentials import foreign
from actors.model_stream.catalogue import default_model

OK, FAILED, USAGE = 0, 1, 2

KEY_PROVIDER, LOGIN_PROVIDER = "openai", "chatgpt"
"""Who is meant where nobody is named."""

CANCEL_SECONDS = 1.0
"""For the daemon to hear that a login is given up."""

MINUTE, HOUR, DAY = 60, 3600, 86400


async def run(options: argparse.Namespace) -> int:
    """The exit code. Raises NotReachableError."""
    wrong = _wrong(options)
    if wrong is not None:
        print(f"callboard login: {wrong}", file=sys.stderr)
        return USAGE
    refused: list[str] = []
    code = FAILED
    try:
        code = await _run(options)
    except* WireError as group:
        # Which request it was says nothing to whoever wants to log in.
        refused = [error.reason for error in leaves(group) if isinstance(error, WireError)]
    for reason in refused:
        print(f"callboard: {reason}", file=sys.stderr)
    return code


async def _run(options: argparse.Namespace) -> int:
    key = None
    if options.verb == "login" and options.action is None and options.with_api_key:
        # Before anything is started: whoever gives up here leaves nothing behind.
        key = await _given_key(options.provider or KEY_PROVIDER)
        if key is None:
            return FAILED
    async with attached(homes.home(), "callboard-login", flags=options.serve_flags) as client:
        if options.verb == "logout":
            return await _logout(client, options.provider)
        if options.action == "status":
            return await _status(client, as_json=options.json)
        if options.action == "import":
            return await _import(client, options.file, options.provider, borrow=options.borrow)
        if options.action == "migrate":
            return await _migrate(client, options.to)
        if key is not None:
            return await _keep_key(client, options.provider or KEY_PROVIDER, key)
        method = "chatgptDeviceCode" if options.device_auth else "paste" if options.token else "chatgpt"
        return await _login(client, options.provider or LOGIN_PROVIDER, method)


def _wrong(options: argparse.Namespace) -> str | None:
    """What on the command line does not go together."""
    if options.verb == "logout" or options.action is None:
        return None
    ways = {"--with-api-key": options.with_api_key, "--device-auth": options.device_auth, "--token": options.token}
    given = [flag for flag, is_given in ways.items() if is_given]
    if given:
        return f"{options.action} takes no {given[0]}"
    if options.provider and options.action in ("status", "migrate"):
        return f"{options.action} takes no --provider; it is about all logins"
    return None


async def _given_key(provider: str) -> str | None:
    if sys.stdin.isatty():
        key = await typed_unseen(f"API key for {provider} (not shown): ")
    else:
        key = await trio.to_thread.run_sync(_piped)
    if key.strip():
        return key.strip()
    where = "typed" if sys.stdin.isatty() else "provided via stdin"
    print(f"callboard: No API key {where}.", file=sys.stderr)
    return None


def _piped() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


async def _keep_key(client: Client, provider: str, key: str) -> int:
    await client.request("account/login/start", {"type": "apiKey", "apiKey": key, "provider": provider})
    return await _kept(client, provider, f"The key for {provider} is kept.")


async def _import(client: Client, file: str | None, provider: str | None, *, borrow: bool) -> int:
    path = Path(file) if file else Path(os.environ.get(CODEX_HOME) or Path.home() / ".codex") / "auth.json"
    try:
        with path.open("rb") as opened:
            found = foreign.read(opened.read(foreign.FILE_BYTES_MAX + 1))
    except OSError as error:
        print(f"callboard: {path} cannot be read: {error.strerror}", file=sys.stderr)
        return FAILED
    except foreign.ForeignError as error:
        print(f"callboard: nothing is taken over from {path}: {error}", file=sys.stderr)
        return FAILED
    if found.key is None and (found.login is None or not borrow):
        why = "there is no API key in it, and no login" if found.login is None else foreign.TOKENS_STAY
        print(f"callboard: nothing is taken over from {path}: {why}", file=sys.stderr)
        return FAILED
    code = OK
    if found.login is not None and borrow:
        code = await _borrow(client, found.login, provider or LOGIN_PROVIDER, path)
    elif found.login is not None:
        print(f"callboard: only its API key is taken over from {path}: {foreign.TOKENS_STAY}", file=sys.stderr)
    if found.key is not None:
        # With --provider and both in the file, that is whose login is borrowed.
        named = provider if found.login is None or not borrow else None
        code = await _keep_key(client, named or KEY_PROVIDER, found.key.reveal()) or code
    return code


async def _borrow(client: Client, login: foreign.Borrowable, provider: str, path: Path) -> int:
    params = {
        "type": "chatgptAuthTokens",
        "provider": provider,
        "accessToken": login.token.reveal(),
        "chatgptAccountId": login.account_id,
    }
    await client.request("account/login/start", {name: value for name, value in params.items() if value is not None})
    return await _kept(
        client,
        provider,
        f"The login for {provider} is borrowed from {path}: its token is used here until it ends, and neither renewed\n"
        "nor revoked, which would log the other program out. When it has ended, use that program, and import again.",
    )


async def _migrate(client: Client, to: str | None) -> int:
    done = await client.request("callboard/login/migrate", {"to": to})
    for provider in done["replaced"]:
        print(f"{provider}: there was a login in both places; the older one is gone", file=sys.stderr)
    if done["providers"]:
        print(f"Moved: {', '.join(done['providers'])}. {done['store']}")
    else:
        print(f"There is nothing to move. {done['store']}")
    return OK


async def _kept(client: Client, provider: str, done: str) -> int:
    found = await client.request("callboard/accounts")
    print(f"{done} {found['store']}")
    _tell_of_others(found)
    _tell_of_new_threads(found, wanted=provider)
    return OK


def _tell_of_others(found: dict[str, Any]) -> None:
    if found["elsewhere"] is not None:
        print(found["elsewhere"])


def _tell_of_new_threads(found: dict[str, Any], *, wanted: str | None = None) -> None:
    """What threads use that name no provider; and how to make that another one."""
    chosen = found["newThreads"]
    print(f"New threads use {chosen['provider']}, model {chosen['model']} ({chosen['because']}).")
    if wanted is not None and wanted != chosen["provider"]:
        print(f"To use {wanted}: callboard config set model_provider {wanted}")
        if default_model(wanted) is None:
            print(f"and a model of its own: callboard config set model NAME (see callboard models --provider {wanted})")


async def _login(client: Client, provider: str, method: str) -> int:
    console = Screen()
    started = await client.request("account/login/start", {"type": method, "provider": provider})
    try:
        if started.get("userCode"):
            page = Text.assemble("Open ", (started["verificationUrl"], "bold"), " on any device and type")
            console.print(page, soft_wrap=True)
            console.print(Text(f"\n    {started['userCode']}\n", style="bold"))
        else:
            console.print("Open this page to log in:")
            print(f"\n{started['authUrl']}\n", flush=True)
            if method == "chatgpt" and sys.stdout.isatty():
                await trio.to_thread.run_sync(webbrowser.open, started["authUrl"])
        if method == "paste":
            code = await _pasted()
            await client.request("callboard/login/paste", {"loginId": started["loginId"], "code": code})
        with console.status("waiting for the login …"):
            ended = await _completed(client, started["loginId"])
    except BaseException:
        # Given up: the port it waits on is wanted by the next one.
        with trio.move_on_after(CANCEL_SECONDS, shield=True):
            await client.request("account/login/cancel", {"loginId": started["loginId"]})
        raise
    if not ended["success"]:
        print(f"callboard: not logged in: {ended['error']}", file=sys.stderr)
        return FAILED
    return await _kept(client, provider, f"Logged in to {provider}.")


async def _pasted() -> str:
    if sys.stdin.isatty():
        return await typed_unseen("Paste the code the page shows (not shown): ")
    line: str = await trio.to_thread.run_sync(sys.stdin.readline)
    return line.strip()


async def _completed(client: Client, login_id: str) -> dict[str, Any]:
    async for message in client.incoming():
        if message.method == "account/login/completed" and message.params["loginId"] == login_id:
            ended: dict[str, Any] = message.params
            return ended
    raise WireError("account/login/completed", 0, "the daemon closed the connection before the login ended")


async def _status(client: Client, *, as_json: bool) -> int:
    found = await client.request("callboard/accounts")
    code = OK if found["data"] else FAILED
    if as_json:
        print(msgspec.json.encode(found).decode())
        return code
    for account in found["data"]:
        print(_line(account))
    if not found["data"]:
        print("Not logged in")
    print(found["store"])
    _tell_of_others(found)
    _tell_of_new_threads(found)
    return code


def _line(account: dict[str, Any]) -> str:
    if account["kind"] == "api_key":
        return f"{account['provider']}: API key configured - {account['masked']}"
    who = f" as {account['email']}" if account.get("email") else ""
    claims = [
        *([f"plan {account['plan']}"] if account.get("plan") else []),
        *([f"account {account['accountId']}"] if account.get("accountId") else []),
    ]
    more = f" ({', '.join(claims)})" if claims else ""
    if account.get("trouble"):
        return f"{account['provider']}: log in again{who}: {account['trouble']}"
    whose = "another program's token" if account.get("borrowed") else "token"
    until = _until(account.get("expiresAt"), whose)
    return f"{account['provider']}: logged in{who}{more}{until}"


def _until(ends: float | None, whose: str) -> str:
    if ends is None:
        return "" if whose == "token" else f", {whose}"
    left = ends - time.time()
    if left <= 0:
        return f", {whose} has ended"
    amount = (
        f"{left / DAY:.0f} days" if left >= 2 * DAY else f"{left / HOUR:.0f} h" if left >= 2 * HOUR else _minutes(left)
    )
    return f", {whose} good for {amount}"


def _minutes(left: float) -> str:
    return f"{max(1, round(left / MINUTE))} min"


async def _logout(client: Client, provider: str | None) -> int:
    done = (await client.request("account/logout", {"provider": provider}))["callboard"]
    for warning in done.get("warnings", ()):
        print(f"callboard: {warning}", file=sys.stderr)
    print(f"Successfully logged out of {', '.join(done['providers'])}" if done["providers"] else "Not logged in")
    _tell_of_others(await client.request("callboard/accounts"))  # what lies in another store is still there
    return OK
