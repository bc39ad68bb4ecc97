"""Scripts in the real daemon, with its confined workers: rows I of docs/scripts-matrix.md."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import trio

from tests.system.daemon import (
    CALLBOARD,
    MARK,
    SOON_OVER,
    DaemonProcess,
    clean_environment,
    daemon_process,
    of_thread,
)
from tests.system.deadline import deadline, until
from tests.system.model import SCRIPT_RESULT, Exchange, Play, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import Frame, Peer, connect
from tests.system.rehearsed import rehearsed_model

SECONDS = 60.0
"""For a daemon's start, two turns and a script: a second on a quiet machine. More means that it hangs."""

PLAIN = """\
script: const patch = await tools.applyPatch({patch: `*** Begin Patch
*** Add File: made.txt
+made
*** End Patch`});
const result = await tools.exec({command: ["ls"]});
return {patch: patch.includes("Success"), result};"""


def run(tmp_path: Path, prompt: str, *flags: str) -> str:
    """What `callboard exec` prints, with a daemon and a home of its own."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir(mode=0o700)
    folder.mkdir()
    done = subprocess.run(
        [str(CALLBOARD), "exec", "--approve-all", "-C", str(folder), *flags, prompt],
        env={**clean_environment(), "CALLBOARD_HOME": str(home), "COLUMNS": "300", MARK: "scripts"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("row", "wire"),
    [("I1", "responses"), ("I2", "chat"), ("I3", "messages")],
    ids=["I1", "I2", "I3"],
)
def test_the_plain_use_works_on_every_wire(row: str, wire: str, tmp_path: Path) -> None:
    printed = run(tmp_path, PLAIN, "--wire", wire)
    assert '{"patch":true,"result":{"output":"made.txt\\n","exitCode":0}}' in printed, row
    assert (tmp_path / "work" / "made.txt").read_text() == "made\n"


@pytest.mark.parametrize("row", ["I4"], ids=["I4"])
def test_a_script_that_never_ends_is_ended_and_told(row: str, tmp_path: Path) -> None:
    printed = run(tmp_path, "script: for (;;) {}")
    assert 'status="exceeded"' in printed, row
    assert "limit error" in printed


# --- a model of the test's own ------------------------------------------------------------------------------------

PATIENCE = 30.0
"""For one test of a few turns, on a busy machine."""


def append(word: str) -> str:
    """A call that leaves a line in a file."""
    return f'tools.exec({{command: ["sh", "-c", "echo {word} >> order"]}})'


def script_turn(*sources: str) -> Play:
    """A play: these scripts in one answer, then a word."""

    def play(exchange: Exchange) -> None:
        if exchange.round == 0:
            exchange.script(*sources, before="I write a script.")
        else:
            exchange.say("Done.")
        exchange.complete()

    return play


def order(workspace: Path) -> list[str]:
    """What `append` has left, in order."""
    path = workspace / "order"
    return path.read_text().split() if path.exists() else []


def script_notices(peer: Peer, kind: str) -> list[Frame]:
    """What was shown of scripts while they ran."""
    return [note for note in peer.notes("callboard/script/event") if note["kind"] == kind]


@pytest.mark.parametrize("row", ["I5"], ids=["I5"])
async def test_calls_and_scripts_of_one_response_run_in_the_order_written(
    row: str, daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    def mixed(exchange: Exchange) -> None:
        if exchange.round == 0:
            exchange.script(f"await {append('one')}; await {append('two')}; return 'first'")
            exchange.run("echo three >> order", "call-3")
            exchange.script(f"await {append('four')}; return 'second'", f"await {append('five')}; throw Error('third')")
            exchange.run("echo six >> order", "call-6")
        else:
            exchange.say("Done.")
        exchange.complete()

    model.on("mixed", mixed)
    with deadline(PATIENCE, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            ended = await peer.run_turn(thread["id"], "mixed please")
            assert (ended["status"], unfinished(peer)) == ("completed", [])
    assert order(workspace) == ["one", "two", "three", "four", "five", "six"], row
    last = model.asked("mixed")[-1]
    kinds = [item["type"] if item["type"] != "message" else item["role"] for item in last.since_user]
    written = ["assistant", "function_call", "assistant", "function_call"]
    assert kinds == [*written, "function_call_output", "function_call_output", "user", "user", "user"]
    assert [re.findall(r'status="(\w+)"', text)[0] for text in last.script_results] == ["returned", "returned", "threw"]
    assert "third" in last.script_results[2]
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.parametrize("row", ["I6"], ids=["I6"])
async def test_after_an_interrupt_nothing_of_a_script_is_left_and_the_model_is_told_of_each_call(
    row: str, daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    stays = '["sh", "-c", "trap \'\' TERM; (setsid sh -c \'sleep 300 & sleep 300\' >/dev/null 2>&1 &); sleep 300"]'
    source = f"await {append('begun')};\nawait Promise.all([1, 2].map(() => tools.exec({{command: {stays}}})))"
    model.on("stay", script_turn(source))
    with deadline(PATIENCE, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "stay here")
            await until(lambda: len(of_thread(thread["id"])) >= 6)
            await until(lambda: len(daemon.script_workers()) == 2)  # its own, and the next one's
            workers = daemon.script_workers()
            await peer.request("turn/interrupt", {"threadId": thread["id"], "turnId": turn_id})
            ended = await peer.turn_completed(turn_id)
            left = of_thread(thread["id"])
            assert (ended["status"], left) == ("interrupted", []), row
            assert len(workers & daemon.script_workers()) == 1, "the one that is kept ready"
            assert unfinished(peer) == []
            assert (await peer.run_turn(thread["id"], "hello again"))["status"] == "completed"
    (told,) = (text for text in texts(model.exchanges[-1]) if text.startswith(SCRIPT_RESULT))
    assert 'status="cancelled"' in told
    assert re.findall(r"^#(\d) exec \(line (\d):\d+\): (\w+)", told, re.MULTILINE) == [
        ("1", "1", "done"),
        ("2", "2", "cancelled"),
        ("3", "2", "cancelled"),
    ]
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.parametrize("row", ["I7"], ids=["I7"])
async def test_a_scripts_question_outlives_a_kill_and_the_replay_makes_no_call_twice(
    row: str, lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    source = f"""const draw = Math.random(); console.log(draw);
        await Promise.all([{append("one")}, {append("two")}]);
        const clock = Date.now(); console.log(clock);
        await {append("three")};
        return [draw, clock]"""
    model.on("careful", script_turn(source))
    lone.start()
    with deadline(PATIENCE, lone):
        async with connect(lone) as peer:
            thread = await peer.start_thread(workspace, policy="on-request")
            await peer.start_turn(thread["id"], "careful work")
            asked = [await peer.wait(is_question), await peer.wait(is_question, after_question(peer, 1))]
            for question in asked:
                await peer.answer(question, {"decision": "accept"})
            third = await peer.wait(is_question, after_question(peer, 2))
            printed = [note["text"] for note in script_notices(peer, "printed")]
            lone.kill()
        lone.wait_until_gone()
        assert sorted(order(workspace)) == ["one", "two"]
        lone.start()
        async with connect(lone) as peer:
            resumed = (await peer.request("thread/resume", {"threadId": thread["id"]}))["thread"]
            assert resumed["status"] == {"type": "active", "activeFlags": ["waitingOnApproval"]}
            again = await peer.wait(is_question)
            assert (again["id"], again["params"]["itemId"]) == (third["id"], third["params"]["itemId"]), row
            await peer.answer(again, {"decision": "accept"})
            ended = await peer.turn_completed(resumed["turns"][-1]["id"])
            assert ended["status"] == "completed"
    assert sorted(order(workspace)) == ["one", "three", "two"], "none twice"
    (told,) = model.asked("careful")[-1].script_results
    assert json.loads(told.splitlines()[1]) == list(map(json.loads, printed)), "the same draw, by the same clock"
    assert 'status="returned"' in told
    assert history_problems(thread) == []
    assert model.problems == []


@pytest.mark.parametrize("row", ["I8"], ids=["I8"])
async def test_two_clients_see_the_same_and_one_answers_when_the_other_has_left(
    row: str, daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("shared", script_turn(f"console.log('here'); await {append('one')}; await {append('two')}; return 1"))
    with deadline(PATIENCE, daemon):
        async with connect(daemon, "second") as second:
            async with connect(daemon, "first") as first:
                thread = await first.start_thread(workspace, policy="on-request")
                await second.request("thread/resume", {"threadId": thread["id"]})
                turn_id = await first.start_turn(thread["id"], "shared work")
                question = await first.wait(is_question)
                assert (await second.wait(is_question))["id"] == question["id"]
                await first.answer(question, {"decision": "accept"})
                resolved = await second.note("serverRequest/resolved")
                assert resolved["params"]["requestId"] == question["id"]
                other = await first.wait(is_question, after_question(first, 1))
                seen = first.notes("callboard/script/event", thread["id"])
            late = await second.wait(is_question, after_question(second, 1))
            assert late["id"] == other["id"]
            assert second.notes("callboard/script/event", thread["id"]) == seen, row
            await second.answer(late, {"decision": "accept"})
            assert (await second.turn_completed(turn_id))["status"] == "completed"
            assert unfinished(second) == []
            outcomes = [(note["number"], note["outcome"]) for note in script_notices(second, "ended")]
    assert outcomes == [(1, "done"), (2, "done")]
    assert order(workspace) == ["one", "two"]
    assert history_problems(thread) == []


WIRES = ("responses", "chat", "messages")


@pytest.mark.parametrize("row", ["I9"], ids=["I9"])
async def test_a_thread_with_scripts_in_its_history_changes_wires_and_is_compacted(row: str, tmp_path: Path) -> None:
    home, workspace = tmp_path / "home", tmp_path / "workspace"
    home.mkdir()
    workspace.mkdir()
    stage = rehearsed_model()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(stage.serve)
        providers = (
            f'[model_providers.{name}]\nbase_url = "{url}"\nwire_api = "{name}"\nprofile = "rehearsal"\n'
            for name in WIRES
        )
        head = 'model = "rehearsal"\nmodel_provider = "responses"\n'
        (home / "config.toml").write_text(head + "".join(providers))
        with daemon_process(home, []) as daemon, deadline(2 * PATIENCE, daemon):
            async with connect(daemon, "traveller") as peer:
                thread = await peer.start_thread(workspace, provider="responses")

                async def turn(wire: str, text: str) -> str:
                    wish = {"threadId": thread["id"], "modelProvider": wire, "input": [{"type": "text", "text": text}]}
                    started = await peer.request("turn/start", wish)
                    ended = await peer.turn_completed(started["turn"]["id"])
                    assert ended["status"] == "completed", (row, wire, ended)
                    items = [note["item"] for note in peer.notes("item/completed") if note["turnId"] == ended["id"]]
                    return str(items[-1]["text"])

                for wire in (*WIRES, WIRES[0]):
                    said = await turn(wire, f"script: await {append(wire)}; return '{wire} has run'")
                    assert f"{wire} has run" in said
                after = len(peer.frames)
                await peer.request("thread/compact/start", {"threadId": thread["id"]})
                compacted = await peer.wait(lambda frame: frame.get("method") == "turn/completed", after)
                assert compacted["params"]["turn"]["status"] == "completed"
                for wire in WIRES:
                    said = await turn(wire, f"script: await {append(wire)}; return '{wire} has run again'")
                    assert f"{wire} has run again" in said
                assert unfinished(peer) == []
        nursery.cancel_scope.cancel()
    assert order(workspace) == [*WIRES, WIRES[0], *WIRES]
    assert history_problems(thread) == []
    assert {played.ended for played in stage.performances} == {"whole"}


HOOKS = """
[[hooks.PreToolUse]]
matcher = "Bash"
hooks = [{ command = "if grep -q danger; then echo too dangerous >&2; exit 2; fi" }]
[[hooks.PostToolUse]]
matcher = "Bash"
hooks = [{ command = '''if grep -q 'tool_response.*hunter2'; then echo '{"decision":"block","reason":"(redacted)"}'; fi''' }]
"""

HOOKED = """\
const plan = [{ step: "look", status: "completed" }, { step: "leap", status: "in_progress" }];
await tools.updatePlan({ plan });
const code = await tools.exec({ command: ["echo", "danger"] }).catch((e: any) => `${e.code}: ${e.message}`);
const secret = await tools.exec({ command: ["echo", "hunter2"] });
return [code, secret];"""


@pytest.mark.parametrize("row", ["I10"], ids=["I10"])
async def test_a_scripts_calls_meet_hooks_and_change_the_plan_and_are_read_again_after_a_restart(
    row: str, model: ScriptedModel, tmp_path: Path, workspace: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    notify = f'notify = ["/bin/sh", "-c", \'echo "$1" > {tmp_path}/notified\', "sh"]\n'
    (home / "config.toml").write_text(notify + HOOKS)
    model.on("hooked", script_turn(HOOKED))
    with daemon_process(home, [*model.flags(), *SOON_OVER]) as daemon, deadline(PATIENCE, daemon):
        trusted = [str(CALLBOARD), "hooks", "trust", "--all"]
        assert (await trio.run_process(trusted, env=daemon.environment, capture_stdout=True)).returncode == 0
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "hooked work")
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            assert unfinished(peer) == []
            (planned,) = peer.notes("turn/plan/updated")
            assert [step["status"] for step in planned["plan"]] == ["completed", "inProgress"]
            hooks = {note["run"]["eventName"] for note in peer.notes("hook/completed")}
            assert hooks == {"preToolUse", "postToolUse"}, row
            shown = [note["item"] for note in peer.notes("item/completed")]
        await until(lambda: (tmp_path / "notified").exists() and (tmp_path / "notified").read_text().endswith("}\n"))
    (told,) = model.asked("hooked")[-1].script_results
    code, secret = json.loads(told.splitlines()[1])
    assert code == "denied: Command blocked by PreToolUse hook: too dangerous. Command: echo danger"
    assert "hunter2" not in json.dumps(secret)
    with daemon_process(home, [*model.flags(), *SOON_OVER]) as daemon, deadline(PATIENCE, daemon):
        async with connect(daemon) as peer:
            resumed = (await peer.request("thread/resume", {"threadId": thread["id"]}))["thread"]
            items = [item for turn in resumed["turns"] for item in turn["items"]]
            paged: list[Frame] = []
            cursor: str | None = None
            while cursor is not None or not paged:
                page = await peer.request("thread/items/list", {"threadId": thread["id"], "limit": 2, "cursor": cursor})
                paged += [entry["item"] for entry in page["data"]]
                cursor = page.get("nextCursor")
    assert paged == items
    assert {item["id"]: item for item in items} == {item["id"]: item for item in shown}
    (script,) = [item for item in items if item["type"] == "dynamicToolCall" and item["tool"] == "script"]
    assert (script["namespace"], script["status"], script["success"]) == ("callboard", "completed", True)
    assert model.problems == []


def is_question(frame: Frame) -> bool:
    return frame.get("method") == "item/commandExecution/requestApproval"


def after_question(peer: Peer, count: int) -> int:
    """The position in the frames behind the first so many questions."""
    return [at for at, frame in enumerate(peer.frames) if is_question(frame)][count - 1] + 1


def texts(exchange: Exchange) -> list[str]:
    """All texts that the model was sent."""
    return ["".join(part.get("text", "") for part in item["content"]) for item in exchange.input if "content" in item]
