"""Secrets stay where they belong, through every way to log in, renewal, refusal and logout, with an authorization
server, a model and a backend that say everything back: see `tests.system.test_canaries`."""

from __future__ import annotations

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trio

from tests.actors.credentials.authority import CLIENT, Authority
from tests.actors.credentials.test_logins import visit
from tests.system.canaries import Canaries
from tests.system.canary_house import House, canary_house
from tests.system.deadline import deadline
from tests.system.peer import Peer, RpcFailedError
from tests.system.quoting import QuotingProvider, quoting_provider


class LeakyAuthority(Authority):
    """Codes and tokens are canaries; with ``quotes`` each request is refused in its own words."""

    def __init__(self, canaries: Canaries) -> None:
        super().__init__()
        self._made: Counter[str] = Counter()
        self._canaries = canaries
        self.mint = self._mint
        self.approve_after_polls = 0
        self.quotes = False

    def _mint(self, kind: str) -> str:
        self._made[kind] += 1
        name = f"{kind} {self._made[kind]}"
        return self._canaries.plain(name) if kind == "id" else self._canaries[name]

    def post(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if not self.quotes:
            super().post(handler, body)
            return
        asked = body.decode()
        self.verifiers += parse_qs(asked).get("code_verifier", [])
        token = next((word for word in asked.replace("&", "=").split("=") if "qzjx" in word), "nothing")
        self._answer(handler, 400, {"error": token, "error_description": asked, "error_uri": asked})


def config(house: House, authority: Authority, provider: QuotingProvider) -> str:
    def service(name: str) -> str:
        return f"""
[oauth.{name}]
client_id = "{CLIENT}"
authorize_url = "{authority.url}/authorize"
token_url = "{authority.url}/token"
revoke_url = "{authority.url}/revoke"
device_code_url = "{authority.url}/device"
device_token_url = "{authority.url}/device/poll"
device_page_url = "{authority.url}/activate"
device_redirect_uri = "{authority.url}/device/callback"
manual_redirect_uri = "{authority.url}/shown"
redirect_host = "127.0.0.1"
redirect_ports = [0]
redirect_path = "/callback"
refresh_body = "form"
token_body = "form"
"""

    def model(name: str, wire: str) -> str:
        login = f'oauth = "{name}"' if name != "openai" else ""
        return f"""
[model_providers.{name}]
base_url = "http://{provider.place}/401/v1"
wire_api = "{wire}"
request_max_retries = 0
supports_websockets = {json.dumps(name == "chatgpt")}
{login}
"""

    return (
        'cli_auth_credentials_store = "file"\nmodel_provider = "openai"\nmodel = "m"\n'
        f'chatgpt_base_url = "http://{provider.place}/403"\n'
        + service("chatgpt")
        + service("claude")
        + model("openai", "responses")
        + model("chatgpt", "responses")
        + model("claude", "messages")
    )


async def fails(peer: Peer, method: str, params: dict[str, Any] | None = None) -> None:
    """What is answered with an error; the frames are looked at later."""
    try:
        await peer.request(method, params, seconds=30)
    except RpcFailedError:
        return
    raise AssertionError(f"{method} was answered")


async def log_in(peer: Peer, kind: str, provider: str) -> None:
    """As a person does."""
    after = len(peer.frames)
    started = await peer.request("account/login/start", {"type": kind, "provider": provider})
    if kind == "chatgpt":
        # Somebody else's answer first, which is not believed.
        redirect = started["authUrl"].partition("redirect_uri=http%3A%2F%2F127.0.0.1%3A")[2].partition("%2F")[0]
        stranger = f"http://127.0.0.1:{redirect}/callback?state=another&error=denied&error_description=no"
        await trio.to_thread.run_sync(visit, stranger)
        await trio.to_thread.run_sync(visit, started["authUrl"])
    if kind == "paste":
        shown = json.loads(await trio.to_thread.run_sync(visit, started["authUrl"]))
        code = f"{shown['code']}#{shown['state']}"
        await peer.request("callboard/login/paste", {"loginId": started["loginId"], "code": code})
    done = await peer.note("account/login/completed", after, seconds=30)
    assert done["params"]["success"], done


async def test_no_login_tells_its_secrets_to_anybody_but_the_server_it_is_for(tmp_path: Path) -> None:
    with quoting_provider() as provider, canary_house(tmp_path) as house:
        canaries = house.canaries
        authority = LeakyAuthority(canaries)
        house.write("config.toml", config(house, authority, provider))
        theirs = {f"{kind}_token": canaries[f"their {kind} token"] for kind in ("access", "refresh", "id")}
        house.write("auth.json", json.dumps({"OPENAI_API_KEY": canaries["an imported key"], "tokens": theirs}))
        house.write("broken.json", f'{{"OPENAI_API_KEY": {canaries["a key without quotes"]}}}')
        daemon = house.prepare()
        try:
            with deadline(120, daemon):
                daemon.start()
                async with house.client() as peer:
                    await log_in(peer, "chatgpt", "chatgpt")
                    await log_in(peer, "paste", "claude")
                    await peer.request(
                        "account/login/start", {"type": "apiKey", "apiKey": canaries["a key"], "provider": "openai"}
                    )
                    broken = f"{canaries['a key that cannot be sent']}\nx"
                    await fails(peer, "account/login/start", {"type": "apiKey", "apiKey": broken})
                    await fails(peer, "account/login/start", {"type": canaries["a key in the wrong place"]})
                    await turns(house, peer)  # 401, a new token, 401
                    for method in ("account/rateLimits/read", "callboard/account", "callboard/tasks/list"):
                        await fails(peer, method)
                    for mode in ("page", "json", "404", "500"):
                        place = {"keyPath": "chatgpt_base_url", "value": f"http://{provider.place}/{mode}"}
                        await peer.request("config/value/write", place)
                        await fails(peer, "callboard/tasks/list")
                    await shown(peer)
                    authority.quotes = True
                    await turns(house, peer)  # refused in words that quote the token
                    await shown(peer)
                    started = await peer.request("account/login/start", {"type": "paste", "provider": "claude"})
                    pasted = {"loginId": started["loginId"], "code": canaries["a pasted code"]}
                    await peer.request("callboard/login/paste", pasted)
                    ended = await peer.note("account/login/completed", len(peer.frames) - 1, seconds=30)
                    assert not ended["params"]["success"]
                    authority.quotes = False
                    await log_in(peer, "chatgptDeviceCode", "chatgpt")
                house.run("login", "status")
                house.run("login", "--with-api-key", stdin=canaries["a key on standard input"] + "\n")
                assert house.run("login", "import", str(house.home / "auth.json")) == 0
                assert house.run("login", "import", str(house.home / "broken.json")) == 1
                assert house.run("login", "import", "--borrow", str(house.home / "auth.json")) == 0
                house.run("login", "migrate", "--to", "file")
                house.run("login", "status", "--json")
                authority.close()
                async with house.client() as peer:
                    await turns(house, peer)  # nobody there to ask for another token
                    house.hunt("broken.json").nothing_found()
                    await peer.request("account/logout")
                    await shown(peer)
                daemon.stop()
        finally:
            authority.close()
        canaries.literals |= {f"verifier {n}": verifier for n, verifier in enumerate(authority.verifiers) if verifier}
        assert len(authority.verifiers) == 4
        assert authority.refreshes >= 2
        assert authority.complaints == []
        hunt = house.hunt("broken.json")
        hunt.look("credentials.json after logout", (house.home / "credentials.json").read_bytes())
        hunt.nothing_found()
        heard = canaries.found_in(provider.heard.encode())
        assert {"access 1", "access 2", "a key", "their access token"} <= heard, "the models were asked with them"


async def turns(house: House, peer: Peer) -> None:
    """One with each login; each fails, for nobody is let in."""
    for name in ("chatgpt", "claude", "openai"):
        thread = await peer.start_thread(house.workspace, provider=name)
        turn = await peer.run_turn(thread["id"], "Let me in.", seconds=60)
        assert turn["status"] == "failed", turn


async def shown(peer: Peer) -> None:
    """Everything that tells of accounts."""
    await peer.request("account/read", {"refreshToken": True})
    await peer.request("getAuthStatus", {"includeToken": True, "refreshToken": True})
    await peer.request("callboard/accounts")
    await peer.request("modelProvider/list")
    await peer.request("config/read", {"includeLayers": True})
