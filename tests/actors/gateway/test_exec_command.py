"""command/exec: buffered, streamed, fed, ended; nothing of it outlives its request or its connection."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.ports.processes import ExitStatus, SpawnError, SpawnRequest, TerminalSize
from actors.tool_worker.confinement.mechanism import ConfinementReport
from tests.actors.gateway.stage import CallError, FakeClient, open_stage

pytestmark = pytest.mark.reference


class FakeProcess:
    """Says what the test gives it to say, until it is told to end."""

    pid = 7

    def __init__(self, request: SpawnRequest) -> None:
        self.request = request
        self.stdout_send, self.stdout = trio.open_memory_channel[bytes](100)
        self.stderr_send, self.stderr = trio.open_memory_channel[bytes](100)
        self.written: list[bytes] = []
        self.sizes: list[TerminalSize] = []
        self.stdin_closed = False
        self.closed = False
        self._ended = trio.Event()
        self._status = ExitStatus(code=0)

    def end(self, code: int = 0) -> None:
        self._status = ExitStatus(code=code)
        self.stdout_send.close()
        self.stderr_send.close()
        self._ended.set()

    async def read_output(self, max_bytes: int = 65536) -> bytes:
        return await _read(self.stdout)

    async def read_stderr(self, max_bytes: int = 65536) -> bytes:
        return await _read(self.stderr)

    async def write_stdin(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.stdin_closed:
            raise trio.BrokenResourceError
        self.written.append(data)

    def close_stdin(self) -> None:
        self.stdin_closed = True

    def resize(self, size: TerminalSize) -> None:
        self.sizes.append(size)

    def signal(self, number: int) -> None: ...

    async def wait(self) -> ExitStatus:
        await self._ended.wait()
        return self._status

    async def stop(self, grace_seconds: float = 0.5) -> ExitStatus:
        await trio.lowlevel.checkpoint()
        self.end(143)
        return self._status

    async def aclose(self) -> None:
        self.closed = True
        self.stdout_send.close()
        self.stderr_send.close()
        await trio.lowlevel.checkpoint()


async def _read(channel: trio.MemoryReceiveChannel[bytes]) -> bytes:
    try:
        return await channel.receive()
    except trio.EndOfChannel:
        return b""


class FakeProcesses:
    """Remembers what it started."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.refuse = ""

    async def confinement(self) -> ConfinementReport:
        raise SpawnError("not asked for here")

    async def spawn(self, request: SpawnRequest) -> Any:
        await trio.lowlevel.checkpoint()
        if self.refuse:
            raise SpawnError(self.refuse)
        self.started.append(FakeProcess(request))
        return self.started[-1]

    async def one(self) -> FakeProcess:
        """The first, once it has started."""
        while not self.started:
            await trio.testing.wait_all_tasks_blocked(0.01)
        return self.started[0]


async def _begin(client: FakeClient, **params: Any) -> None:
    await client.send({"id": "exec", "method": "command/exec", "params": params})


async def _result(client: FakeClient) -> dict[str, Any]:
    while True:
        frame = await client.receive()
        if frame.get("id") == "exec":
            return frame
        client.told.append(frame)


async def test_a_buffered_command_gives_code_and_output(tmp_path: Path) -> None:
    processes = FakeProcesses()
    async with open_stage(tmp_path, processes=processes) as stage, stage.client() as client:
        await _begin(client, command=["git", "diff"], cwd="/srv", env={"A": "1", "SECRET": None})
        process = await processes.one()
        assert process.request == SpawnRequest(
            argv=("git", "diff"), cwd="/srv", environment={"PATH": "/usr/bin:/bin", "A": "1"}, stderr="separate"
        )
        process.stdout_send.send_nowait(b"out \xff")
        process.stderr_send.send_nowait(b"err")
        process.end(3)
        assert (await _result(client))["result"] == {"exitCode": 3, "stdout": "out \ufffd", "stderr": "err"}
        assert process.closed


