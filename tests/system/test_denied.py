"""A command that its sandbox really denied something, from the wire to the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import Frame, Peer, connect
from tests.system.test_sandbox import callboard

METHOD = "item/commandExecution/requestApproval"
ASKING: Frame = {"granular": {"sandbox_approval": True, "rules": True, "mcp_elicitations": True}}


@pytest.fixture
def confined(tmp_path: Path) -> None:
    """Skips where nothing can confine a command."""
    if '"summary": "none:' in callboard(tmp_path, "doctor", "--json").stdout:
        pytest.skip("nothing can confine a command here")


def write(exchange: Exchange) -> None:
    """A play: try to write a file, then say what was answered."""
    if exchange.round == 0:
        exchange.run("echo tried; echo x >> made", f"call-{exchange.serial}")
    else:
        (output,) = [each["output"] for each in exchange.since_user if each["type"] == "function_call_output"]
        exchange.say(output.partition("Output:\n")[2])
    exchange.complete()


def recite(exchange: Exchange) -> None:
    """A play: say all that was sent."""
    exchange.say(str(exchange.input))
    exchange.complete()


async def reading_thread(peer: Peer, workspace: Path, policy: Frame | str) -> Frame:
    params = {"cwd": str(workspace), "approvalPolicy": policy, "sandbox": "read-only"}
    thread: Frame = (await peer.request("thread/start", params))["thread"]
    return thread


def said(peer: Peer) -> str:
    """The model's last words."""
    items = [note["item"] for note in peer.notes("item/completed") if note["item"]["type"] == "agentMessage"]
    return str(items[-1]["text"])


@pytest.mark.usefixtures("confined")
async def test_a_yes_runs_the_same_call_again_without_its_sandbox_and_a_no_does_not(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("write", write)
    with deadline(25, daemon):
        async with connect(daemon) as peer:
            thread = await reading_thread(peer, workspace, ASKING)
            turn_id = await peer.start_turn(thread["id"], "write it")
            request = await peer.note(METHOD)
            assert request["params"]["reason"].startswith("command failed; retry without sandbox? (the sandbox said: ")
            assert not (workspace / "made").exists()
            await peer.answer(request, {"decision": "decline"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert "probably denied by the read-only sandbox: no file can be changed" in said(peer)
            assert said(peer).endswith("[not run again: the user declined to let it out of the sandbox]\n")
            assert not (workspace / "made").exists()

            seen = len(peer.frames)
            turn_id = await peer.start_turn(thread["id"], "write it")
            request = await peer.note(METHOD, after=seen)
            await peer.answer(request, {"decision": "accept"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert (workspace / "made").read_text() == "x\n"
            assert said(peer).endswith("this is its second run, without the sandbox]\ntried\n")
            (item,) = [
                note["item"]
                for note in peer.notes("item/completed")
                if note["item"]["id"] == request["params"]["itemId"]
            ]
            assert (item["status"], item["exitCode"]) == ("completed", 0)
            assert unfinished(peer) == []
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.usefixtures("confined")
async def test_killed_while_people_are_asked_the_call_is_unknown_and_is_not_run(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("write", write)
    lone.start()
    with deadline(25, lone):
        async with connect(lone) as peer:
            thread = await reading_thread(peer, workspace, "untrusted")
            await peer.start_turn(thread["id"], "write it")
            first = await peer.note(METHOD)
            await peer.answer(first, {"decision": "accept"})  # the policy asks about every command
            await peer.note(METHOD, after=peer.frames.index(first) + 1)
            lone.kill()
        assert await lone.all_gone() == []
        lone.spawn()
        await until(lone.announced)
        async with connect(lone) as peer:
            resumed = (await peer.request("thread/resume", {"threadId": thread["id"]}))["thread"]
            assert (resumed["status"]["type"], resumed["turns"][-1]["status"]) == ("idle", "interrupted")
            model.on("what", recite)
            await peer.run_turn(thread["id"], "what happened")
            assert "outcome unknown: callboard stopped while this call was running" in said(peer)
            assert not (workspace / "made").exists()
    assert history_problems(thread) == []
    assert model.problems == []
