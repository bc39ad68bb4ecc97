"""Whatever comes in, from clients, models, disks and command lines: an error that says what, where and what to do, to
the one whose fault it is; the daemon and everybody else go on."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.system.daemon import CALLBOARD, MARK, DaemonProcess, clean_environment
from tests.system.deadline import deadline
from tests.system.model import Exchange, HangUp, Play, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import Frame, Peer, RpcFailedError, connect

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602

UNKNOWN = "01a1fc00-0000-7000-8000-000000000000"
DEEP = 10_000

UNREADABLE: dict[str, tuple[str | bytes, int]] = {
    "half an object": ("{", PARSE_ERROR),
    "no JSON": ("hello?", PARSE_ERROR),
    "nothing": ("", PARSE_ERROR),
    "a NUL": ("\0", PARSE_ERROR),
    "two objects": ('{"id":1,"method":"thread/list"} {}', PARSE_ERROR),
    "a batch": ('[{"id":1,"method":"thread/list","params":{}}]', INVALID_REQUEST),
    "a string": ('"thread/list"', INVALID_REQUEST),
    "null": ("null", INVALID_REQUEST),
    "an empty object": ("{}", INVALID_REQUEST),
    "an id that is null": ('{"id":null,"method":"thread/list","params":{}}', INVALID_REQUEST),
    "an id that is a fraction": ('{"id":1.5,"method":"thread/list","params":{}}', INVALID_REQUEST),
    "an id that is an object": ('{"id":{},"method":"thread/list","params":{}}', INVALID_REQUEST),
    "a method that is a number": ('{"id":1,"method":5,"params":{}}', INVALID_REQUEST),
    "an array 10,000 deep": ("[" * DEEP + "]" * DEEP, INVALID_REQUEST),
    "params 10,000 deep": ('{"id":1,"method":"thread/list","params":' + '{"a":' * DEEP + "1" + "}" * DEEP + "}", 0),
    "a value 10,000 deep": ('{"id":1,"method":"thread/start","params":{"config":' + "[" * DEEP + "]" * DEEP + "}}", 0),
    "bytes that are no text": (b"\xff\xfe\x00", PARSE_ERROR),
}
"""What is sent, and the code of the answer; 0: any, also that all is well."""


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_request_is_answered_with_an_error_and_the_connection_goes_on(
    daemon: DaemonProcess, name: str
) -> None:
    frame, code = UNREADABLE[name]
    with deadline(10, daemon):
        async with connect(daemon) as peer:
            after = len(peer.frames)
            await peer.send_text(frame)
            answer = await peer.wait(lambda frame: "error" in frame or "result" in frame, after)
            assert code in (0, answer.get("error", {}).get("code"))
            assert "error" not in answer or answer["error"]["message"]
            assert "data" in await peer.request("thread/loaded/list")


THREAD = "<a thread>"
TEXT = [{"type": "text", "text": "hello"}]
TOO_LONG = [{"type": "text", "text": "x" * 1_048_577}]

REFUSED: list[tuple[str, Any, int, str]] = [
    ("no/such/method", {}, METHOD_NOT_FOUND, "no/such/method"),
    ("initialize", {"clientInfo": {"name": "x", "version": "1"}}, INVALID_REQUEST, "Already initialized"),
    ("thread/start", [], INVALID_PARAMS, "thread/start"),
    ("thread/start", {"cwd": 5}, INVALID_PARAMS, "cwd"),
    ("thread/start", {"cwd": "relative/path"}, INVALID_PARAMS, "relative/path"),
    ("thread/start", {"approvalPolicy": "sometimes"}, INVALID_PARAMS, "sometimes"),
    ("thread/start", {"modelProvider": "nobody"}, INVALID_PARAMS, "nobody"),
    ("thread/resume", {"threadId": UNKNOWN}, INVALID_REQUEST, UNKNOWN),
    ("thread/resume", {"threadId": "../../../etc/passwd"}, INVALID_REQUEST, "../../../etc/passwd"),
    ("thread/resume", {}, INVALID_PARAMS, "threadId"),
    ("thread/read", {"threadId": UNKNOWN, "includeTurns": True}, INVALID_REQUEST, UNKNOWN),
    ("thread/name/set", {"threadId": UNKNOWN, "name": "x"}, INVALID_REQUEST, UNKNOWN),
    ("thread/name/set", {"threadId": THREAD, "name": "  "}, INVALID_PARAMS, "name"),
    ("thread/list", {"cursor": "no cursor of ours"}, INVALID_PARAMS, "no cursor of ours"),
    ("thread/list", {"limit": "many"}, INVALID_PARAMS, "limit"),
    ("turn/start", {"threadId": UNKNOWN, "input": TEXT}, INVALID_REQUEST, UNKNOWN),
    ("turn/start", {"threadId": THREAD}, INVALID_PARAMS, "input"),
    ("turn/start", {"threadId": THREAD, "input": [{"type": "dance"}]}, INVALID_PARAMS, "dance"),
    ("turn/start", {"threadId": THREAD, "input": [{"type": "text"}]}, INVALID_PARAMS, "text"),
    (
        "turn/start",
        {"threadId": THREAD, "input": [{"type": "text", "text": "x" * 1_048_577}]},
        INVALID_PARAMS,
        "1048576",
    ),
    ("turn/interrupt", {"threadId": THREAD, "turnId": "none"}, INVALID_REQUEST, "no active turn"),
    ("turn/steer", {"threadId": THREAD, "input": TEXT, "expectedTurnId": "x"}, INVALID_REQUEST, "no active turn"),
    ("thread/backgroundTerminals/terminate", {"threadId": THREAD, "processId": "x"}, INVALID_PARAMS, "x"),
    ("command/exec", {"command": []}, INVALID_PARAMS, "command"),
    ("command/exec", {"command": ["/no/such/program"]}, 0, "/no/such/program"),
]
"""Method, params, and what the error's code is (0: any) and what its message names."""


