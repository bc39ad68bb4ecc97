"""The door under attack, over real sockets. docs/door.md has the table; each line of it is a test here or beside."""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio_websocket
import trustme

from actors.console import client
from actors.console.home import Running
from actors.gateway import entrance, registry
from actors.gateway.actor import RECHECK_SECONDS
from actors.gateway.address import ListenRefusedError
from actors.gateway.http_head import Door, Head, Refusal, door_hosts, judge
from actors.gateway.methods import ALL
from actors.gateway.scopes import DRIVE, OBSERVE, missing, needed
from actors.ports.production.entropy import SystemEntropy
from actors.ports.production.files import SystemFiles
from messages.access import OWNER, SCOPES, Identity, Scope
from messages.client.thread import ThreadResumeParams, ThreadStartParams
from messages.client.turn import TurnStartParams
from messages.session import ResolveApproval
from tests.actors.gateway.stage import CallError, Stage, open_stage
from tests.actors.gateway.test_door import UPGRADE, _http
from tests.actors.gateway.test_watching import APPROVAL

NOW = 1_800_000_000.0


def token(home: Path, *scopes: Scope, name: str = "probe", seconds: int = 60) -> tuple[str, str]:
    """A signed token and its id."""
    import time

    entry, text = registry.make(
        SystemFiles(), SystemEntropy(), str(home), name=name, scopes=scopes, seconds=seconds, now=time.time()
    )
    return text, entry.id


def bearer(text: str) -> dict[str, Any]:
    return {"extra_headers": [(b"authorization", f"Bearer {text}".encode())]}


def audit(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]


# --- DNS rebinding, paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "loopback", "anywhere"),
    [
        ("localhost:4600", True, True),
        ("127.0.0.1:4600", True, True),
        ("127.9.9.9", True, True),
        ("[::1]:4600", True, True),
        ("LOCALHOST", True, True),
        ("box.lan:4600", True, True),  # it is on the list
        ("evil.example:4600", False, False),
        ("localhost.evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("127.0.0.1:4600.evil.example", False, False),
        ("evil.example@127.0.0.1", False, False),
        ("127.0.0.1@evil.example", False, False),
        ("[::1].evil.example", False, False),
        ("0x7f000001", False, False),
        ("", False, False),
        (" ", False, False),
        ("192.168.1.5:4600", False, True),
        ("[fe80::1]", False, True),
    ],
)
def test_a_page_whose_name_was_pointed_here_is_refused(host: str, *, loopback: bool, anywhere: bool) -> None:
    for bound, expected in (("127.0.0.1", loopback), ("0.0.0.0", anywhere)):
        hosts, addresses = door_hosts(bound, loopback=bound == "127.0.0.1", more=("Box.lan",))
        door = Door(token=None, hosts=hosts, addresses=addresses)
        headers = tuple((name, host if name == "host" else value) for name, value in UPGRADE)
        assert (judge(Head("GET", "/", headers), door, NOW) == OWNER) is expected
        # not even whether somebody is here
        health = judge(Head("GET", "/healthz", (("host", host),)), door, NOW)
        assert isinstance(health, Refusal)
        assert (health.status == 200) is expected


def test_two_hosts_are_one_too_many() -> None:
    hosts, addresses = door_hosts("127.0.0.1", loopback=True, more=())
    door = Door(token=None, hosts=hosts, addresses=addresses)
    twice = (*UPGRADE, ("host", "evil.example"))
    assert isinstance(judge(Head("GET", "/", twice), door, NOW), Refusal)
    assert isinstance(judge(Head("GET", "/", (*UPGRADE, ("host", "localhost"))), door, NOW), Refusal)


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "//evil", "/%2e%2e/token", "/token", "/healthz/../token", "http://evil/", "*", "/;x"]
)
async def test_paths_lead_nowhere(tmp_path: Path, path: str) -> None:
    async with open_stage(tmp_path, auth=True) as stage:
        for headers in (b"Host: localhost\r\n", b"Host: localhost\r\nUpgrade: websocket\r\n"):
            answer = await _http(stage.port, b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), headers))
            assert answer.split(b" ")[1] in (b"400", b"401", b"426")
            assert (tmp_path / "token").read_bytes().strip() not in answer


