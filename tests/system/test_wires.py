"""One thread through a whole daemon on every wire in turn: each hop goes on where the last one stopped, and runs a tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from tests.system.daemon import daemon_process
from tests.system.deadline import deadline
from tests.system.peer import connect
from tests.system.rehearsed import rehearsed_model

WIRES = {"responses": "responses", "chat": "chat", "messages": "messages", "line": "responses"}
"""Provider -> its wire; `line` speaks it over WebSocket."""

CONFIG = """
[model_providers.{name}]
base_url = "{url}"
wire_api = "{wire}"
profile = "rehearsal"
supports_websockets = {line}
"""


async def test_a_thread_goes_over_all_wires_with_its_tools_and_its_history(tmp_path: Path) -> None:
    stage = rehearsed_model()
    home, workspace = tmp_path / "home", tmp_path / "workspace"
    home.mkdir()
    workspace.mkdir()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(stage.serve)
        settings = [
            CONFIG.format(name=name, url=url, wire=wire, line=str(name == "line").lower())
            for name, wire in WIRES.items()
        ]
        head = 'model = "rehearsal"\nmodel_provider = "responses"\nsandbox_mode = "danger-full-access"\n'
        (home / "config.toml").write_text(head + "".join(settings))
        with daemon_process(home, []) as daemon, deadline(60, daemon):
            async with connect(daemon, "traveller") as peer:
                thread = await peer.start_thread(workspace, provider="responses")
                for number, name in enumerate((*WIRES, "responses", "line")):
                    params: dict[str, Any] = {
                        "threadId": thread["id"],
                        "modelProvider": name,
                        "input": [{"type": "text", "text": f"run: echo {name} >> passed.txt"}],
                    }
                    started = await peer.request("turn/start", params)
                    turn = await peer.turn_completed(started["turn"]["id"])
                    assert turn["status"] == "completed", (name, turn)
                    assert len((workspace / "passed.txt").read_text().splitlines()) == number + 1
        nursery.cancel_scope.cancel()
    assert (workspace / "passed.txt").read_text().split() == [*WIRES, "responses", "line"]
    assert stage.handshakes == 1, "the session kept its line while it spoke to others"
    sent = [played.items_sent for played in stage.performances]
    assert [items for items in sent if items is not None][1] == 1, "the call's output alone"
    assert {played.ended for played in stage.performances} == {"whole"}
