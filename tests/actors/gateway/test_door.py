"""Who is let in: by address, by origin, by token, by manners."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.address import ListenAddress, ListenRefusedError, check_listen_address
from actors.gateway.http_head import MAX_HEAD_BYTES, BadHeadError, Door, Head, Refusal, judge, parse
from messages.access import OWNER
from tests.actors.gateway.stage import open_stage

UPGRADE = (
    ("host", "127.0.0.1:4600"),
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)
NOW = 1_800_000_000.0
OPEN = Door(token=None)
LOCKED = Door(token="secret", allowed_origins=("https://ok.example",))


def _status(door: Door, *headers: tuple[str, str], path: str = "/", method: str = "GET") -> int:
    verdict = judge(Head(method, path, headers), door, NOW)
    return int(verdict.status) if isinstance(verdict, Refusal) else 101


def test_a_proper_upgrade_is_let_in_on_any_path() -> None:
    assert _status(OPEN, *UPGRADE) == 101
    assert _status(OPEN, *UPGRADE, path="/foo/bar") == 101


def test_whatever_is_no_upgrade_is_told_so() -> None:
    assert _status(OPEN, ("host", "x")) == 426
    assert _status(OPEN, *UPGRADE, method="POST") == 400
    for missing in range(len(UPGRADE)):
        kept = [header for at, header in enumerate(UPGRADE) if at != missing]
        assert _status(OPEN, *kept) in (400, 426)


def test_browsers_are_refused_before_all_else_unless_their_origin_is_on_the_list() -> None:
    assert _status(OPEN, *UPGRADE, ("origin", "null")) == 403
    assert _status(OPEN, ("origin", "http://127.0.0.1"), path="/healthz") == 403
    authorized = ("authorization", "Bearer secret")
    assert _status(LOCKED, *UPGRADE, authorized, ("origin", "https://evil.example")) == 403
    assert _status(LOCKED, *UPGRADE, authorized, ("origin", "https://ok.example")) == 101


@pytest.mark.parametrize(
    ("values", "body"),
    [
        ((), "missing websocket bearer token"),
        (("Basic c2VjcmV0",), "invalid authorization header"),
        (("Bearer",), "invalid authorization header"),
        (("Bearer secret", "Bearer secret"), "invalid authorization header"),
        (("Bearer wrong",), "invalid websocket bearer token"),
        (("Bearer sécret",), "invalid websocket bearer token"),
        (("Bearer ",), "invalid websocket bearer token"),
        (("bEaReR secret",), None),
    ],
)
def test_the_token_counts_only_as_a_bearer(values: tuple[str, ...], body: str | None) -> None:
    verdict = judge(Head("GET", "/", (*UPGRADE, *(("authorization", value) for value in values))), LOCKED, NOW)
    if body is None:
        assert verdict == OWNER
    else:
        assert isinstance(verdict, Refusal)
        assert (verdict.status, verdict.body) == (401, body)


def test_health_needs_no_token() -> None:
    assert _status(LOCKED, path="/healthz") == 200
    assert _status(LOCKED, path="/readyz", method="HEAD") == 200
    assert _status(LOCKED, path="/healthz", method="POST") == 426


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_an_error(data: bytes) -> None:
    try:
        head = parse(data)
    except BadHeadError:
        return
    judge(head, LOCKED, NOW)


def test_the_query_is_no_part_of_the_path_and_names_have_no_case() -> None:
    head = parse(b"GET /healthz?x=1 HTTP/1.1\r\nHOST: a\r\nX: b:c \r\n\r\nrest")
    assert head == Head("GET", "/healthz", (("host", "a"), ("x", "b:c")))


@pytest.mark.parametrize(
    ("text", "auth", "plaintext", "outcome"),
    [
        ("ws://127.0.0.1:4600", True, False, ListenAddress("127.0.0.1", 4600)),
        ("ws://127.0.0.1:0/", False, False, ListenAddress("127.0.0.1", 0)),
        ("ws://[::1]:4600", False, False, ListenAddress("::1", 4600)),
        ("ws://localhost:4600", False, False, ListenAddress("localhost", 4600)),
        ("ws://0.0.0.0:4600", True, True, ListenAddress("0.0.0.0", 4600)),
        ("ws://0.0.0.0:4600", True, False, "in the clear"),
        ("ws://0.0.0.0:4600", False, True, "without a token"),
        ("ws://192.168.1.5:4600", False, False, "without a token"),
        ("ws://example.org:1", True, False, "in the clear"),
        ("wss://127.0.0.1:4600", True, False, "without a certificate"),
        ("http://127.0.0.1:4600", True, False, "write ws://HOST:PORT"),
        ("ws://127.0.0.1", True, False, "write ws://HOST:PORT"),
        ("ws://127.0.0.1:99999", True, False, "write ws://HOST:PORT"),
        ("ws://127.0.0.1:1/path", True, False, "write ws://HOST:PORT"),
        ("4600", True, False, "write ws://HOST:PORT"),
    ],
)
def test_listening_where_others_could_run_commands_needs_a_token_and_a_word(
    text: str, auth: bool, plaintext: bool, outcome: ListenAddress | str
) -> None:
    if isinstance(outcome, ListenAddress):
        assert check_listen_address(text, auth=auth, plaintext_allowed=plaintext) == outcome
    else:
        with pytest.raises(ListenRefusedError, match=outcome):
            check_listen_address(text, auth=auth, plaintext_allowed=plaintext)


async def _http(port: int, request: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        answer = b""
        with trio.fail_after(5):
            while data := await stream.receive_some():
                answer += data
        return answer


async def test_over_a_real_socket(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_stage(tmp_path, max_connections=0, handshake_seconds=3.0) as stage:
        assert (await _http(stage.port, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await _http(stage.port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 426 ")
        assert (await _http(stage.port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert (await _http(stage.port, b"x" * (MAX_HEAD_BYTES + 1))).startswith(b"HTTP/1.1 400 ")
        head = b"GET / HTTP/1.1\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in UPGRADE) + b"\r\n"
        assert (await _http(stage.port, head)).startswith(b"HTTP/1.1 503 ")


async def test_a_handshake_that_never_comes_is_given_up(tmp_path: Path) -> None:
    async with open_stage(tmp_path, handshake_seconds=0.05) as stage:
        assert await _http(stage.port, b"GET / HT") == b""


async def test_the_token_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        async with open_stage(tmp_path, auth=True) as stage:
            token = (tmp_path / "token").read_text().strip()
            tokens.append(token)
            assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
            async with stage.client(extra_headers=[(b"authorization", b"Bearer " + token.encode())]) as client:
                await client.call("account/read")
            head = b"GET / HTTP/1.1\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in UPGRADE) + b"\r\n"
            assert b"401 Unauthorized" in await _http(stage.port, head)
    assert tokens[0] == tokens[1]
    assert len(tokens[0]) >= 43