# --- tokens -----------------------------------------------------------------------------------------------------------


async def refused(stage: Stage, text: str) -> int:
    """What a client with this token is answered instead of a WebSocket."""
    headers = (*UPGRADE, ("authorization", f"Bearer {text}"))
    head = b"GET / HTTP/1.1\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers) + b"\r\n"
    return int((await _http(stage.port, head)).split(b" ")[1])


async def test_a_token_lets_in_until_it_is_revoked_and_then_ends_what_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.gateway.actor.RECHECK_SECONDS", 0.05)
    assert RECHECK_SECONDS == 5.0
    async with open_stage(tmp_path, auth=True) as stage:
        text, id_ = token(tmp_path, "observe", name="phone")
        async with stage.client(**bearer(text)) as client:
            assert "config" in await client.call("config/read")
            registry.revoke(SystemFiles(), str(tmp_path), id_, now=NOW)
            with trio.fail_after(5), pytest.raises(trio_websocket.ConnectionClosed) as closed:
                await client.socket.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1008
        assert await refused(stage, text) == 401  # replayed after its end
        assert await refused(stage, text[:-2]) == 401
        assert await refused(stage, "nonsense") == 401
    events = [(line["event"], line.get("who"), line.get("reason")) for line in audit(tmp_path)]
    assert events[0] == ("connected", "phone", None)
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", line["peer"]) for line in audit(tmp_path))
    assert ("refused", None, f"401 token {id_} was revoked") in events
    assert ("refused", None, "401 its signature is not ours") in events
    assert text not in (tmp_path / "audit.jsonl").read_text()
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


DENIED: dict[str, dict[str, Any]] = {
    "thread/start": {},
    "turn/start": {"threadId": "0196-a", "input": []},
    "command/exec": {"command": ["true"]},
    "config/value/write": {"keyPath": "model", "value": "x"},
}


async def test_a_token_reaches_as_far_as_its_scope(tmp_path: Path) -> None:
    async with open_stage(tmp_path, auth=True) as stage:
        stage.house.new("0196-a")
        for scopes, allowed, denied in (
            (("observe",), ["thread/list", "config/read"], ["thread/start", "turn/start", "command/exec"]),
            (("drive",), ["thread/list", "thread/start"], ["command/exec", "config/value/write"]),
            (("approve",), ["thread/list"], ["thread/start"]),
            (("admin",), ["thread/list", "thread/start", "config/value/write"], []),
        ):
            text, _ = token(tmp_path, *scopes)  # type: ignore[arg-type]  # literals, through a table
            async with stage.client(**bearer(text)) as client:
                for method in allowed:
                    await client.call(method, {"keyPath": "tui.x", "value": 1} if "write" in method else {})
                for method in denied:
                    with pytest.raises(CallError, match=r"-32003 .*needs the scope") as caught:
                        await client.call(method, DENIED[method])
                    assert caught.value.data["missingScope"] in SCOPES
    assert {line["method"] for line in audit(tmp_path) if line["event"] == "denied"} == {
        "thread/start",
        "turn/start",
        "command/exec",
        "config/value/write",
    }


def test_whoever_may_not_approve_cannot_choose_that_nobody_has_to() -> None:
    def lacks(method: str, params: Any, *scopes: Scope) -> Scope | None:
        return missing(Identity(name="x", scopes=frozenset(scopes)), method, params)

    plain = ThreadStartParams(cwd="/w")
    assert lacks("thread/start", plain, "drive") is None
    assert lacks("thread/start", plain, "observe") == "drive"
    for params in (
        ThreadStartParams(approval_policy="never"),
        ThreadStartParams(config={"approval_policy": "never"}),
    ):
        assert lacks("thread/start", params, "drive") == "approve"
        assert lacks("thread/start", params, "drive", "approve") is None
    turn = TurnStartParams(thread_id="t", input=(), approval_policy="never")
    assert lacks("turn/start", turn, "drive") == "approve"
    assert lacks("thread/resume", ThreadResumeParams(thread_id="t"), "observe") is None
    assert lacks("thread/resume", ThreadResumeParams(thread_id="t", cwd="/etc"), "observe") == "drive"
    assert lacks("made/up", plain, "drive", "approve") == "admin"
    assert lacks("made/up", plain, "admin") is None


