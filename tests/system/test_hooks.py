"""Hooks in a running daemon, with real programs: each event is told, and each objection counts."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import CALLBOARD, DaemonProcess, daemon_process
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems
from tests.system.peer import connect
from tests.system.test_promises import tool_turn

CONFIG = """
notify = ["/bin/sh", "-c", 'echo "$1" > {folder}/notified', "sh"]

[[hooks.SessionStart]]
hooks = [{{ command = "echo read the wiki" }}]
[[hooks.UserPromptSubmit]]
hooks = [{{ command = "if grep -q password; then echo no passwords >&2; exit 2; fi; echo it is late" }}]
[[hooks.PreToolUse]]
matcher = "Bash"
hooks = [{{ command = "if grep -q danger; then echo too dangerous >&2; exit 2; fi" }}]
[[hooks.PostToolUse]]
matcher = "Bash"
hooks = [{{ command = '''if grep -q 'tool_response.*hunter2'; then echo '{{"decision":"block","reason":"(redacted)"}}'; fi''' }}]
[[hooks.PermissionRequest]]
hooks = [{{ command = '''echo '{{"hookSpecificOutput":{{"decision":{{"behavior":"allow"}}}}}}' ''' }}]
[[hooks.Stop]]
hooks = [{{ command = "if grep -q 'stop_hook_active\\":false.*Done'; then echo have you tested it? >&2; exit 2; fi" }}]
[[hooks.PreCompact]]
matcher = "manual"
hooks = [{{ command = "cat > {folder}/pre; if test -e {folder}/busy; then echo not now >&2; exit 2; fi" }}]
[[hooks.PostCompact]]
hooks = [{{ command = "cat > {folder}/post" }}]
[[hooks.SessionEnd]]
hooks = [{{ command = "cat > {folder}/ended" }}]
"""


@pytest.fixture
def hooked(model: ScriptedModel, tmp_path: Path) -> Iterator[DaemonProcess]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(CONFIG.format(folder=tmp_path))
    with daemon_process(home, [*model.flags(), "-c", "thread_unload_delay_seconds=0", "-c", "drain_seconds=1"]) as made:
        yield made


def trust_all(daemon: DaemonProcess) -> str:
    done = subprocess.run(
        [str(CALLBOARD), "hooks", "trust", "--all"], env=daemon.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts(exchange: Exchange) -> list[str]:
    return ["".join(part.get("text", "") for part in item["content"]) for item in exchange.input if "content" in item]


async def test_each_event_is_told_and_each_objection_counts(
    hooked: DaemonProcess, model: ScriptedModel, tmp_path: Path, workspace: Path
) -> None:
    model.on("work", tool_turn("echo danger", "echo hunter2", "touch made"))
    with deadline(30, hooked):
        assert trust_all(hooked).count("trusted:") == 9
        async with connect(hooked) as peer:
            thread = await peer.start_thread(workspace, policy="on-request")
            turn = await peer.run_turn(thread["id"], "work please")
            assert turn["status"] == "completed"
            last = model.exchanges[-1]
            said = texts(last)
            assert said.index("read the wiki") < said.index("work please") < said.index("it is late")
            assert any(text.startswith("<hook_prompt ") and "have you tested it?" in text for text in said)
            outputs = [item["output"] for item in last.input if item["type"] == "function_call_output"]
            assert outputs[0] == "Command blocked by PreToolUse hook: too dangerous. Command: echo danger"
            assert outputs[1] == "(redacted)"
            assert (workspace / "made").exists(), "a hook answered for people"
            notices = [frame for frame in peer.frames if frame.get("method") == "hook/completed"]
            assert {each["params"]["run"]["eventName"] for each in notices} == {
                "sessionStart",
                "userPromptSubmit",
                "preToolUse",
                "postToolUse",
                "permissionRequest",
                "stop",
            }
            refused = await peer.run_turn(thread["id"], "my password is x")
            assert refused["status"] == "failed"
            assert "no passwords" in refused["error"]["message"]
            assert not any("password" in text for text in texts(model.exchanges[-1]))
            await peer.request("thread/unsubscribe", {"threadId": thread["id"]})
            await until(lambda: (tmp_path / "ended").exists() and (tmp_path / "ended").read_text().endswith("}"))
    assert json.loads((tmp_path / "ended").read_text())["hook_event_name"] == "SessionEnd"
    told = json.loads((tmp_path / "notified").read_text())
    assert (told["type"], told["thread-id"]) == ("agent-turn-complete", thread["id"])
    assert model.problems == []


async def test_nothing_runs_that_was_not_trusted_and_people_are_told_how(
    hooked: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    with deadline(20, hooked):
        async with connect(hooked) as peer:
            (listed,) = (await peer.request("hooks/list"))["data"]
            assert [(hook["eventName"], hook["trustStatus"]) for hook in listed["hooks"]][-1] == (
                "postCompact",
                "untrusted",
            )
            thread = await peer.start_thread(workspace)
            assert (await peer.run_turn(thread["id"], "my password is x"))["status"] == "completed"
            runs = [frame["params"]["run"] for frame in peer.frames if frame.get("method") == "hook/completed"]
    assert {run["status"] for run in runs} == {"stopped"}
    assert all("callboard hooks trust " in run["entries"][0]["text"] for run in runs)


async def test_input_that_steers_is_heard_and_what_is_stopped_is_gone_for_good(
    hooked: DaemonProcess, model: ScriptedModel, tmp_path: Path, workspace: Path
) -> None:
    """Also from the summary of a conversation, and after the daemon was killed."""
    go_on = threading.Event()

    def think(exchange: Exchange) -> None:
        exchange.say("Thinking.")
        go_on.wait(10)
        exchange.complete()

    def sum_up(exchange: Exchange) -> None:
        exchange.say("They wanted something fixed.")
        exchange.complete()

    model.on("think", think)
    model.on("The", sum_up)  # the prompt that asks for a summary
    with deadline(40, hooked):
        trust_all(hooked)
        async with connect(hooked) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "think about it")
            steer = {"threadId": thread["id"], "expectedTurnId": turn_id}
            for text in ("my password is y", "and be quick"):
                await peer.request("turn/steer", {**steer, "input": [{"type": "text", "text": text}]})
            warning = await peer.note("warning")
            assert warning["params"]["message"].endswith("the model has not seen it. no passwords")
            go_on.set()
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
            said = texts(model.exchanges[-1])
            assert said[said.index("and be quick") + 1] == "it is late"
            hooked.kill()
        hooked.start()
        async with connect(hooked) as peer:
            read = await peer.request("thread/resume", {"threadId": thread["id"]})
            assert "my password is y" in str(read), "people go on seeing it"
            (tmp_path / "busy").touch()
            await peer.request("thread/compact/start", {"threadId": thread["id"]})
            refused = await peer.note("turn/completed")
            assert refused["params"]["turn"]["error"]["message"].endswith("stays as it is. not now")
            (tmp_path / "busy").unlink()
            seen = len(peer.frames)
            await peer.request("thread/compact/start", {"threadId": thread["id"]})
            assert (await peer.note("turn/completed", seen))["params"]["turn"]["status"] == "completed"
            await peer.run_turn(thread["id"], "hello again")
    told = [json.loads((tmp_path / name).read_text()) for name in ("pre", "post")]
    assert [each["hook_event_name"] for each in told] == ["PreCompact", "PostCompact"]
    assert [each["trigger"] for each in told] == ["manual", "manual"]
    assert told[1]["compact_summary"] == "They wanted something fixed."
    for exchange in model.exchanges:
        assert not any("password is y" in text for text in texts(exchange))
    assert history_problems(thread) == []
    assert model.problems == []
