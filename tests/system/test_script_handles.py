"""Large values and images of scripts in the real daemon: rows I of docs/scripts-matrix.md."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import RpcFailedError, connect
from tests.system.test_scripts import PATIENCE, script_turn

COUNT = 300_000
LINES = "".join(f"{number}\n" for number in range(1, COUNT + 1))


@pytest.mark.parametrize("row", ["I11"], ids=["I11"])
async def test_a_handle_outlives_a_kill_and_is_read_by_script_model_and_client(
    row: str, lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    source = f"""const {{output, exitCode}} = await tools.exec({{command: ["seq", "1", "{COUNT}"]}});
        return [exitCode, output, await output.slice(0, 10), await output.slice(-7)]"""
    model.on("count", script_turn(source))
    with deadline(2 * PATIENCE, lone):
        lone.start()
        async with connect(lone) as peer:
            thread = await peer.start_thread(workspace)
            ended = await peer.run_turn(thread["id"], "count them")
            assert (ended["status"], unfinished(peer)) == ("completed", []), row
            other = await peer.start_thread(workspace)
        (told,) = model.asked("count")[-1].script_results
        code, handle, head, tail = json.loads(told.splitlines()[1])
        assert (code, handle["size"], head, tail) == (0, len(LINES), LINES[:10], LINES[-7:])
        lone.kill()
        lone.wait_until_gone()
        lone.start()

        def look(exchange: Exchange) -> None:
            if exchange.round == 0:
                exchange.call("read_handle", {"handle": handle["handle"], "from": -14, "to": -7}, "c1")
            else:
                exchange.say("Seen.")
            exchange.complete()

        model.on("look", look)
        async with connect(lone) as peer:
            read, at = "", 0
            while at < handle["size"]:
                wish = {"threadId": thread["id"], "handle": handle["handle"], "from": at}
                part = await peer.request("callboard/handle/read", wish)
                read, at = read + part["text"], part["to"]
            assert read == LINES
            with pytest.raises(RpcFailedError, match="a handle belongs to the thread it was made in"):
                await peer.request("callboard/handle/read", {"threadId": other["id"], "handle": handle["handle"]})
            await peer.request("thread/resume", {"threadId": thread["id"]})
            await peer.run_turn(thread["id"], "look again")
        said = model.asked("look")[-1].output_of("c1")
        size = len(LINES)
        head = f"Bytes {size - 14} to {size - 7} of {size} (text); read on from {size - 7}:"
        assert said == f"{head}\n{LINES[-14:-7]}"
        lone.stop()
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.parametrize("row", ["I12"], ids=["I12"])
async def test_a_picture_that_a_script_looks_at_is_shown_to_the_model_and_to_clients(
    row: str, daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    picture = io.BytesIO()
    Image.effect_noise((1200, 1200), 90).convert("RGB").save(picture, "PNG")
    assert len(picture.getvalue()) > 1024 * 1024, "too large to be passed on"
    (workspace / "a.png").write_bytes(picture.getvalue())
    Image.new("RGB", (4, 4), "red").save(workspace / "b.png")
    source = """const [a, b] = await Promise.all([tools.viewImage({path: "a.png"}), tools.viewImage({path: "b.png"})]);
        return [a.images[0].type, a.images[0].mediaType, a.images[0].size, b.images[0].slice(0, 15)]"""
    model.on("picture", script_turn(source))
    with deadline(PATIENCE, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            ended = await peer.run_turn(thread["id"], "picture this")
            assert (ended["status"], unfinished(peer)) == ("completed", []), row
            items = [note["item"] for note in peer.notes("item/completed", thread["id"])]
    (told,) = model.asked("picture")[-1].script_results
    assert json.loads(told.splitlines()[1]) == ["bytes", "image/png", len(picture.getvalue()), "data:image/png;"]
    message = next(item for item in model.asked("picture")[-1].since_user if item.get("role") == "user")
    shown = [part["image_url"] for part in message["content"] if part["type"] == "input_image"]
    assert [len(url) > 1024 * 1024 for url in shown] == [True, False]
    assert all(url.startswith("data:image/png;base64,") for url in shown)
    (script,) = (item for item in items if item.get("tool") == "script")
    assert [part.get("imageUrl") for part in script["contentItems"]] == [None, *shown]
    assert sorted(item["path"] for item in items if item["type"] == "imageView") == [
        str(workspace / "a.png"),
        str(workspace / "b.png"),
    ]
    assert model.problems == []