def test_the_table_of_scopes_names_what_there_is_and_nothing_else() -> None:
    assert (OBSERVE | DRIVE) - set(ALL) == set()
    assert frozenset() == OBSERVE & DRIVE
    assert all(needed(name, None) for name in ALL)


async def test_an_answer_of_somebody_who_may_not_approve_counts_for_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, auth=True) as stage:
        session = stage.house.new("0196-a")
        observer, _ = token(tmp_path, "observe", name="observer")
        approver, _ = token(tmp_path, "approve", name="approver")
        async with stage.client(**bearer(observer)) as one, stage.client(**bearer(approver)) as other:
            for client in (one, other):
                await client.call("thread/resume", {"threadId": "0196-a"})
            session.ask(APPROVAL)
            for client in (one, other):
                asked = await client.next("item/commandExecution/requestApproval")
                await client.send({"id": asked["id"], "result": {"decision": "accept"}})
                await client.call("config/read")  # the answer has been read
            await other.next("serverRequest/resolved")
        assert [command.by for command in session.heard if isinstance(command, ResolveApproval)] == ["connection-2"]


# --- floods -----------------------------------------------------------------------------------------------------------


async def test_connections_that_say_nothing_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "HANDSHAKES", 8)
    async with open_stage(tmp_path, handshake_seconds=60.0) as stage, trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(_say_nothing, stage.port)
        with trio.fail_after(5):
            async with stage.client() as client:
                await client.call("config/read")
        nursery.cancel_scope.cancel()


async def _say_nothing(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.receive_some()


async def test_guessing_takes_longer_and_longer_and_locks_nobody_out(tmp_path: Path) -> None:
    async with open_stage(tmp_path, auth=True) as stage, trio.open_nursery() as nursery:
        answered: list[int] = []

        async def guess() -> None:
            answered.append(await refused(stage, "guess"))

        for _ in range(40):
            nursery.start_soon(guess)
        right = (tmp_path / "token").read_text().strip()
        with trio.fail_after(5):
            async with stage.client(**bearer(right)) as client:  # while all of them wait
                await client.call("config/read")
        assert len(answered) < 40
        nursery.cancel_scope.cancel()


# --- TLS --------------------------------------------------------------------------------------------------------------


@contextmanager
def certificates(home: Path) -> Iterator[trustme.CA]:
    ca = trustme.CA()
    cert = ca.issue_cert("localhost", "127.0.0.1")
    home.mkdir(exist_ok=True)
    cert.cert_chain_pems[0].write_to_path(str(home / "cert.pem"))
    cert.private_key_pem.write_to_path(str(home / "key.pem"))
    (home / "key.pem").chmod(0o640)
    yield ca


async def test_under_tls_the_same_is_said_and_in_the_clear_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with certificates(tmp_path) as ca:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        async with open_stage(
            tmp_path, address="wss://127.0.0.1:0", auth=True, tls_certificate="cert.pem", tls_key="key.pem"
        ) as stage:
            assert stage.address.startswith("wss://127.0.0.1:")
            right = (tmp_path / "token").read_text().strip()
            async with stage.client(ssl_context=context, **bearer(right)) as guest:
                await guest.call("config/read")
                assert (await guest.call("thread/start"))["model"] == "rehearsed-1"
            # the console of the same home trusts the daemon's own certificate
            monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path))
            announced = Running(
                pid=os.getpid(),
                address=stage.address,
                started_at=0.0,
                version="0",
                certificate=str(tmp_path / "cert.pem"),
            )
            (tmp_path / "daemon.json").write_bytes(msgspec.json.encode(announced))
            async with client.connect(stage.address, token=right) as console:
                assert "config" in await console.request("config/read")
            # ... and of another home says why it does not
            (tmp_path / "daemon.json").unlink()
            with trio.fail_after(5):
                async with trio.open_nursery() as nursery:
                    with pytest.raises(client.NotReachableError, match=r"not trusted here .*issuer cert"):
                        await client.open_socket(nursery, stage.address, right)
            # in the clear
            assert b"HTTP" not in await _http(stage.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # and whoever does not trust the certificate does not come in
            stranger = await trio.open_ssl_over_tcp_stream("127.0.0.1", stage.port)
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError) as caught:
                await stranger.do_handshake()
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            await trio.aclose_forcefully(stranger)