async def test_a_request_that_cannot_be_served_is_refused_by_an_error_that_names_what_is_wrong(
    daemon: DaemonProcess, workspace: Path
) -> None:
    wrong: list[str] = []
    with deadline(20, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            for method, params, code, words in REFUSED:
                given = params
                if isinstance(params, dict):
                    given = {key: thread["id"] if value == THREAD else value for key, value in params.items()}
                try:
                    result = await peer.request(method, given)
                except RpcFailedError as error:
                    if code not in (0, error.code) or words not in error.message:
                        wrong.append(f"{method} {str(params)[:80]}: {error.error}")
                else:
                    wrong.append(f"{method} {str(params)[:80]}: {str(result)[:80]}")
            assert (await peer.run_turn(thread["id"], "hello"))["status"] == "completed"
    assert wrong == []


async def test_before_initialize_nothing_is_served(daemon: DaemonProcess) -> None:
    with deadline(10, daemon):
        async with connect(daemon, initialize=False) as peer:
            with pytest.raises(RpcFailedError, match="Not initialized"):
                await peer.request("thread/list")
            await peer.request("initialize", {"clientInfo": {"name": "late", "version": "1"}})
            assert "data" in await peer.request("thread/list")


async def test_a_frame_of_17_megabytes_ends_its_connection_and_no_other(daemon: DaemonProcess, workspace: Path) -> None:
    with deadline(20, daemon):
        async with connect(daemon, "modest") as modest, connect(daemon, "greedy") as greedy:
            thread = await modest.start_thread(workspace)
            await greedy.send_text('{"id":1,"method":"thread/list","params":{"x":"' + "x" * (17 << 20) + '"}}')
            await greedy.closed.wait()
            assert greedy.reason.code == 1009
            assert (await modest.run_turn(thread["id"], "hello"))["status"] == "completed"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00 this is TLS\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 426"),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 403",
        ),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 4"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200"),
    ],
    ids=["TLS", "a browser", "a page of somebody else", "an endless line", "a health check"],
)
async def test_who_does_not_speak_websocket_is_told_so_over_http(
    daemon: DaemonProcess, sent: bytes, status: bytes
) -> None:
    host, _, port = daemon.address.removeprefix("ws://").partition(":")
    with deadline(10, daemon):
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(sent)
            with contextlib.suppress(trio.BrokenResourceError):
                answer = await stream.receive_some()
                assert answer.startswith(status)


