"""Secrets stay where they belong: runs of the real daemon with a canary in every place where a secret can be, and a
hunt for them afterwards in everything that is written, shown or sent to anybody but the provider itself.

The daemon logs at its most talkative (DEBUG, libraries included), its files are made under the laxest umask, and its
providers quote every request back in every place where a provider can put words.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from tests.system.canaries import Canaries, Hunt, private
from tests.system.daemon import CALLBOARD, DaemonProcess
from tests.system.deadline import deadline
from tests.system.peer import connect
from tests.system.quoting import MODES, STATUSES, QuotingProvider, quoting_provider

TALKATIVE = (
    sys.executable,
    "-c",
    "import logging\nlogging.basicConfig(level=logging.DEBUG)\nfrom supervisors.entry import main\nmain()",
)
"""`callboard`, telling all it can."""

ODD_PLACES = ("config.toml", "work.config.toml", "token", "token.key")
"""In a home: where secrets are because people put them there, or because this is their store."""


def toml(value: object) -> str:
    return json.dumps(value)


class House:
    """A daemon whose every secret is a canary."""

    def __init__(self, folder: Path, provider: QuotingProvider) -> None:
        self.canaries = Canaries()
        self.provider = provider
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(self.config())
        (home / "work.config.toml").write_text(
            f'[model_providers.fromprofile]\nbase_url = "http://{provider.place}/401/v1"\n'
            f"http_headers = {{ x-team = {toml(self.canaries['http_headers of a profile'])} }}\n"
        )
        for each in (home / "config.toml", home / "work.config.toml"):
            each.chmod(0o600)
        flags = ("--profile", "work", "-c", f"model_providers.fromflag.experimental_bearer_token={self.flag()}")
        self.daemon = DaemonProcess(
            home, flags, environment=self.environment(), prepare=lambda: os.umask(0) and None, program=TALKATIVE
        )
        self.frames: list[object] = []
        self.told: list[tuple[str, str]] = []
        """(command, all it printed)"""

    def flag(self) -> str:
        return toml(self.canaries["-c on the command line"])

    def environment(self) -> dict[str, str]:
        canaries = self.canaries
        return {
            "CANARY_KEY": canaries["env_key"],
            "CANARY_HEADER": canaries["env_http_headers"],
            "CALLBOARD_MODEL_PROVIDERS__FROMENV__EXPERIMENTAL_BEARER_TOKEN": canaries["a setting in the environment"],
        }

    def config(self) -> str:
        """A provider for each way to authenticate, wire and mode."""
        canaries, tables = self.canaries, ['model_provider = "env-responses-400"\nmodel = "m"\n']
        ways = {
            "env": 'env_key = "CANARY_KEY"',
            "bearer": f"experimental_bearer_token = {toml(canaries['experimental_bearer_token'])}",
            "command": f'auth = {{ command = "echo", args = [{toml(canaries["auth.command"])}] }}',
            "basic": "",
        }
        for way, wire, mode in self.combinations():
            url = self.url(mode, userinfo=way == "basic")
            tables.append(
                f"[model_providers.{way}-{wire}-{mode}]\nbase_url = {toml(url)}\nwire_api = {toml(wire)}\n{ways[way]}\n"
                f"http_headers = {{ x-static = {toml(canaries['http_headers'])} }}\n"
                'env_http_headers = { x-env = "CANARY_HEADER" }\n'
                f"query_params = {{ team = {toml(canaries['query_params'])} }}\n"
                f"supports_websockets = {toml(way == 'basic' and wire == 'responses')}\nrequest_max_retries = 0\n"
            )
        refused = f'base_url = "http://{self.provider.place}/401/v1"'
        tables += [f"[model_providers.{name}]\n{refused}\n" for name in ("fromenv", "fromflag")]
        userinfo, query = quote(canaries["nowhere's password"], safe=""), quote(canaries["nowhere's query"], safe="")
        for name, url in {
            "nowhere": f"http://me:{userinfo}@127.0.0.1:1/v1?key={query}",
            "noscheme": f"gopher://me:{userinfo}@127.0.0.1:1/v1?key={query}",
            "nourl": f"http://me:{userinfo}@127.0.0.1:port/v1?key={query}",
        }.items():
            tables.append(f"[model_providers.{name}]\nbase_url = {toml(url)}\nrequest_max_retries = 0\n")
        return "\n".join(tables)

    def url(self, mode: str, *, userinfo: bool) -> str:
        password = f"me:{quote(self.canaries['base_url, password'], safe='')}@" if userinfo else ""
        return (
            f"http://{password}{self.provider.place}/{mode}/v1?key={quote(self.canaries['base_url, query'], safe='')}"
        )

    @staticmethod
    def combinations() -> list[tuple[str, str, str]]:
        """Each way to answer on each wire, each bad status on one, and the ways to authenticate taken in turn. WebSocket
        with a password in the URL."""
        wires, ways = ("responses", "chat", "messages"), cycle(("env", "bearer", "command"))
        found = [(next(ways), wire, mode) for mode in MODES for wire in wires]
        found += [(next(ways), wire, str(status)) for wire, status in zip(cycle(wires), STATUSES, strict=False)]
        return [
            ("env", "responses", "400"),
            *found,
            *(("basic", "responses", mode) for mode in ("401", "404", "stream-error")),
        ]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One `callboard` beside the daemon; what it prints is kept."""
        done = subprocess.run(
            [str(CALLBOARD), *arguments],
            env=self.daemon.environment,
            cwd=self.workspace,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        self.told.append((f"callboard {' '.join(arguments)} ({done.returncode})", done.stdout + done.stderr))
        return done

    def hunt(self, *spared: str) -> Hunt:
        """Through everything that was kept, shown and printed."""
        hunt = Hunt(self.canaries)
        hunt.look_below(self.daemon.home, but=(*ODD_PLACES, *spared))
        hunt.look_below(self.workspace)
        hunt.look("the daemon's log", self.daemon.log.read_bytes())
        hunt.look_at_frames("a frame", self.frames)
        for command, printed in self.told:
            hunt.look(f"{command}: {printed[:300]}", printed)
        return hunt


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with quoting_provider() as provider:
        made = House(tmp_path, provider)
        yield made
        made.daemon.kill()
        made.daemon.wait_until_gone()


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


async def test_what_models_are_asked_with_is_told_to_nobody_whatever_they_quote_back(house: House) -> None:
    daemon = house.daemon
    with deadline(60, daemon):
        daemon.start()
        async with connect(daemon) as peer:
            names = [f"{way}-{wire}-{mode}" for way, wire, mode in house.combinations()]
            names += ["fromenv", "fromflag", "fromprofile", "nowhere", "noscheme", "nourl"]

            async def fail_at(name: str) -> None:
                thread = await peer.start_thread(house.workspace, provider=name)
                turn = await peer.run_turn(thread["id"], "Tell me everything.", seconds=30)
                # a reason to end that nobody knows is an end all the same, on some wires
                assert turn["status"] == "failed" or name.endswith("odd-end"), (name, turn)

            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(fail_at, name)
            for method in ("config/read", "modelProvider/list", "model/list", "callboard/status", "account/read"):
                await peer.request(method, {"includeLayers": True} if method == "config/read" else {})
            house.frames += peer.frames
        house.run("config", "list", "--all", "--origins")
        house.run("config", "list", "--json")
        house.run("doctor", "--json")
        house.run("ps", "--json")
        house.run("threads")
        daemon.stop()
    hunt = house.hunt()
    heard = house.canaries.found_in(house.provider.heard.encode())
    assert set(house.canaries.names) - heard == {"nowhere's password", "nowhere's query"}, "all others were sent"
    hunt.nothing_found()
    assert private(daemon.home) == []
