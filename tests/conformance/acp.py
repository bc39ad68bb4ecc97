"""The adapter for editors, which starts `$CODEX_PATH app-server` and speaks the Agent Client Protocol to its editor.

We are the editor: JSON-RPC 2.0, one message a line.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from tests.conformance.clients import ACP
from tests.conformance.recording import Frame
from tests.conformance.stage import ANSWER, ANSWERED, Flow, Stage

FLOWS: list[Flow] = []

PATIENCE_SECONDS = 30.0
"""For an answer of an adapter that starts a daemon first."""

MAX_LINE_BYTES = 1024 * 1024


def flow(run: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    """A flow of the adapter, called like its function."""
    FLOWS.append(Flow(name="acp_" + run.__name__, client=ACP, run=run))
    return run


@flow
async def session_with_permission(stage: Stage) -> None:
    """A session: a prompt is answered; a command is asked about, allowed once, run, and its end is told."""
    async with _editor(stage) as editor:
        session = await editor.new_session()
        assert await editor.prompt(session, "answer me") == "end_turn"
        assert editor.said() == ANSWER
        assert await editor.prompt(session, "ask touch made.txt") == "end_turn"
        [question] = editor.questions
        assert "touch made.txt" in msgspec.json.encode(question["toolCall"]).decode()
        assert editor.said().endswith(ANSWERED)
        assert (stage.work / "made.txt").exists()
    await stage.hear_stdio()
    assert len(stage.recording.told("item/commandExecution/requestApproval")) == 1
    assert [item["status"] for item in stage.items("commandExecution")] == ["completed"]
    await stage.until_nothing_runs()


@flow
async def permission_refused(stage: Stage) -> None:
    """The person says no: the command is not run, and the session goes on."""
    async with _editor(stage, allow=False) as editor:
        session = await editor.new_session()
        await editor.prompt(session, "ask touch made.txt")
        assert len(editor.questions) == 1
        assert not (stage.work / "made.txt").exists()
        assert await editor.prompt(session, "answer me") == "end_turn"
        assert editor.said().endswith(ANSWER)
    await stage.hear_stdio()
    assert [item["status"] for item in stage.items("commandExecution")] == ["declined"]


@flow
async def cancel(stage: Stage) -> None:
    """The editor cancels a streaming prompt: it ends as cancelled, and the next is answered."""
    async with _editor(stage) as editor:
        session = await editor.new_session()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(editor.cancel_when_it_speaks, session)
            assert await editor.prompt(session, "stream 400") == "cancelled"
            nursery.cancel_scope.cancel()
        assert "word399" not in editor.said()
        assert await editor.prompt(session, "answer me") == "end_turn"
        assert editor.said().endswith(ANSWER)
    await stage.hear_stdio()
    assert [turn["status"] for turn in stage.turns()] == ["interrupted", "completed"]


class _Editor:
    """One adapter, and what it told."""

    def __init__(self, process: trio.Process, *, allow: bool) -> None:
        self._process = process
        self._allow = allow
        self._next_id = 0
        self._answers: dict[int, Frame] = {}
        self._news = trio.Event()
        self._ended = False
        self.updates: list[Frame] = []
        self.questions: list[Frame] = []

    async def new_session(self) -> str:
        """A session in the folder in which the adapter was started."""
        await self._ask(
            "initialize",
            {
                "protocolVersion": 1,
                "clientInfo": {"name": "conformance", "version": "1.0"},
                "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            },
        )
        opened = await self._ask("session/new", {"cwd": str(self.cwd), "mcpServers": []})
        return str(opened["sessionId"])

    cwd: Any = None

    async def prompt(self, session: str, text: str) -> str:
        """Send a prompt; why it stopped."""
        asked = {"sessionId": session, "prompt": [{"type": "text", "text": text}]}
        return str((await self._ask("session/prompt", asked))["stopReason"])

    async def cancel_when_it_speaks(self, session: str) -> None:
        """Wait for words, then cancel."""
        while not self.said():
            await self._news.wait()
        await self._send({"method": "session/cancel", "params": {"sessionId": session}})

    def said(self) -> str:
        """All that the agent has said so far."""
        chunks = (each for each in self.updates if each.get("sessionUpdate") == "agent_message_chunk")
        return "".join(str(each["content"].get("text", "")) for each in chunks)

    async def _ask(self, method: str, params: Frame) -> Frame:
        self._next_id += 1
        id_ = self._next_id
        await self._send({"id": id_, "method": method, "params": params})
        with trio.fail_after(PATIENCE_SECONDS):
            while id_ not in self._answers:
                assert not self._ended, f"the adapter ended before it answered {method}"
                await self._news.wait()
        frame = self._answers.pop(id_)
        assert "error" not in frame, f"{method}: {frame['error']}"
        result: Frame = frame["result"]
        return result

    async def _send(self, frame: Frame) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(msgspec.json.encode({"jsonrpc": "2.0", **frame}) + b"\n")

    async def listen(self) -> None:
        """Until the adapter ends."""
        assert self._process.stdout is not None
        buffer = b""
        async for data in self._process.stdout:
            *lines, buffer = (buffer + data).split(b"\n")
            assert len(buffer) < MAX_LINE_BYTES
            for line in lines:
                if line.strip():
                    await self._hear(msgspec.json.decode(line))
            self._wake()
        self._ended = True
        self._wake()

    async def _hear(self, frame: Frame) -> None:
        if "method" not in frame:
            self._answers[frame["id"]] = frame
        elif frame["method"] == "session/update":
            self.updates.append(frame["params"]["update"])
        elif frame["method"] == "session/request_permission":
            self.questions.append(frame["params"])
            kind = "allow_once" if self._allow else "reject_once"
            option = next(each["optionId"] for each in frame["params"]["options"] if each["kind"] == kind)
            await self._send({"id": frame["id"], "result": {"outcome": {"outcome": "selected", "optionId": option}}})
        elif "id" in frame:
            error = {"code": -32601, "message": f"this editor has no {frame['method']}"}
            await self._send({"id": frame["id"], "error": error})

    def _wake(self) -> None:
        news, self._news = self._news, trio.Event()
        news.set()


@asynccontextmanager
async def _editor(stage: Stage, *, allow: bool = True) -> AsyncIterator[_Editor]:
    """An adapter for the length of a block; afterwards it is asked to end, as an editor does: its input ends."""
    node = shutil.which("node")
    assert node is not None, "npm without node"
    environment = stage.stdio_environment(CODEX_PATH=str(stage.binary()))
    with (stage.artifacts / "adapter.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [node, str(stage.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=stage.work,
        )
    editor = _Editor(process, allow=allow)
    editor.cwd = stage.work
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(editor.listen)
            yield editor
            assert process.stdin is not None
            await process.stdin.aclose()
            with trio.move_on_after(PATIENCE_SECONDS):
                await process.wait()
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()