# --- models ---------------------------------------------------------------------------------------------------------


def garbage(exchange: Exchange) -> None:
    exchange.say("Something sensible, ", finish=False)
    exchange.raw(b'event: response.output_text.delta\ndata: {"type":\n\n\0\1\2\n\ndata: nonsense\n\n')
    exchange.end()


def never_answer(exchange: Exchange) -> None:
    exchange.wait_for_hang_up(10)
    raise HangUp


def fall_silent(exchange: Exchange) -> None:
    exchange.say("And then", finish=False)
    exchange.hang()


def cut(exchange: Exchange) -> None:
    exchange.say("Half a sen", finish=False)
    raise HangUp


def cut_in_a_call(exchange: Exchange) -> None:
    exchange.run("echo must not run > ran.txt", f"cut-{exchange.serial}")
    exchange.end()


def endless_event(exchange: Exchange) -> None:
    exchange.raw(b"data: ")
    for _ in range(17):
        exchange.raw(b"x" * (1 << 20))
    exchange.end()


def error_in_200(exchange: Exchange) -> None:
    exchange.status(
        200, b'{"error":{"message":"Out of credit.","type":"insufficient_quota","code":"insufficient_quota"}}'
    )


def web_page(exchange: Exchange) -> None:
    exchange.status(502, b"<html><h1>Bad gateway</h1></html>", "text/html")


def bad_key(exchange: Exchange) -> None:
    exchange.status(401, b'{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}')


TROUBLES: dict[str, tuple[Play, str]] = {
    "garbage": (garbage, ""),
    "silence": (never_answer, ""),
    "falling-silent": (fall_silent, ""),
    "cut": (cut, ""),
    "cut-in-a-call": (cut_in_a_call, ""),
    "endless-event": (endless_event, ""),
    "error-in-200": (error_in_200, "Out of credit"),
    "web-page": (web_page, "502"),
    "bad-key": (bad_key, "Incorrect API key"),
}
"""What the model does, and what the turn's error says of it."""


async def test_a_model_that_misbehaves_fails_its_own_turn_and_says_why(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    wrong: list[str] = []

    async def suffer(peer: Peer, name: str) -> None:
        play, words = TROUBLES[name]
        model.on(name, play)
        thread = await peer.start_thread(workspace, provider="fragile")
        turn = await peer.run_turn(thread["id"], f"{name} please", seconds=20)
        message = (turn.get("error") or {}).get("message", "")
        if turn["status"] != "failed" or not message or words not in message:
            wrong.append(f"{name}: {turn}")
        again = await peer.run_turn(thread["id"], "hello")
        if again["status"] != "completed" or history_problems(thread):
            wrong.append(f"{name}, afterwards: {again} {history_problems(thread)}")

    with deadline(30, daemon):
        async with connect(daemon, "patient") as peer, connect(daemon, "other") as other:
            bystander = await other.start_thread(workspace)
            async with trio.open_nursery() as nursery:
                for name in TROUBLES:
                    nursery.start_soon(suffer, peer, name)
                assert (await other.run_turn(bystander["id"], "hello"))["status"] == "completed"
            assert unfinished(peer) == []
    assert wrong == []
    assert not (workspace / "ran.txt").exists()
    assert model.problems == []


@pytest.mark.parametrize(
    ("provider", "words"), [("keyless", "NO_SUCH_KEY_IN_THE_ENVIRONMENT"), ("nowhere", "http://127.0.0.1:1/v1")]
)
async def test_a_model_that_cannot_be_asked_is_named_with_what_is_missing(
    daemon: DaemonProcess, workspace: Path, provider: str, words: str
) -> None:
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, provider=provider)
            turn = await peer.run_turn(thread["id"], "hello")
            assert turn["status"] == "failed"
            assert words in turn["error"]["message"]


