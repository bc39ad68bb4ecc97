"""Secrets stay where they belong, however wrongly they are written into the settings, and the certificate's key is told
to nobody: see `tests.system.test_canaries`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import trustme

from tests.system.canary_house import House, canary_house
from tests.system.deadline import deadline, until
from tests.system.peer import Peer, RpcFailedError

SOUND = 'model_provider = "rehearsal"\n'


def mistakes(house: House) -> dict[str, str]:
    """What people write, with a secret in it: a file with all that is wrong and still TOML, and others that are none."""
    canary = house.canaries
    return {
        "wrong values": f"""
[listen]
max_connections = {toml(canary["a key as a number"])}
[model_providers.a]
base_url = {{ v = {toml(canary["a table"])} }}
http_headers = {toml(canary["headers as a text"])}
experimental_bearer_token = [{toml(canary["a token in a list"])}]
wire_api = {toml(canary["a key as the wire"])}
api_key = {toml(canary["a key that nobody knows"])}
[model_providers.b]
env_key = {toml(canary["a key as env_key"])}
[oauth]
chatgpt = {toml(canary["a token as a table"])}
""",
        "no TOML": f"[model_providers.a]\nexperimental_bearer_token = {canary['an unquoted key']}\n",
        "a text without an end": f'[model_providers.a]\nexperimental_bearer_token = "{canary["an open text"]}\n',
        "twice": f'[model_providers.a]\nname = "x"\n[model_providers.a]\nname = {toml(canary["a table that comes twice"])}\n',
    }


def toml(value: object) -> str:
    return json.dumps(value)


def foreign(house: House) -> str:
    """Settings of another program, with its own places for secrets."""
    canary = house.canaries
    return f"""
model = "gpt-5"
[mcp_servers.tickets]
command = "tickets"
args = ["--token", {toml(canary["an argument of an MCP server"])}]
env = {{ TICKETS_KEY = {toml(canary["the environment of an MCP server"])} }}
[mcp_servers.wiki]
url = "https://me:{canary.plain("the password of an MCP server")}@wiki.example/mcp"
bearer_token = {toml(canary["the token of an MCP server"])}
http_headers = {{ x-key = {toml(canary["a header of an MCP server"])} }}
[model_providers.theirs]
base_url = "https://me:{canary.plain("the password of a provider")}@models.example/v1"
http_headers = {{ x-key = {toml(canary["a header of a provider"])} }}
query_params = {{ key = {toml(canary["a parameter of a provider"])} }}
[shell_environment_policy.set]
TOOL_TOKEN = {toml(canary["a variable for commands"])}
"""


async def test_a_secret_in_the_wrong_place_is_not_quoted_in_what_is_said_of_it(tmp_path: Path) -> None:
    with canary_house(tmp_path) as house:
        house.write("config.toml", SOUND)
        (house.workspace / ".callboard").mkdir()
        project = house.workspace / ".callboard" / "config.toml"
        project.write_text(
            f'[model_providers.a]\nbase_url = "http://x"\nhttp_headers = {{ a = {toml(house.canaries["of a project"])} }}\n'
        )
        daemon = house.prepare()
        with deadline(120, daemon):
            daemon.start()
            house.run("config", "set", f"projects.{json.dumps(str(house.workspace))}.trust_level", "trusted")
            sound = (house.home / "config.toml").read_text()
            async with house.client() as peer:
                for number, (what, text) in enumerate(mistakes(house).items()):
                    before = len(peer.frames)
                    house.write("config.toml", f"# {number}\n{sound}{text}")
                    await until(partial(told_of, house.home / "config.toml", peer, before))
                    await peer.request("thread/start", {"cwd": str(house.workspace)})
                    house.told.append((what, json.dumps(peer.notes("configWarning"))))
                house.write("config.toml", sound)
                await refused_writes(house, peer)
                await peer.request(
                    "thread/start",
                    {
                        "cwd": str(house.workspace),
                        "config": {
                            "shell_environment_policy.set.TOKEN": house.canaries["a thread's variable"],
                            "model_providers.a.http_headers": {"x-key": house.canaries["a thread's header"]},
                            "mcp_servers.a.env": {"KEY": house.canaries["a thread's MCP server"]},
                        },
                    },
                )
                house.write("config.toml", sound + foreign(house))
                for params in ({"includeLayers": True}, {"cwd": str(house.workspace), "includeLayers": True}):
                    await peer.request("config/read", params)
            house.run("config", "list", "--all")
            house.run("config", "get", "mcp_servers")
            theirs = house.workspace.parent / "theirs"
            theirs.mkdir()
            (theirs / "config.toml").write_text(foreign(house))
            house.run("config", "import", "--dry-run", str(theirs))
            house.write("config.toml", sound + mistakes(house)["no TOML"])
            house.run("config", "check")
            house.run("config", "set", "model_providers.a.http_headers", house.canaries["set from the command line"])
            daemon.stop()
        hunt = house.hunt()
        hunt.found = [leak for leak in hunt.found if not leak.endswith(f" in {project}")]
        hunt.nothing_found()


def told_of(file: Path, peer: Peer, before: int) -> bool:
    """Whether the daemon has read the file and found it wrong."""
    told = [frame["params"]["summary"] for frame in peer.frames[before:] if frame.get("method") == "configWarning"]
    return any(summary.startswith(str(file)) for summary in told)


async def refused_writes(house: House, peer: Peer) -> None:
    """What clients may not write; the answer goes to all who look at a log."""
    for name, key, value in (
        ("a written number", "listen.max_connections", "{}"),
        ("a written table", "model_providers.a.http_headers", "{}"),
        ("a written choice", "model_providers.a.wire_api", "{}"),
        ("a written policy", "approval_policy", "{}"),
    ):
        params = {"keyPath": key, "value": value.format(house.canaries[name])}
        with pytest.raises(RpcFailedError):
            await peer.request("config/value/write", params)
    for name, key in (("a written token", "experimental_bearer_token"), ("a written header", "http_headers.x-key")):
        await peer.request(
            "config/batchWrite",
            {
                "edits": [
                    {"keyPath": "model_providers.b.base_url", "value": "http://127.0.0.1:1"},
                    {"keyPath": f"model_providers.b.{key}", "value": house.canaries[name]},
                ]
            },
        )


async def test_the_key_of_the_certificate_is_told_to_nobody(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    key = certificate.private_key_pem.bytes().decode()
    with canary_house(tmp_path) as house:
        house.canaries.literals |= {f"line {n} of the key": line for n, line in enumerate(key.split("\n")[1:-2])}
        certificate.cert_chain_pems[0].write_to_path(str(house.home / "cert.pem"))
        (house.home / "cert.pem").chmod(0o600)
        house.write("key.pem", key)
        house.write("config.toml", SOUND + '[listen]\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n')
        daemon = house.prepare(("--listen", "wss://127.0.0.1:0"))
        with deadline(60, daemon):
            daemon.start()
            assert house.run("ps") == 0
            daemon.stop()
        house.hunt("key.pem").nothing_found()
