"""``callboard login`` and ``logout``: who the daemon is to its providers. The daemon does it; this asks and shows.

A secret is read from standard input or typed unseen, sent to the daemon, and not kept here.
"""

from __future__ import annotations

import argparse
import getpass
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
from actors.console.client import Client, WireError
from actors.console.config import CODEX_HOME
from actors.console.screen import Screen
from actors.credentials import foreign

OK, FAILED = 0, 1


async def run(options: argparse.Namespace) -> int:
    """The exit code. Raises NotReachableError, WireError."""
    async with attached(homes.home(), "callboard-login") as client:
        if options.verb == "logout":
            return await _logout(client, options.provider)
        if options.action == "status":
            return await _status(client, as_json=options.json)
        if options.action == "import":
            return await _import(client, options.file, options.provider or "openai")
        if options.with_api_key:
            return await _keep_key(client, options.provider or "openai")
        method = "chatgptDeviceCode" if options.device_auth else "paste" if options.token else "chatgpt"
        return await _login(client, options.provider or "chatgpt", method)


async def _keep_key(client: Client, provider: str) -> int:
    if sys.stdin.isatty():
        key = await trio.to_thread.run_sync(getpass.getpass, f"API key for {provider} (not shown): ")
    else:
        key = await trio.to_thread.run_sync(sys.stdin.read)
    if not key.strip():
        print("callboard: No API key provided via stdin.", file=sys.stderr)
        return FAILED
    return await _kept(client, provider, key.strip())


async def _import(client: Client, file: str | None, provider: str) -> int:
    path = Path(file) if file else Path(os.environ.get(CODEX_HOME) or Path.home() / ".codex") / "auth.json"
    try:
        with path.open("rb") as opened:
            data = opened.read(foreign.FILE_BYTES_MAX + 1)
        key, word = foreign.api_key(data)
    except OSError as error:
        print(f"callboard: {path} cannot be read: {error.strerror}", file=sys.stderr)
        return FAILED
    except foreign.ForeignError as error:
        print(f"callboard: nothing is taken over from {path}: {error}", file=sys.stderr)
        return FAILED
    if word is not None:
        print(f"callboard: only its API key is taken over from {path}: {word}", file=sys.stderr)
    return await _kept(client, provider, key.reveal())


async def _kept(client: Client, provider: str, key: str) -> int:
    await client.request("account/login/start", {"type": "apiKey", "apiKey": key, "provider": provider})
    found = await client.request("callboard/accounts")
    print(f"The key for {provider} is kept. {found['store']}")
    print(f"To use it for new threads: callboard config set model_provider {provider}")
    return OK


async def _login(client: Client, provider: str, method: str) -> int:
    console = Screen()
    started = await client.request("account/login/start", {"type": method, "provider": provider})
    if started.get("userCode"):
        console.print(Text.assemble("Open ", (started["verificationUrl"], "bold"), " on any device and type"))
        console.print(Text(f"\n    {started['userCode']}\n", style="bold"))
    else:
        console.print("Open this page to log in:")
        print(f"\n{started['authUrl']}\n")
        if method == "chatgpt" and sys.stdout.isatty():
            await trio.to_thread.run_sync(webbrowser.open, started["authUrl"])
    if method == "paste":
        code = await trio.to_thread.run_sync(getpass.getpass, "Paste the code the page shows (not shown): ")
        await client.request("callboard/login/paste", {"loginId": started["loginId"], "code": code})
    with console.status("waiting for the login …"):
        ended = await _completed(client, started["loginId"])
    if not ended["success"]:
        print(f"callboard: not logged in: {ended['error']}", file=sys.stderr)
        return FAILED
    found = await client.request("callboard/accounts")
    print(f"Logged in to {provider}. {found['store']}")
    print(f"To use it for new threads: callboard config set model_provider {provider}")
    return OK


async def _completed(client: Client, login_id: str) -> dict[str, Any]:
    async for message in client.incoming():
        if message.method == "account/login/completed" and message.params["loginId"] == login_id:
            ended: dict[str, Any] = message.params
            return ended
    raise WireError("account/login/completed", 0, "the daemon closed the connection before the login ended")


async def _status(client: Client, *, as_json: bool) -> int:
    found = await client.request("callboard/accounts")
    if as_json:
        print(msgspec.json.encode(found).decode())
        return OK if found["data"] else FAILED
    if not found["data"]:
        print("Not logged in")
        return FAILED
    for account in found["data"]:
        print(_line(account))
    print(found["store"])
    return OK


def _line(account: dict[str, Any]) -> str:
    if account["kind"] == "api_key":
        return f"{account['provider']}: API key configured - {account['masked']}"
    who = f" as {account['email']}" if account.get("email") else ""
    plan = f" ({account['plan']})" if account.get("plan") else ""
    if account.get("trouble"):
        return f"{account['provider']}: log in again{who}: {account['trouble']}"
    ends = account.get("expiresAt")
    until = "" if ends is None else f", token good for {max(0, round((ends - time.time()) / 60))} min"
    return f"{account['provider']}: logged in{who}{plan}{until}"


async def _logout(client: Client, provider: str | None) -> int:
    done = (await client.request("account/logout", {"provider": provider}))["callboard"]
    for warning in done.get("warnings", ()):
        print(f"callboard: {warning}", file=sys.stderr)
    print(f"Successfully logged out of {', '.join(done['providers'])}" if done["providers"] else "Not logged in")
    return OK
