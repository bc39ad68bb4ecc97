"""Secrets stay where they belong: runs of the real daemon with a canary in every place where a secret can be, and a
hunt for them afterwards in everything that is written, shown, or sent to anybody but the provider itself.

Here: the hunt itself, and what models are asked with, while each provider quotes the request back in every place where
a provider can put words. Tools, logins and settings are in the files beside.
"""

from __future__ import annotations

import base64
import json
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from tests.system.canaries import Canaries, Hunt
from tests.system.canary_house import House, canary_house
from tests.system.deadline import deadline
from tests.system.quoting import MODES, STATUSES, QuotingProvider, quoting_provider

WIRES = ("responses", "chat", "messages")


# --- the hunt itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.encode(),
        lambda text: text[3:21].encode(),
        lambda text: text[-19:].encode(),
        lambda text: quote(text, safe="").encode(),
        lambda text: json.dumps({"a": text}).encode(),
        lambda text: base64.b64encode(b"Bearer " + text.encode()),
        lambda text: base64.urlsafe_b64encode(b"x" + text.encode()),
        lambda text: base64.b64encode(f"me:{text}".encode()),
        lambda text: text.encode().hex().encode(),
    ],
)
def test_the_hunt_finds_what_is_planted_and_nothing_else(spell: object, tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.literals["a token"] = "Ab3_dEfGh1jKlMn0pQrStUvWxYz-0123456789abcde"
    planted, other = canaries["planted"], canaries["other"]
    assert planted != other
    for text, name in ((planted, "planted"), (canaries.literals["a token"], "a token")):
        data = spell(text)  # type: ignore[operator]  # of a table
        if name == "a token" and len(data) < 20:
            continue  # a piece of a literal is known only from its beginning
        (tmp_path / "file").write_bytes(b"much else " + data + b" and more")
        hunt = Hunt(canaries)
        hunt.look_below(tmp_path)
        assert hunt.found == [f"{name} in {tmp_path / 'file'}"]
        with pytest.raises(AssertionError, match=f"{name} in "):
            hunt.nothing_found()
        spared = Hunt(canaries)
        spared.look_below(tmp_path, but=["file"])
        spared.nothing_found()


# --- models -------------------------------------------------------------------------------------------------------------


def combinations() -> list[tuple[str, str, str]]:
    """(way to authenticate, wire, mode): each way to answer on each wire, each bad status on one, the ways taken in turn;
    and WebSocket, with a password in the URL."""
    ways = cycle(("env", "bearer", "command"))
    found = [(next(ways), wire, mode) for mode in MODES for wire in WIRES]
    found += [(next(ways), wire, str(status)) for wire, status in zip(cycle(WIRES), STATUSES, strict=False)]
    return [*found, *(("basic", "responses", mode) for mode in ("401", "404", "stream-error"))]


def toml(value: object) -> str:
    return json.dumps(value)


def config(house: House, provider: QuotingProvider) -> str:
    """A provider for each of them, and some that cannot be reached."""
    canaries = house.canaries
    ways = {
        "env": 'env_key = "CANARY_KEY"',
        "bearer": f"experimental_bearer_token = {toml(canaries['experimental_bearer_token'])}",
        "command": f'auth = {{ command = "echo", args = [{toml(canaries["auth.command"])}] }}',
        "basic": "supports_websockets = true",
    }
    query = quote(canaries["base_url, query"], safe="")
    tables = ['model_provider = "env-chat-400"\nmodel = "m"\n']
    for way, wire, mode in [("env", "chat", "400"), *combinations()]:
        password = f"me:{quote(canaries['base_url, password'], safe='')}@" if way == "basic" else ""
        tables.append(
            f"[model_providers.{way}-{wire}-{mode}]\n{ways[way]}\nwire_api = {toml(wire)}\nrequest_max_retries = 0\n"
            f"base_url = {toml(f'http://{password}{provider.place}/{mode}/v1?key={query}')}\n"
            f"http_headers = {{ x-static = {toml(canaries['http_headers'])} }}\n"
            'env_http_headers = { x-env = "CANARY_HEADER" }\n'
            f"query_params = {{ team = {toml(canaries['query_params'])} }}\n"
        )
    refused = f'base_url = "http://{provider.place}/401/v1"'
    tables += [f"[model_providers.{name}]\n{refused}\n" for name in ("fromenv", "fromflag")]
    secret = f"me:{quote(canaries['unreached, password'], safe='')}@"
    query = quote(canaries["unreached, query"], safe="")
    for name, url in {
        "nowhere": f"http://{secret}127.0.0.1:1/v1?key={query}",
        "noscheme": f"gopher://{secret}127.0.0.1:1/v1?key={query}",
        "nourl": f"http://{secret}127.0.0.1:port/v1?key={query}",
    }.items():
        tables.append(f"[model_providers.{name}]\nbase_url = {toml(url)}\nrequest_max_retries = 0\n")
    return "\n".join(tables)


async def test_what_models_are_asked_with_is_told_to_nobody_whatever_they_quote_back(tmp_path: Path) -> None:
    with quoting_provider() as provider, canary_house(tmp_path) as house:
        canaries = house.canaries
        house.write("config.toml", config(house, provider))
        house.write(
            "work.config.toml",
            f'[model_providers.fromprofile]\nbase_url = "http://{provider.place}/401/v1"\n'
            f"http_headers = {{ x-team = {toml(canaries['http_headers of a profile'])} }}\n",
        )
        flag = f"model_providers.fromflag.experimental_bearer_token={toml(canaries['-c on the command line'])}"
        daemon = house.prepare(
            ("--profile", "work", "-c", flag),
            {
                "CANARY_KEY": canaries["env_key"],
                "CANARY_HEADER": canaries["env_http_headers"],
                "CALLBOARD_MODEL_PROVIDERS__FROMENV__EXPERIMENTAL_BEARER_TOKEN": canaries["a setting's variable"],
            },
        )
        with deadline(90, daemon):
            daemon.start()
            async with house.client() as peer:

                async def fail_at(name: str) -> None:
                    thread = await peer.start_thread(house.workspace, provider=name)
                    turn = await peer.run_turn(thread["id"], "Tell me everything.", seconds=60)
                    # a reason to end that nobody knows is an end all the same, on some wires
                    assert turn["status"] == "failed" or name.endswith("odd-end"), (name, turn)

                async with trio.open_nursery() as nursery:
                    for way, wire, mode in combinations():
                        nursery.start_soon(fail_at, f"{way}-{wire}-{mode}")
                    for name in ("fromenv", "fromflag", "fromprofile", "nowhere", "noscheme", "nourl"):
                        nursery.start_soon(fail_at, name)
                for method in ("modelProvider/list", "model/list", "callboard/status", "account/read"):
                    await peer.request(method)
                house.look_at_processes()
            for name in ("env-chat-400", "nowhere"):
                assert house.run("models", "--provider", name) == 1
            daemon.stop()
        hunt = house.hunt()
        heard = canaries.found_in(provider.heard.encode())
        assert set(canaries.names) - heard == {"unreached, password", "unreached, query"}, "the others were sent"
        hunt.nothing_found()