async def test_a_certificate_whose_key_everybody_can_read_is_not_shown(tmp_path: Path) -> None:
    with certificates(tmp_path):
        (tmp_path / "key.pem").chmod(0o644)
        with pytest.raises(ListenRefusedError, match=r"everybody on this machine can read .*/key\.pem \(mode 0644\)"):
            async with open_stage(
                tmp_path, address="wss://127.0.0.1:0", auth=True, tls_certificate="cert.pem", tls_key="key.pem"
            ):
                pass


async def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListenRefusedError, match=r"cert\.pem cannot be used"):
        async with open_stage(tmp_path, address="wss://127.0.0.1:0", tls_certificate="cert.pem"):
            pass


async def test_a_socket_file_is_for_its_owner_only_and_its_guests_are_known(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with open_stage(tmp_path, address=f"unix://{path}"):
        assert path.stat().st_mode & 0o777 == 0o600
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 426 ")
    (line,) = audit(tmp_path)
    assert (line["event"], line["peer"]) == ("refused", f"pid {os.getpid()} uid {os.getuid()}")


# --- the files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["token", "token.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
async def test_secrets_that_others_can_reach_keep_the_door_shut(tmp_path: Path, name: str, mode: int) -> None:
    async with open_stage(tmp_path, auth=True):
        pass
    before = (tmp_path / name).read_bytes()
    (tmp_path / name).chmod(mode)
    with pytest.raises(ListenRefusedError, match=f"others can read {tmp_path}/{name}"):
        async with open_stage(tmp_path, auth=True):
            pass
    assert (tmp_path / name).read_bytes() == before
    (tmp_path / name).unlink()  # as the error says
    async with open_stage(tmp_path, auth=True):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


# --- changes while the door is open -------------------------------------------------------------------------------------


async def test_the_lists_of_who_may_come_are_in_force_as_soon_as_they_are_written(tmp_path: Path) -> None:
    async def knock(stage: Stage, **changed: str) -> int:
        headers = {**dict(UPGRADE), **changed}
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
        async with await trio.open_tcp_stream("127.0.0.1", stage.port) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
            with trio.fail_after(5):
                return int((await stream.receive_some()).split(b" ")[1])

    async with open_stage(tmp_path) as stage, stage.client() as client:

        async def write(key: str, value: Any) -> None:
            await client.call("config/value/write", {"keyPath": key, "value": value, "mergeStrategy": "replace"})
            await trio.testing.wait_all_tasks_blocked()

        page = {"origin": "https://board.example"}
        assert await knock(stage, **page) == 403
        await write("listen.allowed_origins", ["https://board.example"])
        assert await knock(stage, **page) == 101
        await write("listen.allowed_origins", [])
        assert await knock(stage, **page) == 403
        assert await knock(stage, host="box.lan") == 403
        await write("listen.allowed_hosts", ["box.lan"])
        assert await knock(stage, host="box.lan") == 101
        await write("listen.max_connections", 1)
        assert await knock(stage) == 503


async def test_a_change_of_the_address_is_told_of_and_changes_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[listen]\ntls_key = "old.pem"\n')
    async with open_stage(tmp_path) as stage, stage.client() as client:
        await client.call("config/value/write", {"keyPath": "listen.tls_key", "value": "new.pem"})
        warning = await client.next("configWarning")
        assert warning["params"]["summary"] == (
            "settings: listen.tls_key has changed; it is in force at the next start"
        )
        async with stage.client() as other:
            await other.call("config/read")
