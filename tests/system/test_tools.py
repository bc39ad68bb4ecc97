"""Tools from the wire to the wire: what people see of a call, and what the next request to the model holds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import connect

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_each_tool_is_shown_and_told_in_its_own_form(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    (workspace / "dot.png").write_bytes(PIXEL)
    (workspace / "src").mkdir()
    (workspace / "src/core.py").write_text("x = 1\n")
    told: dict[str, Any] = {}

    def play(exchange: Exchange) -> None:
        if exchange.round == 0:
            exchange.call("view_image", {"path": "dot.png"}, "see")
            exchange.call("file_search", {"query": "core"}, "find")
            exchange.call("shell", {"command": ["printf", "%s|", "a b", "$HOME"]}, "run")
            exchange.call("update_plan", {"plan": [{"step": "look", "status": "in_progress"}]}, "plan")
        else:
            told.update({item["call_id"]: item["output"] for item in exchange.since_user if "output" in item})
            exchange.say("Done.")
        exchange.complete()

    model.on("look", play)
    with deadline(20, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn = await peer.run_turn(thread["id"], "look around")
            assert turn["status"] == "completed"
            items = {note["item"]["type"]: note["item"] for note in peer.notes("item/completed")}
            assert items["imageView"]["path"] == str(workspace / "dot.png")
            assert (items["dynamicToolCall"]["tool"], items["dynamicToolCall"]["success"]) == ("file_search", True)
            assert items["commandExecution"]["aggregatedOutput"] == "a b|$HOME|"
            [plan] = peer.notes("turn/plan/updated")
            assert plan["plan"] == [{"step": "look", "status": "inProgress"}]
            assert unfinished(peer) == []
    [image] = told["see"]
    assert (image["type"], image["detail"]) == ("input_image", "original")
    assert base64.b64decode(image["image_url"].partition(",")[2]) == PIXEL
    assert told["find"].splitlines()[0].endswith(" src/core.py")
    assert told["run"].endswith("Output:\na b|$HOME|")
    assert told["plan"] == "Plan updated"
    assert history_problems(thread) == []
    assert model.problems == []


async def test_a_thread_is_offered_what_its_client_chose_and_nothing_else_runs(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    offered: list[list[str]] = []

    def play(exchange: Exchange) -> None:
        offered.append([tool.get("name", tool["type"]) for tool in exchange.request.get("tools", [])])
        if exchange.round == 0:
            exchange.call("list_dir", {"dir_path": "/"}, "ls")
        else:
            exchange.say(exchange.output_of("ls"))
        exchange.complete()

    model.on("choose", play)
    with deadline(20, daemon):
        async with connect(daemon) as peer:
            started = await peer.request(
                "thread/start", {"cwd": str(workspace), "callboardTools": {"only": ["read_file", "shell"]}}
            )
            thread_id = started["thread"]["id"]
            await peer.run_turn(thread_id, "choose")
            said = [note["item"] for note in peer.notes("item/completed") if note["item"]["type"] == "agentMessage"]
            assert said[-1]["text"] == "unsupported call: list_dir"
    assert offered == [["shell", "read_file"]] * 2