# --- disks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is quickly full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs needs the right to mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_fails_turns_that_say_so_and_ends_when_there_is_room(
    small_disk: Path, model: ScriptedModel, workspace: Path, tmp_path: Path
) -> None:
    daemon = DaemonProcess(small_disk / "home", model.flags())
    daemon.log = tmp_path / "daemon.log"
    daemon.start()
    filler = small_disk / "filler"
    try:
        with deadline(20, daemon):
            async with connect(daemon, "one") as one, connect(daemon, "two") as two:
                thread = await one.start_thread(workspace)
                await two.request("thread/resume", {"threadId": thread["id"]})
                assert (await one.run_turn(thread["id"], "hello"))["status"] == "completed"
                fill(filler)
                problem = await failing_turn(one, thread["id"])
                assert "No space left" in problem
                assert str(small_disk) in problem
                assert "thread" in await two.request("thread/read", {"threadId": thread["id"], "includeTurns": True})
                with pytest.raises(RpcFailedError, match="No space left"):
                    await two.start_thread(workspace)
                filler.unlink()
                for peer in (one, two):
                    assert (await peer.run_turn(thread["id"], "hello again"))["status"] == "completed"
                fresh = await two.start_thread(workspace)
                assert (await two.run_turn(fresh["id"], "hello"))["status"] == "completed"
                assert unfinished(one) == []
        assert history_problems(thread) == []
        assert model.problems == []
        daemon.stop()
    finally:
        daemon.kill()
        daemon.wait_until_gone()


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def failing_turn(peer: Peer, thread_id: str) -> str:
    """Why a turn could not be run: refused at once, or started and failed."""
    more_than_a_block = "hello? " * 10_000
    try:
        turn: Frame = await peer.run_turn(thread_id, more_than_a_block)
    except RpcFailedError as error:
        return error.message
    assert turn["status"] == "failed", turn
    return str(turn["error"]["message"])


# --- starting -------------------------------------------------------------------------------------------------------


class Refused:
    """A `callboard serve` that ended at once: its exit code and what it said."""

    def __init__(self, home: Path, *flags: str) -> None:
        done = subprocess.run(
            [str(CALLBOARD), "serve", *flags],
            env={**clean_environment(), "CALLBOARD_HOME": str(home), MARK: "refused"},
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        self.code = done.returncode
        self.words = done.stderr
        assert "Traceback" not in done.stderr, done.stderr


ANY_PORT = ("--listen", "ws://127.0.0.1:0")


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Below a file: the rights of root do not help there."""
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / "home"
    refused = Refused(home, *ANY_PORT)
    assert refused.code == 1
    assert str(home) in refused.words


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        refused = Refused(tmp_path / "home", "--listen", address)
    assert refused.code == 1
    assert address.removeprefix("ws://") in refused.words
    assert "--listen" in refused.words


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("model = \n", "config.toml:1:9: this is no TOML"),
        ('approval_policy = "sometimes"\n', "on-request"),
    ],
)
def test_a_configuration_nobody_can_work_with_is_explained(tmp_path: Path, config: str, words: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(config)
    refused = Refused(home, *ANY_PORT)
    assert refused.code == 1
    assert words in refused.words
    assert str(home / "config.toml") in refused.words


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--listen", "here"), "ws://HOST:PORT"),
        (("--listen", "ws://0.0.0.0:0"), "--insecure"),
        (("-c", "model_provider=nobody"), "nobody"),
    ],
)
def test_flags_nobody_can_work_with_are_explained(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    refused = Refused(tmp_path / "home", *flags)
    assert refused.code == 1
    assert words in refused.words


async def test_a_second_daemon_on_a_home_is_refused_and_the_first_goes_on(
    daemon: DaemonProcess, workspace: Path
) -> None:
    with deadline(20, daemon):
        async with connect(daemon) as peer:
            refused = await trio.to_thread.run_sync(lambda: Refused(daemon.home, *ANY_PORT))
            assert refused.code == 75  # "try again": the first one may just be ending
            assert str(daemon.home) in refused.words
            assert "CALLBOARD_HOME" in refused.words
            thread = await peer.start_thread(workspace)
            assert (await peer.run_turn(thread["id"], "hello"))["status"] == "completed"


def test_an_unknown_setting_is_a_warning_with_a_guess_and_no_more(tmp_path: Path, model: ScriptedModel) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('aproval_policy = "never"\n')
    daemon = DaemonProcess(home, model.flags())
    try:
        daemon.start()
        daemon.stop()
    finally:
        daemon.kill()
        daemon.wait_until_gone()
    assert "approval_policy" in daemon.printed()