async def test_what_is_beyond_the_cap_is_read_and_dropped(tmp_path: Path) -> None:
    processes = FakeProcesses()
    async with open_stage(tmp_path, processes=processes) as stage, stage.client() as client:
        await _begin(client, command=["x"], outputBytesCap=5)
        process = await processes.one()
        for _ in range(3):
            process.stdout_send.send_nowait(b"abc")
        process.end()
        assert (await _result(client))["result"]["stdout"] == "abcab"


async def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    processes = FakeProcesses()
    async with open_stage(tmp_path, processes=processes) as stage, stage.client() as client:
        await _begin(client, command=["sleep", "99"], timeoutMs=20)
        process = await processes.one()
        process.stdout_send.send_nowait(b"so far")
        assert (await _result(client))["result"] == {"exitCode": 124, "stdout": "so far", "stderr": ""}
        assert process.closed


async def test_a_streamed_command_is_heard_fed_resized_and_terminated(tmp_path: Path) -> None:
    processes = FakeProcesses()
    async with open_stage(tmp_path, processes=processes) as stage, stage.client() as client:
        named = {"processId": "p1"}
        await _begin(
            client,
            command=["bash"],
            tty=True,
            size={"rows": 10, "cols": 20},
            streamStdin=True,
            streamStdoutStderr=True,
            disableTimeout=True,
            **named,
        )
        process = await processes.one()
        assert process.request.terminal == TerminalSize(rows=10, columns=20)
        process.stdout_send.send_nowait(b"$ ")
        told = await client.next("command/exec/outputDelta")
        assert told["params"] == {**named, "stream": "stdout", "deltaBase64": "JCA=", "capReached": False}
        with pytest.raises(CallError, match="-32600 command/exec: a command named 'p1' runs already"):
            await client.call("command/exec", {"command": ["ls"], **named})
        data = base64.b64encode(b"ls\n").decode()
        assert await client.call("command/exec/write", {"deltaBase64": data, "closeStdin": True, **named}) == {}
        assert process.written == [b"ls\n"]
        assert process.stdin_closed
        with pytest.raises(CallError, match="reads no more input"):
            await client.call("command/exec/write", {"deltaBase64": data, **named})
        with pytest.raises(CallError, match=r"-32602 .* is not base64"):
            await client.call("command/exec/write", {"deltaBase64": "*", **named})
        assert await client.call("command/exec/resize", {"size": {"rows": 5, "cols": 6}, **named}) == {}
        assert process.sizes == [TerminalSize(rows=5, columns=6)]
        with pytest.raises(CallError, match="out of range"):
            await client.call("command/exec/resize", {"size": {"rows": 0, "cols": 6}, **named})
        await client.send({"id": "t", "method": "command/exec/terminate", "params": named})
        answers = [await client.receive() for _ in range(2)]
        results = {frame["id"]: frame["result"] for frame in answers}
        assert results == {"t": {}, "exec": {"exitCode": 143, "stdout": "", "stderr": ""}}
        with pytest.raises(CallError, match="-32600 no command named 'p1'"):
            await client.call("command/exec/terminate", named)


async def test_a_command_that_cannot_be_started_is_the_callers_error(tmp_path: Path) -> None:
    processes = FakeProcesses()
    processes.refuse = "there is no program nosuch"
    async with open_stage(tmp_path, processes=processes) as stage, stage.client() as client:
        with pytest.raises(CallError, match="-32602 command/exec: there is no program nosuch"):
            await client.call("command/exec", {"command": ["nosuch"], "processId": "p"})
        processes.refuse = ""
        await _begin(client, command=["x"], processId="p")
        (await processes.one()).end()
        assert (await _result(client))["result"]["exitCode"] == 0


async def test_commands_end_with_their_connection(tmp_path: Path) -> None:
    processes = FakeProcesses()
    async with open_stage(tmp_path, processes=processes) as stage:
        async with stage.client() as client:
            await _begin(client, command=["sleep", "99"], disableTimeout=True)
            process = await processes.one()
        with trio.fail_after(5):
            while not process.closed:
                await trio.testing.wait_all_tasks_blocked(0.01)
