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


RIGHTS = "item/permissions/requestApproval"


def ask_then_write(exchange: Exchange) -> None:
    """A play: ask for the right to write, try to, say what came of both."""
    (folder,) = [word for word in exchange.user.split() if word.startswith("/")]
    permissions = {"file_system": {"write": [folder]}}
    outputs = [str(each["output"]) for each in exchange.since_user if each["type"] == "function_call_output"]
    if exchange.round == 0:
        arguments = {"permissions": permissions, "reason": "to keep results"}
        exchange.call("request_permissions", arguments, f"ask-{exchange.serial}")
    elif exchange.round == 1:
        exchange.run(f"echo x >> {folder}/made", f"write-{exchange.serial}")
    else:
        exchange.say(f"{outputs[0]}\n{outputs[1].partition('Output:')[2]}")
    exchange.complete()


def only_write(exchange: Exchange) -> None:
    """A play: try to write, say what came of it."""
    (folder,) = [word for word in exchange.user.split() if word.startswith("/")]
    if exchange.round == 0:
        exchange.run(f"echo x >> {folder}/made", f"write-{exchange.serial}")
    else:
        exchange.say("tried")
    exchange.complete()


def lines(folder: Path) -> int:
    made = folder / "made"
    return len(made.read_text().splitlines()) if made.exists() else 0


@pytest.mark.usefixtures("confined")
async def test_rights_for_the_turn_end_with_it_and_those_for_the_session_outlive_a_restart(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path, tmp_path: Path
) -> None:
    model.on("ask", ask_then_write)
    model.on("only", only_write)
    folder = tmp_path / "results"
    folder.mkdir()
    lone.start()
    with deadline(40, lone):
        async with connect(lone) as peer:
            thread = await reading_thread(peer, workspace, "on-request")
            turn_id = await peer.start_turn(thread["id"], f"ask for {folder}")
            request = await peer.note(RIGHTS)
            assert request["params"]["reason"] == "to keep results"
            assert request["params"]["permissions"]["fileSystem"]["write"] == [str(folder)]
            await peer.answer(request, {"permissions": request["params"]["permissions"], "scope": "turn"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert lines(folder) == 1
            assert said(peer).startswith(f'{{"permissions":{{"file_system":{{"write":["{folder}"]}}}},"scope":"turn"}}')
            await peer.run_turn(thread["id"], f"only write {folder}")
            assert lines(folder) == 1, "the turn is over, and the right with it"

            seen = len(peer.frames)
            turn_id = await peer.start_turn(thread["id"], f"ask for {folder}")
            request = await peer.note(RIGHTS, after=seen)
            await peer.answer(request, {"permissions": request["params"]["permissions"], "scope": "session"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            changed = peer.notes("thread/settings/updated")[-1]["threadSettings"]["sandboxPolicy"]
            assert changed["callboard"]["granted"]["fileSystem"]["write"] == [str(folder)]
            await peer.run_turn(thread["id"], f"only write {folder}")
            assert lines(folder) == 3
            lone.kill()
        assert await lone.all_gone() == []
        lone.spawn()
        await until(lone.announced)
        async with connect(lone) as peer:
            resumed = await peer.request("thread/resume", {"threadId": thread["id"]})
            assert resumed["sandbox"]["type"] == "readOnly"
            assert resumed["sandbox"]["callboard"]["granted"]["fileSystem"]["write"] == [str(folder)]
            await peer.run_turn(thread["id"], f"only write {folder}")
            assert lines(folder) == 4
            await peer.request(
                "thread/settings/update", {"threadId": thread["id"], "permissions": ":danger-full-access"}
            )
            await peer.request("thread/settings/update", {"threadId": thread["id"], "permissions": ":read-only"})
            await peer.run_turn(thread["id"], f"only write {folder}")
            assert lines(folder) == 4, "another sandbox has taken it back"
            assert unfinished(peer) == []
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.usefixtures("confined")
async def test_declined_rights_leave_the_sandbox_as_it_is_and_a_question_outlives_a_kill(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path, tmp_path: Path
) -> None:
    model.on("ask", ask_then_write)
    folder = tmp_path / "results"
    folder.mkdir()
    lone.start()
    with deadline(30, lone):
        async with connect(lone) as peer:
            thread = await reading_thread(peer, workspace, "on-request")
            turn_id = await peer.start_turn(thread["id"], f"ask for {folder}")
            first = await peer.note(RIGHTS)
            lone.kill()
        assert await lone.all_gone() == []
        lone.spawn()
        await until(lone.announced)
        async with connect(lone) as peer:
            await peer.request("thread/resume", {"threadId": thread["id"]})
            again = await peer.note(RIGHTS)
            assert (again["id"], again["params"]) == (first["id"], first["params"])
            await peer.answer(again, {"permissions": {}, "scope": "turn"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert said(peer).startswith("permissions rejected by user: nothing was granted\n")
            assert lines(folder) == 0
            assert unfinished(peer) == []
    assert history_problems(thread) == []
    assert model.problems == []


SCRIPT = """\
const before = await tools.execCommand({cmd: "echo x >> FOLDER/made", login: false});
const asked = await tools.requestPermissions({permissions: {file_system: {write: ["FOLDER"]}}});
const after = await tools.execCommand({cmd: "echo y >> FOLDER/made", login: false});
const more = await tools.requestPermissions({permissions: {network: {enabled: true}}}).catch((e) => e.code);
return [before.exitCode, JSON.parse(asked).scope, after.exitCode, more];"""


@pytest.mark.usefixtures("confined")
async def test_a_scripts_calls_are_asked_about_as_any_others_are(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    source = SCRIPT.replace("FOLDER", str(folder))

    def compose(exchange: Exchange) -> None:
        if exchange.round == 0 and not exchange.script_results:
            exchange.script(source)
        else:
            exchange.say(exchange.script_results[-1])
        exchange.complete()

    model.on("compose", compose)
    every: Frame = {"granular": {**ASKING["granular"], "request_permissions": True}}
    with deadline(25, daemon):
        async with connect(daemon) as peer:
            thread = await reading_thread(peer, workspace, every)
            turn_id = await peer.start_turn(thread["id"], "compose")
            denied = await peer.note(METHOD)
            assert "retry without sandbox?" in denied["params"]["reason"]
            await peer.answer(denied, {"decision": "accept"})
            rights = await peer.note(RIGHTS)
            assert rights["params"]["script"]["line"] == 2
            await peer.answer(rights, {"permissions": rights["params"]["permissions"]})
            more = await peer.note(RIGHTS, after=peer.frames.index(rights) + 1)
            await peer.answer(more, {"permissions": {}})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert '[0,"turn",0,"denied"]' in said(peer), said(peer)
            assert (folder / "made").read_text() == "x\ny\n"
            assert unfinished(peer) == []
    assert history_problems(thread) == []
    assert model.problems == []
