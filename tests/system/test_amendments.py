"""Yes, and do not ask again: through the real command line, to the rules file, and to the next thread."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from actors.tool_worker.rules.actor import FRESH_SECONDS
from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.model import Exchange, ScriptedModel
from tests.system.peer import Frame, Peer, connect
from tests.system.terminal import Terminal
from tests.system.test_cli import callboard

METHOD = "item/commandExecution/requestApproval"


def run_what_is_said(exchange: Exchange) -> None:
    """A play: the prompt behind its first word is a command."""
    if exchange.round == 0:
        exchange.run(exchange.user.partition(" ")[2], f"run-{exchange.serial}", justification="It has to be there.")
    else:
        exchange.say("It was run.")
    exchange.complete()


async def console(daemon: DaemonProcess, *words: str) -> tuple[int, str, str]:
    """A verb's exit code and what it printed, on either output."""
    done = await trio.to_thread.run_sync(lambda: callboard(daemon.home, *words))
    return done.returncode, done.stdout, done.stderr


async def is_run_unasked(peer: Peer, cwd: Path, prompt: str) -> bool:
    """Whether a command in a new thread comes to its end without anybody being asked."""
    thread = await peer.start_thread(cwd, "untrusted")
    turn = await peer.start_turn(thread["id"], prompt)

    def mine(frame: Frame) -> bool:
        return frame.get("method") in (METHOD, "turn/completed") and frame["params"]["threadId"] == thread["id"]

    first = await peer.wait(mine)
    if first["method"] == METHOD:
        await peer.request("turn/interrupt", {"threadId": thread["id"], "turnId": turn})
    return bool(first["method"] == "turn/completed")


def kept(daemon: DaemonProcess) -> str:
    """What the rules file says."""
    return (daemon.home / "rules" / "default.rules").read_text()


async def test_approve_always_keeps_the_rule_and_the_next_thread_is_not_asked(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    with deadline(40, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, "untrusted")
            turn = await peer.start_turn(thread["id"], "make touch made.txt")
            await peer.note(METHOD)
            code, printed, _ = await console(daemon, "approve", "--json")
            [listed] = [each for each in json.loads(printed) if each["threadId"] == thread["id"]]
            assert (code, listed["answers"], listed["rule"]) == (
                0,
                ["yes", "session", "always", "no", "quit"],
                ["touch", "made.txt"],
            )
            _, shown, _ = await console(daemon, "approve")
            assert "always  yes, and do not ask again for commands that start with: touch made.txt" in shown
            assert await console(daemon, "approve", listed["id"], "always") == (
                0,
                "$ touch made.txt: accepted; commands that start with touch made.txt are not asked about again\n",
                "",
            )
            assert (await peer.turn_completed(turn))["status"] == "completed"
            assert 'prefix_rule(pattern=["touch", "made.txt"], decision="allow")' in kept(daemon)
            assert await is_run_unasked(peer, workspace, "make touch made.txt")
            assert not await is_run_unasked(peer, workspace, "make touch another.txt")
    assert (workspace / "made.txt").exists()
    assert model.problems == []


async def test_what_a_question_does_not_offer_is_no_answer_and_it_stays_open(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    with deadline(30, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, "untrusted")
            turn = await peer.start_turn(thread["id"], "make rm -f made.txt")  # no rule is proposed for that
            asked = await peer.note(METHOD)
            name = asked["id"][-8:]
            assert await console(daemon, "approve", name, "always") == (
                1,
                "",
                f"callboard: approve: {name} cannot be answered with 'always', but with: yes, session, no, quit\n",
            )
            assert (await console(daemon, "approve", name, "no"))[0] == 0
            assert (await peer.turn_completed(turn))["status"] == "completed"


async def test_at_the_keys_of_attach_a_rule_is_kept_with_one(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    with deadline(40, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, "untrusted")
            with Terminal(daemon.home, "attach", thread["id"]) as terminal:
                await trio.to_thread.run_sync(terminal.until, "idle · Enter sends")
                terminal.press(b"make touch attached.txt\r")
                await trio.to_thread.run_sync(
                    terminal.until,
                    "[p] yes, and do not ask again for commands that start with: touch attached.txt",
                )
                terminal.press(b"p")
                await trio.to_thread.run_sync(terminal.until, "touch attached.txt are not asked about again")
                await trio.to_thread.run_sync(terminal.until, "It was run.")
                terminal.press(b"\x04")
                assert await trio.to_thread.run_sync(terminal.ended) == 0
            assert await is_run_unasked(peer, workspace, "make touch attached.txt")
    assert 'pattern=["touch", "attached.txt"]' in kept(daemon)


async def test_exec_in_a_terminal_offers_it_too(daemon: DaemonProcess, model: ScriptedModel, workspace: Path) -> None:
    def escalate(exchange: Exchange) -> None:
        if exchange.round == 0:
            why = "Nothing else will do."
            command = exchange.user.partition(" ")[2]
            exchange.run(command, f"out-{exchange.serial}", sandbox_permissions="require_escalated", justification=why)
        else:
            exchange.say("It was run.")
        exchange.complete()

    model.on("leave", escalate)
    with deadline(40, daemon):
        for asks in (True, False):
            prompt = "leave touch executed.txt"
            with Terminal(daemon.home, "exec", "-C", str(workspace), prompt) as terminal:
                if asks:
                    await trio.to_thread.run_sync(terminal.until, "[p] yes, and do not ask again")
                    terminal.press(b"p")
                assert await trio.to_thread.run_sync(terminal.ended) == 0
                assert "It was run." in terminal.shown
    assert (workspace / "executed.txt").exists()
    assert 'pattern=["touch", "executed.txt"]' in kept(daemon)


async def test_the_rules_of_a_folder_that_is_trusted_while_the_daemon_runs_count_at_once(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    rules = workspace / ".callboard" / "rules" / "ours.rules"
    rules.parent.mkdir(parents=True)
    rules.write_text('prefix_rule(pattern=["mkdir"], decision="allow")\nnonsense\n')
    with deadline(30, daemon):
        async with connect(daemon) as peer:
            assert not await is_run_unasked(peer, workspace, "make mkdir made")
            trust = {"keyPath": f'projects."{workspace}".trust_level', "value": "trusted"}
            await peer.request("config/value/write", trust)
            assert not await is_run_unasked(peer, workspace, "make mkdir made")
            warning = (await peer.note("configWarning"))["params"]
            assert (warning["path"], warning["range"]["start"]["line"]) == (str(rules), 2)
            rules.write_text('prefix_rule(pattern=["mkdir"], decision="allow")\n')
            await trio.sleep(FRESH_SECONDS)  # what was read a moment ago is good for so long
            assert await is_run_unasked(peer, workspace, "make mkdir made")
