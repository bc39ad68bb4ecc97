"""Secrets stay where they belong, while commands, hooks, scripts and clients look for them, and when the daemon is
killed: see `tests.system.test_canaries`."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from tests.system.canaries import descendants
from tests.system.canary_house import House, canary_house
from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel

HOOKS = """
[[hooks.PreToolUse]]
hooks = [{{ command = "env >> {folder}/hooked; cat >> {folder}/hooked" }}]
[[hooks.Stop]]
hooks = [{{ command = "env >> {folder}/stopped; cat >> {folder}/stopped" }}]
"""

KEPT = "tr '\\0' '\\n' | grep -a -e qzjx -e CALLBOARD_TEST_MARK"
"""Of what is found, only the lines that matter: what a model is shown of much is cut in the middle."""

LOOK = f"{{ env; cat /proc/self/environ /proc/self/cmdline; export -p; set; }} | {KEPT}"
"""What a command finds about itself."""

LOOK_AROUND = f"""
{{{{
parent=$PPID
while [ "$parent" -gt 0 ] 2>/dev/null; do
  cat /proc/$parent/environ /proc/$parent/cmdline
  parent=$(awk '/^PPid:/ {{{{print $2}}}}' /proc/$parent/status)
done
for pid in self {{pids}}; do cat /proc/$pid/environ /proc/$pid/cmdline; done
ps auxeww | grep -a {{mark}}
}}}} 2>/dev/null | {KEPT}
"""
"""... and about its ancestors, and about whatever belongs to the daemon, whose processes carry the mark."""


SCRIPT = f"""<tool-calls>
const names = Object.getOwnPropertyNames(globalThis);
const found = await tools.execCommand({{cmd: {json.dumps(LOOK)}, login: false}});
return {{names, context, found}};
</tool-calls>
"""


def config(house: House, model: ScriptedModel) -> str:
    """A model, whose provider has keys of each kind; and an environment that commands get by policy."""
    given = json.dumps(house.canaries["given to commands"])
    return f"""
