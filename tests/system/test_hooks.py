"""Hooks in a running daemon, with real programs: each event is told, and each objection counts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import CALLBOARD, DaemonProcess, daemon_process
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
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
        assert trust_all(hooked).count("trusted:") == 7
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
            assert [(hook["eventName"], hook["trustStatus"]) for hook in listed["hooks"]][-1] == ("stop", "untrusted")
            thread = await peer.start_thread(workspace)
            assert (await peer.run_turn(thread["id"], "my password is x"))["status"] == "completed"
            runs = [frame["params"]["run"] for frame in peer.frames if frame.get("method") == "hook/completed"]
    assert {run["status"] for run in runs} == {"stopped"}
    assert all("callboard hooks trust " in run["entries"][0]["text"] for run in runs)
