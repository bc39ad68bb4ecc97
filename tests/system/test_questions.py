"""A question of the model's, from the wire to the wire: it outlives clients and the daemon, and is answered once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import Frame, Peer, connect
from tests.system.test_promises import tool_turn

METHOD = "item/tool/requestUserInput"
QUESTION = {
    "id": "q1",
    "header": "Pick",
    "question": "Which one?",
    "options": [{"label": "A", "description": "first"}, {"label": "B", "description": "second"}],
}


def ask(exchange: Exchange) -> None:
    """A play: ask, then say what was answered."""
    if exchange.round == 0:
        exchange.call("request_user_input", {"questions": [QUESTION]}, "ask-1")
    else:
        exchange.say(f"heard {exchange.output_of('ask-1')}")
    exchange.complete()


async def plan_turn(peer: Peer, thread_id: str, text: str) -> str:
    mode: Frame = {"mode": "plan", "settings": {"model": "scripted"}}
    params: dict[str, Any] = {"threadId": thread_id, "input": [{"type": "text", "text": text}]}
    return str((await peer.request("turn/start", {**params, "collaborationMode": mode}))["turn"]["id"])


async def test_a_question_survives_kill_and_restart_and_the_first_answer_counts(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("ask", ask)
    lone.start()
    with deadline(25, lone):
        async with connect(lone) as peer:
            thread = await peer.start_thread(workspace)  # approval policy `never`: a question is asked all the same
            turn_id = await plan_turn(peer, thread["id"], "ask me")
            request = await peer.note(METHOD)
            assert request["params"] == {
                "threadId": thread["id"],
                "turnId": turn_id,
                "itemId": request["params"]["itemId"],
                "questions": [{**QUESTION, "isOther": True, "isSecret": False}],
                "isBlocking": True,
                "autoResolutionMs": None,
            }
            lone.kill()
        assert await lone.all_gone() == []
        lone.spawn()
        await until(lone.announced)
        async with connect(lone, "one") as one, connect(lone, "two") as two:
            resumed = (await one.request("thread/resume", {"threadId": thread["id"]}))["thread"]
            assert resumed["status"] == {"type": "active", "activeFlags": ["waitingOnUserInput"]}
            again = await one.note(METHOD)
            assert (again["id"], again["params"]) == (request["id"], request["params"])
            await two.request("thread/resume", {"threadId": thread["id"]})
            await two.answer(await two.note(METHOD), {"answers": {"q1": {"answers": ["B"]}}})
            assert (await one.note("serverRequest/resolved"))["params"]["requestId"] == request["id"]
            await one.answer(again, {"answers": {"q1": {"answers": ["A"]}}})  # too late
            assert (await one.turn_completed(turn_id))["status"] == "completed"
            [said] = [note["item"] for note in one.notes("item/completed") if note["item"]["type"] == "agentMessage"]
            assert said["text"] == 'heard {"answers":{"q1":{"answers":["B"]}}}'
            assert unfinished(one) == []
    assert history_problems(thread) == []
    assert model.problems == []


async def test_in_default_mode_a_model_cannot_ask_and_is_told_so(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("ask", ask)
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            await peer.run_turn(thread["id"], "ask me")
            said = [note["item"] for note in peer.notes("item/completed") if note["item"]["type"] == "agentMessage"]
            assert said[-1]["text"] == "heard request_user_input is unavailable in Default mode"


async def test_one_call_is_cancelled_by_its_item_and_its_siblings_go_on(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("both", tool_turn("sleep 300", "sleep 0.5; echo survived"))
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "both please")
            started = await peer.wait(lambda f: f.get("method") == "item/started" and "sleep 300" in str(f["params"]))
            await peer.request(
                "callboard/toolCall/cancel", {"threadId": thread["id"], "callId": started["params"]["item"]["id"]}
            )
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            items = [note["item"] for note in peer.notes("item/completed") if "command" in note["item"]]
            assert sorted((item["status"], item.get("aggregatedOutput")) for item in items) == [
                ("completed", "survived\n"),
                ("failed", None),
            ]
    assert history_problems(thread) == []
    assert model.problems == []