model = "m"
model_provider = "scripted"
notify = ["/bin/sh", "-c", "env >> {house.workspace}/notified"]
[model_providers.scripted]
base_url = {json.dumps(model.url)}
env_key = "CANARY_KEY"
env_http_headers = {{ x-env = "CANARY_HEADER" }}
http_headers = {{ x-static = {json.dumps(house.canaries["http_headers"])} }}
[model_providers.other]
base_url = "http://127.0.0.1:1/v1"
env_key = "CANARY_OTHER_KEY"
[shell_environment_policy]
exclude = ["POLICY_*"]
[shell_environment_policy.set]
GIVEN = {given}
{HOOKS.format(folder=house.workspace)}
"""


def environment(house: House) -> dict[str, str]:
    canaries = house.canaries
    return {
        "CANARY_KEY": canaries["env_key"],
        "CANARY_HEADER": canaries["env_http_headers"],
        "CANARY_OTHER_KEY": canaries["another provider's env_key"],
        "OPENAI_API_KEY": canaries["a built-in provider's env_key"],
        "ANTHROPIC_API_KEY": canaries["the other built-in provider's env_key"],
        "CALLBOARD_TOKEN": canaries["CALLBOARD_TOKEN"],
        "CALLBOARD_MODEL_PROVIDERS__SCRIPTED__EXPERIMENTAL_BEARER_TOKEN": canaries["a setting's variable"],
        "POLICY_SECRET": canaries["left out by policy"],
    }


def flags(house: House) -> tuple[str, ...]:
    word = json.dumps(house.canaries["-c on the command line"])
    return ("-c", "drain_seconds=1", "-c", f"model_providers.other.experimental_bearer_token={word}")


async def test_commands_hooks_and_clients_find_no_secret_but_what_policy_gives_them(
    tmp_path: Path, model: ScriptedModel
) -> None:
    with canary_house(tmp_path) as house:
        house.write("config.toml", config(house, model))
        daemon = house.prepare(flags(house), environment(house))
        around = ""

        def look(exchange: Exchange) -> None:
            if exchange.round == 0:
                exchange.run(LOOK, "look")
                exchange.run(around, "around")
            else:
                exchange.say("I have looked around.")
            exchange.complete()

        def script(exchange: Exchange) -> None:
            exchange.say(SCRIPT if exchange.round == 0 and len(exchange.since_user) == 0 else "The script has looked.")
            exchange.complete()

        model.on("look", look)
        model.on("script", script)
        with deadline(60, daemon):
            daemon.start()
            around = LOOK_AROUND.format(pids=_family(daemon.pid), mark=daemon.mark)
            assert house.run("hooks", "trust", "--all") == 0
            async with house.client() as peer:
                for sandbox in ("danger-full-access", "read-only"):
                    thread = await peer.request(
                        "thread/start", {"cwd": str(house.workspace), "approvalPolicy": "never", "sandbox": sandbox}
                    )
                    turn = await peer.run_turn(thread["thread"]["id"], f"look {sandbox}", seconds=30)
                    assert turn["status"] == "completed"
                thread = await peer.start_thread(house.workspace)
                assert (await peer.run_turn(thread["id"], "script", seconds=30))["status"] == "completed"
                assert daemon.mark in str(model.exchanges[-1].input), "the script ran, and its command did look"
                await peer.request("command/exec", {"command": ["sh", "-c", LOOK], "cwd": str(house.workspace)})
                await peer.request("config/read", {"includeLayers": True, "cwd": str(house.workspace)})
                await until((house.workspace / "notified").exists)
            house.run("config", "list", "--all", "--json")
            house.run("config", "get", "model_providers")
            house.run("config", "get", "shell_environment_policy.set.GIVEN")
            house.run("ps", "--json")
            daemon.stop()
        hunt = house.hunt()
        (looked, *_) = [each for each in model.asked("look") if each.round == 1]
        outputs = [each["output"] for each in looked.input if each["type"] == "function_call_output"]
        assert [daemon.mark in output for output in outputs] == [True] * 2, "they did look"
        # What is given to commands they print, and are seen with; hooks as well. It is nowhere else.
        hunt.belongs(
            "given to commands",
            rf".*/sessions/|a frame: .*(item/|turn/|'stdout')|{house.workspace}/(hooked|stopped|notified)",
        )
        hunt.nothing_found()


def _family(pid: int) -> str:
    """It and everything below it, as words."""
    return " ".join(map(str, (pid, *descendants(pid))))


# --- dying --------------------------------------------------------------------------------------------------------------


async def test_a_killed_daemon_leaves_no_secret_behind_and_its_successor_finds_none(
    tmp_path: Path, model: ScriptedModel
) -> None:
    with canary_house(tmp_path) as house:
        house.write("config.toml", config(house, model))
        daemon = house.prepare(flags(house), environment(house))

        def tell(exchange: Exchange) -> None:
            if exchange.round == 0:
                exchange.run("sleep 30", "asleep")
                exchange.complete()

        def stream(exchange: Exchange) -> None:
            exchange.say("A long story. " * 10, pieces=20, pause=0.03, finish=False)
            exchange.hang()

        model.on("sleep", tell)
        model.on("stream", stream)
        with deadline(60, daemon):
            daemon.start()
            async with house.client() as peer:
                for word in ("sleep", "stream"):
                    thread = await peer.start_thread(house.workspace)
                    await peer.start_turn(thread["id"], word)
                await until(lambda: any("story" in str(each) for each in peer.frames))
                checkpoints = house.home / "checkpoints"
                await until(lambda: any("story" in each.read_text() for each in checkpoints.glob("*.jsonl")))
                house.look_at_processes()
                daemon.kill()
            hunt = house.hunt()
            hunt.belongs("given to commands", r"environ of \d+ \(below\)")
            hunt.belongs("left out by policy", r"environ of \d+ \(the daemon\)")  # commands do not see that process
            hunt.nothing_found()
            house.processes.clear()
            daemon.wait_until_gone()
            daemon.start()
            async with house.client() as peer:
                for each in (await peer.request("thread/list"))["data"]:
                    await peer.request("thread/resume", {"threadId": each["id"]})
            daemon.stop()
        house.hunt().nothing_found()


@pytest.mark.parametrize("debuggable", [False, True])
def test_a_core_file_of_the_daemon_is_only_left_if_it_may_be_debugged(tmp_path: Path, *, debuggable: bool) -> None:
    """`True` is the control, and says whether core files are to be had here at all."""

    def allow_cores() -> None:
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        os.chdir(tmp_path)

    flag = f"features.debuggable={str(debuggable).lower()}"
    daemon = DaemonProcess(tmp_path / "home", ("-c", flag), prepare=allow_cores)
    try:
        daemon.start()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(daemon.pid, 0)
        daemon.process.returncode = -signal.SIGABRT
    finally:
        daemon.kill()
        daemon.wait_until_gone()
    assert os.WTERMSIG(status) == signal.SIGABRT
    if debuggable and not os.WCOREDUMP(status):
        pytest.skip("core files are not to be had here: RLIMIT_CORE, or the kernel's core_pattern")
    assert os.WCOREDUMP(status) is debuggable
    assert bool(list(tmp_path.glob("core*"))) <= debuggable
