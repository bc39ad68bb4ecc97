"""Tools that clients offer: judged at once, called through one client at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.lowlevel

from actors.gateway.dynamic_tools import MAX_TOOLS
from messages.base import ItemId, TurnId
from messages.client.item import TextContentItem
from messages.client_call import ClientAnswer, ClientCall
from messages.session import AnswerClientCall
from messages.tool_set import DynamicTool
from tests.actors.gateway.stage import CallError, FakeClient, FakeSession, Stage, open_stage

pytestmark = pytest.mark.reference

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
CALL = ClientCall(
    id="call-1", turn_id=TurnId("turn-1"), item_id=ItemId("x"), tool="look", namespace="app", arguments={"q": "x"}
)
ASKED = {
    "threadId": "t",
    "turnId": "turn-1",
    "callId": "x",
    "tool": "look",
    "namespace": "app",
    "arguments": {"q": "x"},
}


def function(name: str = "look", schema: Any = SCHEMA, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": "Looks.", "inputSchema": schema, **fields}


def with_tools(stage: Stage) -> FakeSession:
    session = stage.house.new("t")
    tool = DynamicTool(name="look", namespace="app", description="Looks.", parameters=SCHEMA, wires=("responses",))
    session.settings = msgspec.structs.replace(session.settings, dynamic_tools=(tool,))
    return session


async def watch(client: FakeClient) -> None:
    await client.call("thread/resume", {"threadId": "t", "excludeTurns": True})


async def nothing_asked(client: FakeClient) -> None:
    """What is asked of this client has arrived when the answer to a later request has."""
    await client.call("thread/loaded/list", {})
    assert not [frame for frame in client.told if frame.get("method") == "item/tool/call"]


async def test_tools_are_kept_with_their_thread(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        tools = [function(), {"type": "namespace", "name": "app", "description": "", "tools": [function()]}]
        await client.call("thread/start", {"dynamicTools": [*tools, function("later", deferLoading=True)]})
        [session] = stage.house.sessions.values()
        names = [(tool.full_name, tool.deferred) for tool in session.settings.dynamic_tools]
        assert names == [("look", False), ("app__look", False), ("later", True)]
        assert session.settings.dynamic_tools[0].wires == ("responses", "chat", "messages")


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ([function(schema={"type": "array"})], "'look' cannot be offered to any model: /type: it must be \"object\""),
        ([function("two words")], "'two words' cannot be offered to any model: name"),
        ([function(schema=7)], "'look' cannot be offered to any model: the schema: it is not a JSON object"),
        ([function("exec_command")], "'exec_command' has the name of a tool of the daemon"),
        ([function(), function()], "'look' has the name of another tool"),
        ([function(f"t{number}") for number in range(MAX_TOOLS + 1)], "at most 256 are taken"),
    ],
)
async def test_a_tool_that_no_model_can_be_offered_is_refused_with_the_reason(
    tmp_path: Path, tools: list[Any], why: str
) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        with pytest.raises(CallError) as caught:
            await client.call("thread/start", {"dynamicTools": tools})
        assert caught.value.code == -32602
        assert why in str(caught.value)
        assert not stage.house.sessions


async def test_one_of_those_who_watch_is_asked_and_its_answer_reaches_the_session(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as host, stage.client() as other:
        session = with_tools(stage)
        await watch(host)
        await watch(other)
        session.say("x")
        session.feed.ask_client(CALL)
        started = await host.next()
        asked = await host.next()
        assert (started["method"], asked["method"]) == ("item/started", "item/tool/call")
        assert asked["params"] == ASKED
        await nothing_asked(other)
        result = {
            "success": True,
            "contentItems": [{"type": "inputText", "text": "seen"}, {"type": "inputAudio", "audioUrl": "data:x"}],
        }
        await host.send({"id": asked["id"], "result": result})
        with trio.fail_after(5):
            while not isinstance(session.heard[-1], AnswerClientCall):
                await trio.lowlevel.checkpoint()
        answer = session.heard[-1]
        assert isinstance(answer, AnswerClientCall)
        assert answer.client_call_id == "call-1"
        told = (TextContentItem(text="seen"), TextContentItem(text="(a sound, which cannot be passed on to a model)"))
        assert answer.answer == ClientAnswer(success=True, content=told)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ({"error": {"code": -32601, "message": "no such tool"}}, "The client could not run this call: "),
        ({"result": {"success": "yes"}}, "its answer cannot be read"),
    ],
)
async def test_an_answer_that_is_none_is_a_failure_with_words(tmp_path: Path, frame: dict[str, Any], why: str) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as host:
        session = with_tools(stage)
        await watch(host)
        session.feed.ask_client(CALL)
        asked = await host.next("item/tool/call")
        await host.send({"id": asked["id"], **frame})
        with trio.fail_after(5):
            while not isinstance(session.heard[-1], AnswerClientCall):
                await trio.lowlevel.checkpoint()
        answer = session.heard[-1]
        assert isinstance(answer, AnswerClientCall)
        assert answer.answer.success is False
        assert why in (answer.answer.problem or "")


async def test_when_the_host_goes_the_next_who_watches_is_asked_the_same(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as other:
        session = with_tools(stage)
        async with stage.client() as host:
            await watch(host)
            await watch(other)
            session.feed.ask_client(CALL)
            first = await host.next("item/tool/call")
        second = await other.next("item/tool/call")
        assert (second["id"], second["params"]) == (first["id"], first["params"])


async def test_whoever_comes_while_nobody_watches_is_asked(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = with_tools(stage)
        session.feed.ask_client(CALL)
        await watch(client)
        assert (await client.next("item/tool/call"))["params"] == ASKED


async def test_a_client_that_runs_no_tools_can_say_so(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client(initialize=False) as viewer, stage.client() as host:
        await viewer.initialize(optOutNotificationMethods=["item/tool/call"])
        session = with_tools(stage)
        await watch(viewer)
        session.feed.ask_client(CALL)
        await nothing_asked(viewer)
        await watch(host)
        await host.next("item/tool/call")
        await nothing_asked(viewer)


async def test_a_call_that_is_over_is_asked_of_nobody(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = with_tools(stage)
        session.feed.ask_client(CALL)
        session.feed.end_client_call(CALL.id)
        await watch(client)
        await nothing_asked(client)
