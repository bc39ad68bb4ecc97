"""Several clients on one thread: subscriptions are barriers, questions have one answer, slow readers miss nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trio

from actors.session import feed as feed_module
from messages.approval import CommandNeed
from messages.base import CallId, ItemId, TurnId
from messages.client.item import AgentMessage
from messages.log import ItemShown, TurnClosed, TurnOpened
from messages.session import (
    Approval,
    ResolveApproval,
    StatusChanged,
    ThreadStatus,
    Turn,
    TurnCompleted,
    TurnStarted,
    Warned,
)
from tests.actors.gateway.stage import FakeClient, FakeSession, Stage, open_stage

pytestmark = pytest.mark.reference

APPROVAL = Approval(
    id="0196-question",
    turn_id=TurnId("turn-1"),
    item_id=ItemId("x"),
    call_id=CallId("c"),
    need=CommandNeed(argv=("bash", "-lc", "rm x"), script="rm x", cwd="/w"),
    asked_at=1_795_179_848.0,
)


async def _thread(stage: Stage, *clients: FakeClient) -> FakeSession:
    """A thread that all of them watch."""
    session = stage.house.new("0196-thread")
    for client in clients:
        await client.call("thread/resume", {"threadId": "0196-thread"})
    return session


def _texts(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["params"]["delta"] for frame in frames if frame["method"] == "item/agentMessage/delta")


async def test_all_who_watch_hear_the_same_in_the_same_order(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as one, stage.client() as two:
        session = await _thread(stage, one, two)
        text = session.say("m", "Hello")
        await trio.testing.wait_all_tasks_blocked(0.01)
        text.append(" world")
        session.said("m", "Hello world")
        heard = []
        for client in (one, two):
            frames = [await client.next() for _ in range(4)]
            assert _texts(frames) == "Hello world"
            assert [frame.get("callboard", {}).get("seq") for frame in frames] == [1, None, None, 2]
            heard.append(frames)
        assert heard[0] == heard[1]


async def test_a_question_goes_to_all_and_the_first_answer_counts(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as one, stage.client() as two:
        session = await _thread(stage, one, two)
        session.ask(APPROVAL)
        for client in (one, two):
            asked = await client.next()
            assert (asked["method"], asked["id"]) == ("item/commandExecution/requestApproval", "0196-question")
        await two.send({"id": "0196-question", "result": {"decision": "acceptForSession"}})
        for client in (one, two):
            resolved = await client.next()
            assert resolved["params"] == {"threadId": "0196-thread", "requestId": "0196-question"}
        await one.send({"id": "0196-question", "result": {"decision": "decline"}})
        await one.call("account/read")
        answers = [each for each in session.heard if isinstance(each, ResolveApproval)]
        assert [(each.decision, each.by) for each in answers] == [("acceptForSession", "connection-2")]


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        ({"result": {"decision": "accept"}}, "accept"),
        ({"result": {"decision": "cancel"}}, "cancel"),
        (
            {"result": {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["rm"]}}}},
            "acceptWithExecpolicyAmendment",
        ),
        ({"result": {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": []}}}}, "decline"),
        ({"result": {"decision": {"applyNetworkPolicyAmendment": {}}}}, "decline"),
        ({"result": {"decision": "perhaps"}}, "decline"),
        ({"result": None}, "decline"),
        ({"error": {"code": -32601, "message": "no such method"}}, "decline"),
    ],
)
async def test_whatever_is_no_clear_yes_is_a_no(tmp_path: Path, answer: dict[str, Any], decision: str) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = await _thread(stage, client)
        session.ask(APPROVAL)
        await client.next()
        await client.send({"id": "0196-question", **answer})
        await client.next("serverRequest/resolved")
        assert [each.decision for each in session.heard if isinstance(each, ResolveApproval)] == [decision]


async def test_whoever_attaches_gets_the_open_questions_behind_the_response_and_before_what_happens(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = await _thread(stage)
        session.ask(APPROVAL)
        session.say("m", "so far")
        await client.send({"id": "r", "method": "thread/resume", "params": {"threadId": "0196-thread"}})
        frame = await client.receive()
        assert frame["id"] == "r"
        assert frame["result"]["callboard"] == {"epoch": "epoch-1", "seq": 2, "resumed": False}
        session.put(Warned(message="next"))
        asked = await client.next()
        assert asked["id"] == "0196-question"
        assert (await client.next())["callboard"] == {"epoch": "epoch-1", "seq": 3}
        await client.send({"id": "0196-question", "result": {"decision": "accept"}})
        await client.next("serverRequest/resolved")


async def test_resuming_by_sequence_number_tells_what_was_missed_and_where_live_begins(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = await _thread(stage)
        for number in range(3):
            session.put(Warned(message=str(number)))
        session.ask(APPROVAL)
        session.say("m", "partial")
        result = await client.call(
            "thread/resume", {"threadId": "0196-thread", "callboard": {"epoch": "epoch-1", "afterSeq": 2}}
        )
        assert result["callboard"]["resumed"] is True
        frames = [await client.next() for _ in range(5)]
        assert [frame["method"] for frame in frames] == [
            "warning",
            "item/commandExecution/requestApproval",
            "item/started",
            "item/agentMessage/delta",
            "callboard/live",
        ]
        assert [frame["callboard"].get("seq") for frame in frames[:3]] == [3, 4, 5]
        assert frames[3]["callboard"] == {"offset": 0}
        assert frames[4]["params"] == {"threadId": "0196-thread", "epoch": "epoch-1", "seq": 5}
        stale = await client.call(
            "thread/resume", {"threadId": "0196-thread", "callboard": {"epoch": "another", "afterSeq": 2}}
        )
        assert stale["callboard"] == {"epoch": "epoch-1", "seq": 5, "resumed": False}


async def test_resubscribing_replaces_the_subscription_and_unsubscribing_ends_it(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = await _thread(stage, client, client)
        assert session.feed.subscribers == 1
        session.put(Warned(message="once"))
        await client.next("warning")
        assert await client.call("thread/unsubscribe", {"threadId": "0196-thread"}) == {"status": "unsubscribed"}
        assert await client.call("thread/unsubscribe", {"threadId": "0196-thread"}) == {"status": "notSubscribed"}
        session.put(Warned(message="not heard"))
        session.put(StatusChanged(status=ThreadStatus(kind="active")))
        assert (await client.next())["method"] == "thread/status/changed"


async def test_a_client_that_does_not_read_holds_up_nobody_and_misses_nothing(tmp_path: Path) -> None:
    """Three megabytes are more than the sockets between them hold; the slow one reads only afterwards."""
    async with open_stage(tmp_path) as stage, stage.client() as fast:
        stream = await trio.open_tcp_stream("127.0.0.1", stage.port)
        slow = await _raw_client(stream)
        session = await _thread(stage, fast)
        await slow.send({"id": 1, "method": "thread/resume", "params": {"threadId": "0196-thread"}})
        while session.feed.subscribers < 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        piece = "x" * 1000
        text = session.say("m")
        for _ in range(100):
            for _ in range(80):
                text.append(piece)
            await trio.testing.wait_all_tasks_blocked()
        session.said("m", text.text())
        told: list[dict[str, Any]] = []
        while not told or told[-1]["method"] != "item/completed":
            told.append(await fast.next())
        assert _texts(told) == piece * 8000
        late: list[dict[str, Any]] = []
        while not late or late[-1].get("method") != "item/completed":
            frame = await slow.receive()
            if "method" in frame:
                late.append(frame)
        assert _texts(late) == piece * 8000
        await stream.aclose()


async def test_threads_take_turns_on_a_connection(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        sessions = [stage.house.new(f"0196-{number}") for number in range(2)]
        for session in sessions:
            await client.call("thread/resume", {"threadId": session.thread_id})
        sessions[0].say("busy", "x" * 1_000_000)
        sessions[1].say("quiet", "hello")
        order = [frame["params"]["threadId"] for frame in [await client.next() for _ in range(6)]]
        assert "0196-1" in order[:4]


async def test_a_client_far_behind_is_caught_up_from_the_log(tmp_path: Path) -> None:
    """It does not read while more happens than the thread keeps in memory."""
    with patch.object(feed_module, "TAIL_EVENTS", 8):
        async with open_stage(tmp_path) as stage:
            stream = await trio.open_tcp_stream("127.0.0.1", stage.port)
            client = await _raw_client(stream)
            session = await _thread(stage)
            await client.send({"id": 1, "method": "thread/resume", "params": {"threadId": "0196-thread"}})
            while not session.feed.subscribers:
                await trio.testing.wait_all_tasks_blocked(0.01)
            big = "x" * 200_000
            for number in range(60):
                _run_turn(session, number, big if number < 30 else "small")
                await trio.testing.wait_all_tasks_blocked()
            completed: list[str] = []
            turns: list[str] = []
            while len(turns) < 120:
                frame = await client.receive()
                match frame.get("method"):
                    case "item/completed":
                        completed.append(frame["params"]["item"]["id"])
                    case "turn/started" | "turn/completed":
                        turns.append(frame["params"]["turn"]["id"])
                    case _:
                        pass
            assert completed == [f"m{number}" for number in range(60)]
            assert turns == [f"turn-{number}" for number in range(60) for _ in range(2)]
            await stream.aclose()


def _run_turn(session: FakeSession, number: int, text: str) -> None:
    turn_id = TurnId(f"turn-{number}")
    opened = TurnOpened(turn_id=turn_id, submission_id="s", started_at=1.0)
    session.log.append(opened)
    session.put(TurnStarted(turn=Turn(id=turn_id, status="inProgress", started_at=1.0)))
    session.say(f"m{number}")
    item = AgentMessage(id=f"m{number}", text=text)
    session.log.append(ItemShown(turn_id=TurnId("turn-1"), item=item, at_ms=2))
    session.said(f"m{number}", text)
    session.log.append(TurnClosed(turn_id=turn_id, status="completed", completed_at=2.0))
    session.put(TurnCompleted(turn=Turn(id=turn_id, status="completed", started_at=1.0, completed_at=2.0)))


async def test_what_the_log_cannot_tell_is_said_to_be_missing(tmp_path: Path) -> None:
    with patch.object(feed_module, "TAIL_EVENTS", 4):
        async with open_stage(tmp_path) as stage, stage.client() as client:
            session = await _thread(stage, client)
            session.log.extend([None] * 20)  # type: ignore[list-item]  # only their number counts
            for number in range(20):
                session.feed.put(Warned(message=str(number)), ordinal=number)
            session.log.clear()
            skipped = await client.next()
            assert skipped["method"] == "callboard/eventsSkipped"
            assert (await client.next())["params"]["message"] == "16"


class _Raw(FakeClient):
    """A client on a bare TCP stream, which reads only when told to."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = bytearray()
        self.told = []

    async def send(self, frame: object) -> None:
        data = json.dumps(frame).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        await self.stream.send_all(b"\x81" + size + b"\0\0\0\0" + data)

    async def receive(self) -> dict[str, Any]:
        await self._fill(2)
        size, head = self.buffer[1], 2
        if size == 126:
            await self._fill(4)
            size, head = int.from_bytes(self.buffer[2:4], "big"), 4
        elif size == 127:
            await self._fill(10)
            size, head = int.from_bytes(self.buffer[2:10], "big"), 10
        await self._fill(head + size)
        data = bytes(self.buffer[head : head + size])
        del self.buffer[: head + size]
        frame: dict[str, Any] = json.loads(data)
        return frame

    async def _fill(self, size: int) -> None:
        with trio.fail_after(10):
            while len(self.buffer) < size:
                data = await self.stream.receive_some()
                assert data, "the gateway closed the connection"
                self.buffer += data


async def _raw_client(stream: trio.SocketStream) -> _Raw:
    await stream.send_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    client = _Raw(stream)
    while b"\r\n\r\n" not in client.buffer:
        client.buffer += await stream.receive_some()
    del client.buffer[: client.buffer.index(b"\r\n\r\n") + 4]
    await client.send({"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "raw", "version": "1"}}})
    assert "result" in await client.receive()
    return client
