"""One client and the gateway: the handshake, requests, errors, and that nothing it sends harms anybody."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_websocket

from messages.approval import GranularPolicy, GranularSwitches
from messages.base import ThreadId
from messages.session import InterruptTurn, ReadThread, Refused, StartTurn, SteerTurn, ThreadStatus, Warned
from tests.actors.gateway.stage import CallError, FakeClient, open_stage
from tests.actors.gateway.test_door import UPGRADE

pytestmark = pytest.mark.reference


async def _started(client: FakeClient) -> str:
    return str((await client.call("thread/start", {"cwd": "/w"}))["thread"]["id"])


async def _still_works(client: FakeClient) -> None:
    assert (await client.call("account/read"))["requiresOpenaiAuth"] is False


async def test_the_first_conversation(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client(initialize=False) as client:
        with pytest.raises(CallError, match="-32600 Not initialized"):
            await client.call("model/list")
        with pytest.raises(CallError, match="-32602 initialize: Object missing required field `clientInfo`"):
            await client.call("initialize")
        result = await client.initialize()
        assert result["userAgent"].startswith("probe/0.169.0 ")
        assert result["codexHome"] == str(tmp_path)
        with pytest.raises(CallError, match="-32600 Already initialized"):
            await client.initialize()
        with pytest.raises(CallError, match="-32601 Method not found: no/such"):
            await client.call("no/such")
        await _still_works(client)


async def test_frames_in_the_same_packet_as_the_request_are_answered_after_the_handshake(tmp_path: Path) -> None:
    """RFC 6455 §4.1 forbids a client to send them; one in a hurry does."""
    hello = json.dumps({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "p", "version": "1"}}})
    key = bytes(4)  # masking with zeros leaves a text as it is (RFC 6455 §5.3)
    frame = b"\x81" + bytes([0x80 | len(hello)]) + key + hello.encode()
    head = b"GET / HTTP/1.1\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in UPGRADE) + b"\r\n"
    async with open_stage(tmp_path) as stage:
        async with await trio.open_tcp_stream("127.0.0.1", stage.port) as stream:
            await stream.send_all(head + frame)
            said = b""
            with trio.fail_after(5):
                while b'"userAgent"' not in said:
                    said += await stream.receive_some()
        assert said.startswith(b"HTTP/1.1 101 ")


async def test_ids_come_back_as_they_were_and_params_may_be_left_out(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        for id_ in (0, -7, "s-1", "ü"):
            await client.send({"jsonrpc": "2.0", "id": id_, "method": "configRequirements/read", "unknown": 1})
            assert await client.receive() == {"id": id_, "result": {}}


MALFORMED = [
    ("not json", -32700),
    ("", -32700),
    ('{"id":1', -32700),
    ("[" * 10_000 + "]" * 10_000, -32600),
    ('{"id":1,"method":"model/list","params":' + '{"a":' * 10_000 + "1" + "}" * 10_001, -32700),
    ("[]", -32600),
    ('[{"id":101,"method":"model/list","params":{}}]', -32600),
    ("7", -32600),
    ('{"id":1.5,"method":"model/list","params":{}}', -32600),
    ('{"id":null,"method":"model/list","params":{}}', -32600),
    ('{"id":true,"method":"model/list"}', -32600),
    ('{"id":99}', -32600),
    ("{}", -32600),
    ('{"method":7}', -32600),
]


async def test_malformed_messages_are_answered_and_harm_nobody(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client, stage.client() as other:
        for text, code in MALFORMED:
            await client.send(text)
            frame = await client.receive()
            assert (frame["error"]["code"], frame["id"]) == (code, 99 if text == '{"id":99}' else None), text[:60]
        await _still_works(client)
        await _still_works(other)


@pytest.mark.parametrize(
    "text",
    [
        '{"method":"bogus/notification"}',
        '{"id":7777,"result":{}}',
        '{"id":"unknown","result":{"decision":"accept"}}',
        '{"id":7778,"error":{"code":1,"message":"x"}}',
        '{"id":"x","error":17}',
    ],
)
async def test_what_needs_no_answer_gets_none(tmp_path: Path, text: str) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        await client.send(text)
        await _still_works(client)


@pytest.mark.parametrize(
    ("method", "params", "names"),
    [
        ("thread/start", {"cwd": 5}, r"Expected `str \| null`, got `int` - at `\$.cwd`"),
        ("thread/start", {"approvalPolicy": "bogus"}, r"'bogus' - at `\$.approvalPolicy`"),
        (
            "thread/start",
            {"approvalPolicy": {"granular": {"rules": True}}},
            r"`sandbox_approval` - at `\$.approvalPolicy",
        ),
        ("thread/read", {}, "missing required field `threadId`"),
        ("turn/start", {"threadId": "t", "input": [{"type": "bogus"}]}, r"'bogus' - at `\$.input\[0\].type`"),
        ("thread/start", {"cwd": "relative"}, "cwd must be an absolute path"),
        ("thread/start", {"modelProvider": "nope"}, "no model provider 'nope'; known are openai, rehearsal"),
        ("thread/list", {"cursor": "bad"}, "invalid cursor"),
        ("thread/loaded/list", {"cursor": "bad"}, "invalid cursor"),
        ("thread/name/set", {"threadId": "t", "name": " \n"}, "name is empty"),
        ("command/exec", {"command": []}, "command is empty"),
        ("command/exec", {"command": ["ls"], "streamStdoutStderr": True}, "needs a processId"),
        ("config/value/write", {"keyPath": "a..b", "value": 1}, "keyPath 'a..b'"),
        (
            "config/value/write",
            {"keyPath": "approval_policy", "value": "maybe"},
            "approval_policy: 'maybe' is not accepted",
        ),
    ],
)
async def test_bad_params_are_refused_by_the_name_of_the_field(
    tmp_path: Path, method: str, params: dict[str, Any], names: str
) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        with pytest.raises(CallError, match=f"-32602 .*{names}"):
            await client.call(method, params)


@pytest.mark.parametrize(
    "method",
    ["thread/resume", "thread/read", "turn/start", "turn/interrupt", "thread/name/set", "thread/turns/list"],
)
async def test_unknown_threads_are_named(tmp_path: Path, method: str) -> None:
    params = {"threadId": "0196-none", "input": [], "name": "x", "turnId": "t"}
    async with open_stage(tmp_path) as stage, stage.client() as client:
        with pytest.raises(CallError, match="-32600 thread not found: 0196-none"):
            await client.call(method, params)
        assert await client.call("thread/unsubscribe", params) == {"status": "notLoaded"}


async def test_a_message_of_17_megabytes_ends_its_own_connection_with_a_reason(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as other:
        async with stage.client() as client:
            await client.send(json.dumps({"id": 1, "method": "x", "params": "a" * (17 << 20)}))
            with pytest.raises(trio_websocket.ConnectionClosed) as closed:
                await client.receive()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1009
        await _still_works(other)


async def test_a_message_of_15_megabytes_is_read(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        with pytest.raises(CallError, match="-32601"):
            await client.call("no/such", {"text": "a" * (15 << 20)})


async def test_an_input_beyond_the_limit_is_refused_and_the_connection_lives(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        params = {"threadId": thread_id, "input": [{"type": "text", "text": "x" * 1_048_577}]}
        with pytest.raises(CallError, match="-32602") as refused:
            await client.call("turn/start", params)
        assert refused.value.data == {
            "input_error_code": "input_too_large",
            "max_chars": 1_048_576,
            "actual_chars": 1_048_577,
        }
        await _still_works(client)


async def test_beyond_the_limit_requests_are_refused_at_once_and_others_are_served(tmp_path: Path) -> None:
    async with (
        open_stage(tmp_path, max_requests_in_flight=3) as stage,
        stage.client() as client,
        stage.client() as other,
    ):
        thread_id = await _started(client)
        session = stage.house.sessions[ThreadId(thread_id)]
        session.hang = True
        for number in range(3):
            await client.send({"id": f"slow-{number}", "method": "thread/read", "params": {"threadId": thread_id}})
        with pytest.raises(CallError, match="-32001") as refused:
            await client.call("account/read")
        assert "server_overloaded" in json.dumps(refused.value.data)
        await _still_works(other)


async def test_requests_start_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        for number in range(40):
            params = {"threadId": thread_id, "input": [], "clientUserMessageId": str(number)}
            await client.send({"id": f"r{number}", "method": "turn/start", "params": params})
        await _still_works_after(client, 40)
        heard = stage.house.sessions[ThreadId(thread_id)].heard
        assert [each.submission_id for each in heard if isinstance(each, StartTurn)] == [str(n) for n in range(40)]


async def _still_works_after(client: FakeClient, answers: int) -> None:
    while answers:
        if "id" in await client.receive():
            answers -= 1


async def test_a_defect_in_a_method_is_answered_and_logged_without_its_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        stage.house.requests = None  # type: ignore[assignment]  # whatever breaks inside
        with caplog.at_level(logging.ERROR), pytest.raises(CallError, match="-32603") as failed:
            await client.call("thread/list")
        assert failed.value.message == "thread/list: internal error; the daemon's log has the details"
        assert "AttributeError" in caplog.text
        assert (await client.call("thread/read", {"threadId": thread_id}))["thread"]["id"] == thread_id


@pytest.mark.parametrize(
    ("reason", "code"), [("no_active_turn", -32600), ("wrong_turn", -32600), ("too_large", -32602), ("storage", -32603)]
)
async def test_what_a_session_refuses_is_told_in_its_words(tmp_path: Path, reason: Any, code: int) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        stage.house.sessions[ThreadId(thread_id)].refuse = Refused(reason=reason, message="No. Because.")
        with pytest.raises(CallError) as refused:
            await client.call("turn/interrupt", {"threadId": thread_id, "turnId": "t"})
        assert (refused.value.code, refused.value.message) == (code, "No. Because.")


async def test_a_session_that_dies_over_a_request_is_an_error_of_that_request_only(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        session = stage.house.sessions[ThreadId(thread_id)]
        session.hang = True
        async with trio.open_nursery() as nursery:

            async def die() -> None:
                while not any(isinstance(each, ReadThread) for each in session.heard):
                    await trio.testing.wait_all_tasks_blocked(0.01)
                session.mailbox.close("crash", "RuntimeError")

            nursery.start_soon(die)
            with pytest.raises(CallError, match=r"-32603 thread/read: .* ended \(crash"):
                await client.call("thread/read", {"threadId": thread_id})
        await _still_works(client)


async def test_a_client_can_opt_out_of_notifications_but_not_of_questions(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client(initialize=False) as client:
        await client.initialize(optOutNotificationMethods=["warning", "item/commandExecution/requestApproval"])
        thread_id = await _started(client)
        session = stage.house.sessions[ThreadId(thread_id)]
        from tests.actors.gateway.test_watching import APPROVAL

        session.put(Warned(message="not for you"))
        session.ask(APPROVAL)
        methods = [(await client.next())["method"] for _ in range(2)]
        assert methods == ["thread/started", "item/commandExecution/requestApproval"]


async def test_turn_settings_reach_the_session_in_our_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        thread_id = await _started(client)
        await client.call(
            "turn/start",
            {
                "threadId": thread_id,
                "input": [{"type": "text", "text": "hi", "text_elements": []}],
                "approvalPolicy": {"granular": {"rules": True, "sandbox_approval": False, "mcp_elicitations": True}},
                "sandboxPolicy": {"type": "readOnly"},
                "model": "other",
                "collaborationMode": {"mode": "default", "settings": {"model": "m2", "reasoning_effort": "high"}},
                "clientUserMessageId": "c-1",
            },
        )
        await client.call("turn/steer", {"threadId": thread_id, "input": [], "expectedTurnId": "turn-1"})
        await client.call("turn/interrupt", {"threadId": thread_id, "turnId": "turn-1"})
        started, steered, interrupted = stage.house.sessions[ThreadId(thread_id)].heard[1:]
        assert isinstance(started, StartTurn)
        assert started.settings is not None
        switches = GranularSwitches(rules=True, sandbox_approval=False, mcp_elicitations=True)
        assert started.settings.approval_policy == GranularPolicy(granular=switches)
        assert started.settings.model == "m2"
        assert started.settings.reasoning_effort == "high"
        assert (started.submission_id, started.client_id) == ("c-1", "c-1")
        assert isinstance(steered, SteerTurn)
        assert isinstance(interrupted, InterruptTurn)


async def test_a_client_that_goes_leaves_its_threads_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        async with stage.client() as client:
            thread_id = ThreadId(await _started(client))
            session = stage.house.sessions[thread_id]
            assert session.feed.subscribers == 1
        with trio.fail_after(5):
            while session.feed.subscribers:
                await trio.testing.wait_all_tasks_blocked(0.01)
        session.put(Warned(message="nobody hears this"))
        assert session.feed.cursors == set()


async def test_on_shutdown_clients_are_told_what_there_still_is_and_then_why(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.sessions[ThreadId(await _started(client))]
        await client.next("thread/started")
        session.say("m", "last ", "words")
        session.said("m", "last words")
        stage.shut_down()
        methods = [(await client.next())["method"] for _ in range(3)]
        assert methods == ["item/started", "item/agentMessage/delta", "item/completed"]
        with pytest.raises(trio_websocket.ConnectionClosed) as gone:
            await client.receive()
        reason = gone.value.reason
        assert reason is not None
        assert (reason.code, reason.reason) == (1001, "the daemon is shutting down")


async def test_broadcasts_reach_whoever_is_initialized(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client, stage.client() as other:
        await _started(client)
        async with stage.client(initialize=False) as silent:
            thread_id = ThreadId(await _started(client))
            session = stage.house.sessions[thread_id]
            await other.next("thread/started")
            assert (await other.next("thread/started"))["params"]["thread"]["id"] == thread_id
            from messages.session import StatusChanged

            session.put(StatusChanged(status=ThreadStatus(kind="active")))
            for each in (client, other):
                told = await each.next("thread/status/changed")
                assert told["params"] == {"threadId": thread_id, "status": {"type": "active", "activeFlags": []}}
            session.put(Warned(message="for those who watch"))
            session.feed.close()
            assert [(await client.next())["method"] for _ in range(3)] == [
                "warning",
                "thread/status/changed",
                "thread/closed",
            ]
            assert [(await other.next())["method"] for _ in range(2)] == ["thread/status/changed", "thread/closed"]
            assert silent.told == []
            with pytest.raises(CallError, match="Not initialized"):
                await silent.call("account/read")


async def test_settings_warnings_are_told_once_the_client_is_ready(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\nmodle = 'a'\n")
    async with open_stage(tmp_path) as stage, stage.client() as client:
        assert (await client.next())["params"] == {
            "summary": f"{file}:2:1: unknown setting 'modle'; did you mean 'model'? (ignored)",
            "path": str(file),
            "range": {"start": {"line": 2, "column": 1}, "end": {"line": 2, "column": 1}},
        }
