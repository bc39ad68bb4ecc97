"""What `callboard app-server` does to lines, messages and flags; and the whole of it as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st

from actors.console import app_server
from actors.console.app_server import Bridge, Head, Lines, accepted_overrides, in_folder
from actors.console.client import NotReachableError
from actors.console.home import running
from actors.settings.layers import SettingsError
from tests.system.daemon import CALLBOARD, clean_environment, daemon_process

INITIALIZE = b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"probe","version":"1"}}}\n'


@given(st.lists(st.binary(max_size=8)), st.lists(st.integers(0, 40)))
def test_lines_are_the_same_however_the_bytes_arrive(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"\r\n".join(pieces)
    lines, found, at = Lines(), [], 0
    for size in [*cuts, len(data)]:
        found += lines.feed(data[at : at + size])
        at += size
    assert found + lines.end() == [line.strip() for line in data.split(b"\n") if line.strip()]


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ('{"id":1,"method":"thread/start","params":{}}', {"id": 1, "method": "thread/start", "params": {"cwd": "/w"}}),
        ('{"id":1,"method":"thread/start"}', {"id": 1, "method": "thread/start", "params": {"cwd": "/w"}}),
        (
            '{"id":1,"method":"command/exec","params":{"cwd":null,"x":1}}',
            {"id": 1, "method": "command/exec", "params": {"cwd": "/w", "x": 1}},
        ),
        ('{"id":1,"method":"thread/start","params":{"cwd":"/a"}}', None),
        ('{"id":1,"method":"thread/start","params":[1]}', None),
        ('{"id":1,"method":"turn/start","params":{}}', None),
    ],
)
def test_a_request_that_names_no_folder_means_ours_and_all_else_passes_as_it_is(
    sent: str, arrives: dict[str, Any] | None
) -> None:
    method = json.loads(sent)["method"]
    passed = in_folder(sent.encode(), Head(id=1, method=method), "/w")
    assert passed == sent.encode() if arrives is None else json.loads(passed) == arrives


class FakeSocket:
    """A daemon that answers as told; the connection ends when `end` is set."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.third = trio.Event()
        self.heard, self._hear = trio.open_memory_channel[str](100)

    async def send_message(self, message: str | bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(message)
        if len(self.sent) == 3:
            self.third.set()

    async def get_message(self) -> str:
        try:
            return await self._hear.receive()
        except trio.EndOfChannel:
            raise trio_websocket.ConnectionClosed(trio_websocket.CloseReason(1001, "going away")) from None


def _read_once(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    while True:
        yield b""


async def test_after_the_end_of_input_every_request_is_still_answered_and_written() -> None:
    socket, written = FakeSocket(), bytearray()
    source = _read_once(b'{"id":1,"method":"a"}\n\n{"method":"b"}\n{"id":"x","me', b'thod":"c"}')
    bridge = Bridge(socket, lambda: next(source), written.extend, "/w")
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bridge.run)
            await socket.third.wait()
            for frame in ('{"id":1,"result":{}}', '{"method":"n","params":{}}', '{"id":"x","error":{}}'):
                await socket.heard.send(frame)
    assert socket.sent == ['{"id":1,"method":"a"}', '{"method":"b"}', '{"id":"x","method":"c"}']
    assert written == b'{"id":1,"result":{}}\n{"method":"n","params":{}}\n{"id":"x","error":{}}\n'


async def test_a_daemon_that_goes_away_is_an_error_with_its_reason() -> None:
    socket = FakeSocket()
    socket.heard.close()
    block = trio.Event()

    def read() -> bytes:
        trio.from_thread.run(block.wait)
        return b""

    with trio.fail_after(5), pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  # the block must end as well
        try:
            await Bridge(socket, read, lambda _: None, "/w").run()
        finally:
            block.set()
    group = caught.value.exceptions
    assert [type(error) for error in group] == [NotReachableError]
    assert "1001 going away" in str(group[0])


async def test_a_closed_output_ends_the_bridge_quietly() -> None:
    socket = FakeSocket()
    await socket.heard.send("{}")
    block = trio.Event()

    def read() -> bytes:
        trio.from_thread.run(block.wait)
        return b""

    def write(_: bytes) -> None:
        raise BrokenPipeError

    with trio.fail_after(5):
        await Bridge(socket, read, write, "/w").run()
    block.set()


def test_settings_that_are_not_ours_are_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["model=abc", "features.x=true", "sandbox_mode=sealed", "nonsense"]
    assert accepted_overrides(flags, strict=False) == ["model=abc"]
    assert capsys.readouterr().err.count("(not taken)") == 3
    with pytest.raises(SettingsError, match="features"):
        accepted_overrides(flags, strict=True)


# --- as a process ---------------------------------------------------------------------------------------------------


def _start(home: Path, *flags: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(CALLBOARD), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home.parent,
        env={**clean_environment(), "CALLBOARD_HOME": str(home)},
    )


async def _gone(pid: int) -> None:
    with trio.fail_after(10):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110  # another process: there is nothing to wait on
            await trio.sleep(0.01)


async def test_without_a_daemon_one_is_started_and_ends_when_its_last_client_has_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = _start(home, "-c", "features.x=1", "app-server", "--listen", "stdio://", "--enable", "y")
    second = None
    try:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write(INITIALIZE + b'{"id":2,"method":"thread/start"}\n')
        first.stdin.flush()
        assert json.loads(first.stdout.readline())["id"] == 1
        opened = next(frame for line in first.stdout if (frame := json.loads(line)).get("id") == 2)
        assert opened["result"]["cwd"] == str(tmp_path)
        found = running(home)
        assert found is not None

        second = _start(home, "app-server")
        out, errors = second.communicate(INITIALIZE + b"garbage\n\xff\n", timeout=20)
        answers = [json.loads(line) for line in out.splitlines()]
        assert (second.returncode, errors) == (0, b"")
        assert answers[0]["id"] == 1
        assert {answer["error"]["code"] for answer in answers[1:]} <= {-32700}
        assert running(home) == found, "the first client is still attached"

        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
        await _gone(found.pid)
        assert running(home) is None
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()


def test_a_running_daemon_is_used_with_its_token_and_goes_on(tmp_path: Path) -> None:
    with daemon_process(tmp_path / "home") as daemon:
        client = _start(daemon.home, "app-server", "-c", "model=other")
        out, errors = client.communicate(INITIALIZE, timeout=20)
        assert (client.returncode, json.loads(out)["id"]) == (0, 1)
        assert b"not used: -c model\n" in errors
        os.kill(daemon.pid, 0)


def test_a_unix_socket_serves_whoever_may_open_it(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = _start(tmp_path / "home", "app-server", "--listen", f"unix://{path}")
    try:
        assert server.stderr is not None
        assert [server.stderr.readline() for _ in range(2)] == [
            b"callboard app-server\n",
            f"  listening on: unix://{path}\n".encode(),
        ]
        assert path.stat().st_mode & 0o777 == 0o600
        client = _start(tmp_path / "home", "app-server")
        out, _ = client.communicate(INITIALIZE, timeout=20)
        assert json.loads(out)["result"]["codexHome"] == str(tmp_path / "home")
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert not path.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--listen", "unix://relative"), "write unix:///absolute/path"),
        (("--listen", "tcp://1"), "write ws://HOST:PORT or unix:///PATH"),
        (("--ws-auth", "signed-bearer-token"), "is not offered"),
        (("proxy",), "unrecognized arguments: proxy"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    done = subprocess.run(
        [str(CALLBOARD), "app-server", *flags],
        env={**clean_environment(), "CALLBOARD_HOME": str(tmp_path / "home")},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode in (app_server.FAILED, 2)
    assert words in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
