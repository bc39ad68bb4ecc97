"""`tools.spawn` in the real daemon: real workers, real commands, over the wire."""

from __future__ import annotations

from pathlib import Path

from tests.system.daemon import SOON_OVER, daemon_process, of_thread
from tests.system.deadline import deadline, until
from tests.system.model import ScriptedModel
from tests.system.peer import connect

SOURCE = """\
const served = await tools.spawn.exec({ command: ["sh", "-c", "while [ ! -e go ]; do sleep 0.05; done; echo went"], timeoutMs: 250 });
const kept = await tools.spawn.exec({ command: ["sleep", "1000"], timeoutMs: 250 });
return [served, kept];
"""


async def test_commands_that_were_spawned_go_on_and_end_by_themselves_or_by_a_client(
    model: ScriptedModel, tmp_path: Path
) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir(mode=0o700)
    folder.mkdir()
    (home / "config.toml").write_text("[scripts]\nspawn = true\n")
    with daemon_process(home, [*model.flags(), *SOON_OVER]) as daemon, deadline(30, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(folder)
            asked = {"threadId": thread["id"], "source": SOURCE}
            turn = (await peer.request("callboard/script/run", asked))["turn"]
            assert (await peer.turn_completed(turn["id"]))["status"] == "completed"
            listed = (await peer.request("thread/backgroundTerminals/list", {"threadId": thread["id"]}))["data"]
            assert [each["processId"] for each in listed] == ["1", "2"]
            assert "sleep 1000" in listed[1]["command"]
            (folder / "go").touch()
            ended = {"threadId": thread["id"], "processId": "2"}
            assert (await peer.request("thread/backgroundTerminals/terminate", ended))["terminated"]

            def done() -> dict[str, object]:
                items = [note["item"] for note in peer.notes("item/completed", thread["id"])]
                return {item["id"]: item.get("exitCode") for item in items if item["type"] == "commandExecution"}

            await until(lambda: len(done()) == 2)
            assert done()[listed[0]["itemId"]] == 0
            assert of_thread(thread["id"]) == []
            assert (await peer.run_turn(thread["id"], "and now?"))["status"] == "completed"
            told = [
                part["text"]
                for item in model.exchanges[-1].input
                for part in item.get("content", ())
                if part.get("text", "").startswith("<spawned-call")
            ]
            assert [text.partition(">")[0] for text in sorted(told)] == [
                '<spawned-call task="1" tool="exec_command" outcome="done"',
                '<spawned-call task="2" tool="exec_command" outcome="cancelled"',
            ]
            assert "went" in min(told)
