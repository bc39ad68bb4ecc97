"""The real TUI, typed into: what is on its screen, and what passes between it and the daemon."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from tests.conformance.clients import CODEX
from tests.conformance.stage import ANSWER, ANSWERED, COMPOSER, TITLE, Flow, Stage
from tests.conformance.terminal import Terminal

FLOWS: list[Flow] = []


def flow(run: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    """A flow of the TUI, called like its function."""
    FLOWS.append(Flow(name="tui_" + run.__name__, client=CODEX, run=run))
    return run


TRUST = r"Trust this folder\?"
APPROVAL = r"Would you like to run the following command\?"
EDITS = r"Would you like to make the following edits\?"
INTERRUPTED = r"Conversation interrupted"

RULE = """\
prefix_rule(pattern=["touch", "made.txt"], decision="allow")
"""
"""What approving it for good writes."""


@flow
async def start_and_trust(stage: Stage) -> None:
    """A new folder: the trust prompt is accepted, a prompt is answered as a stream, and the folder stays trusted."""
    await stage.start_daemon()
    window = await stage.tui()
    await window.shows(TRUST)
    await window.key("Enter")
    await window.shows(COMPOSER)
    [written] = stage.recording.answers("config/batchWrite")
    assert written["result"]["status"] == "ok"
    await window.enter("answer me")
    await window.shows(ANSWER)
    turn = await stage.turn_ended(1)
    assert turn["status"] == "completed"
    assert stage.recording.told("item/agentMessage/delta"), "the answer came without deltas"
    await window.key("C-c", "C-c")
    await window.ended()
    again = await stage.tui(name="again")
    await again.shows(COMPOSER)


@flow
async def hidden_title(stage: Stage) -> None:
    """The TUI asks for a title in a hidden thread of its own, and names the thread by it."""
    window = await stage.ready_tui()
    await window.enter("answer me")
    await window.shows(ANSWER)
    await stage.passed(lambda: stage.recording.answers("thread/name/set"), "the thread named")
    [named] = stage.recording.sent("thread/name/set")
    assert named["params"]["name"] == TITLE
    [hidden] = stage.hidden_threads()
    assert named["params"]["threadId"] != hidden


@flow
async def streamed_answer(stage: Stage) -> None:
    """A long answer is seen to grow before it is whole, and what came in pieces is what the item says."""
    window = await stage.ready_tui()
    await window.enter("stream 60")
    early = await window.shows(r"word5 ")
    assert "word59" not in early
    await window.shows(r"word59")
    await stage.turn_ended(1)
    [message] = stage.items("agentMessage")
    told = (frame["params"] for frame in stage.recording.told("item/agentMessage/delta"))
    assert message["text"] == "".join(params["delta"] for params in told if params["itemId"] == message["id"])


@flow
async def call_approved(stage: Stage) -> None:
    """A command that needs a yes is asked about, approved, run and shown."""
    window = await stage.ready_tui()
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)
    assert not (stage.work / "made.txt").exists()
    await window.key("y")
    await window.shows(r"You approved codex to run touch made.txt this time")
    await window.shows(ANSWERED)
    await stage.turn_ended(1)
    assert (stage.work / "made.txt").exists()
    [item] = stage.items("commandExecution")
    assert (item["status"], item["exitCode"]) == ("completed", 0)
    assert len(stage.recording.told("serverRequest/resolved")) == 1
    assert stage.rules() is None


@flow
async def call_approved_for_session(stage: Stage) -> None:
    """Approved for the session, the same command is not asked about again, and another one is."""
    window = await stage.ready_tui()
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)
    await window.shows(r"Yes, and don't ask again for this command in this session \(a\)")
    await window.key("a")
    await window.shows(r"You approved codex to run touch made.txt every time this session")
    await stage.turn_ended(1)
    await _runs_unasked(stage, window, turn=2)
    assert stage.rules() is None
    await window.enter("ask touch other.txt")
    await window.shows(APPROVAL)
    await window.key("Escape")
    await stage.turn_ended(3)
    await window.enter("/new")
    await stage.passed(lambda: len(stage.shown_threads()) == 2, "a second thread")
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)


@flow
async def call_approved_for_good(stage: Stage) -> None:
    """Approved with the rule that the question proposes, commands that start so are not asked about again: not in this
    thread, not in another after the daemon was killed and started again; and others still are."""
    window = await stage.ready_tui()
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)
    await window.shows(r"\d\. Yes, and don't ask again for commands that start with `touch made.txt` \(p\)")
    assert stage.rules() is None
    await window.key("p")
    await window.shows(r"You approved codex to always run commands that start with touch made.txt")
    await window.shows(ANSWERED)
    await stage.turn_ended(1)
    assert stage.rules() == RULE
    (stage.work / "made.txt").unlink()
    await _runs_unasked(stage, window, turn=2)
    await stage.kill_daemon()
    await window.shows(r"Reconnecting to server")
    await stage.start_daemon()
    await window.shows_no_more(r"Reconnecting to server")
    await window.enter("/new")
    await stage.passed(lambda: len(stage.shown_threads()) == 2, "a second thread")
    await _runs_unasked(stage, window, turn=3)
    assert stage.rules() == RULE
    await window.enter("ask touch other.txt")
    await window.shows(APPROVAL)
    assert not (stage.work / "other.txt").exists()


async def _runs_unasked(stage: Stage, window: Terminal, *, turn: int) -> None:
    """The command is run again, as the turn of that number, without anybody being asked."""
    asked = len(stage.recording.told("item/commandExecution/requestApproval"))
    await window.enter("ask touch made.txt")
    assert (await stage.turn_ended(turn))["status"] == "completed"
    await window.shows(ANSWERED)
    assert (stage.work / "made.txt").exists()
    (stage.work / "made.txt").unlink()
    assert len(stage.recording.told("item/commandExecution/requestApproval")) == asked == 1
    assert not re.search(APPROVAL, await window.screen())


@flow
async def call_declined(stage: Stage) -> None:
    """Declined, a command is not run, the model is told, and the turn goes on."""
    window = await stage.ready_tui()
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)
    await window.key("d")
    await window.shows(r"You did not approve codex to run touch made.txt")
    await window.shows(ANSWERED)
    turn = await stage.turn_ended(1)
    assert turn["status"] == "completed"
    assert not (stage.work / "made.txt").exists()
    [item] = stage.items("commandExecution")
    assert item["status"] == "declined"
    assert "rejected by user" in stage.model.asked("ask")[-1].output_of(f"call_{stage.model.asked('ask')[0].serial}")
    assert stage.rules() is None


@flow
async def call_cancelled(stage: Stage) -> None:
    """Esc at the question declines the command and ends the turn; the next prompt is answered."""
    window = await stage.ready_tui()
    await window.enter("ask touch made.txt")
    await window.shows(APPROVAL)
    await window.key("Escape")
    await window.shows(INTERRUPTED)
    turn = await stage.turn_ended(1)
    assert turn["status"] == "interrupted"
    assert not (stage.work / "made.txt").exists()
    assert stage.rules() is None
    assert len(stage.model.asked("ask")) == 1, "the model was asked on after the turn had been ended"
    await window.enter("answer me")
    await window.shows(ANSWER)


@flow
async def patch_approved(stage: Stage) -> None:
    """A patch that people are asked about is applied and shown with its lines, and ``turn/diff/updated`` has it."""
    window = await stage.ready_tui()
    await window.enter("patch added.txt")
    await window.shows(EDITS)
    await window.key("y")
    await window.shows(r"Added added.txt \(\+1 -0\)")
    await window.shows(ANSWERED)
    await stage.turn_ended(1)
    assert (stage.work / "added.txt").read_text() == "rehearsed\n"
    assert "+rehearsed" in stage.recording.told("turn/diff/updated")[-1]["params"]["diff"]


@flow
async def esc_interrupts_text(stage: Stage) -> None:
    """Esc ends a streaming answer: the turn is interrupted, its message completes with what was said."""
    window = await stage.ready_tui()
    await window.enter("stream 400")
    await window.shows(r"word9 ")
    await window.key("Escape")
    await window.shows(INTERRUPTED)
    turn = await stage.turn_ended(1)
    assert turn["status"] == "interrupted"
    [message] = stage.items("agentMessage")
    assert message["text"].startswith("word0 word1 ")
    assert "word399" not in message["text"]
    await window.enter("answer me")
    await window.shows(ANSWER)


@flow
async def esc_interrupts_command(stage: Stage) -> None:
    """Esc during a command: when the turn has ended, so has the command, and so has everything it started."""
    window = await stage.ready_tui()
    await window.enter("ask sleep 987 & sleep 986")
    await window.shows(APPROVAL)
    await window.key("y")
    await stage.passed(lambda: stage.recording.told("serverRequest/resolved"), "the answer taken")
    await stage.until_runs("sleep 986")
    await window.key("Escape")
    await window.shows(INTERRUPTED)
    turn = await stage.turn_ended(1)
    assert turn["status"] == "interrupted"
    assert stage.running("sleep 98") == []
    [item] = stage.items("commandExecution")
    assert item["status"] == "failed"


@flow
async def enter_steers(stage: Stage) -> None:
    """Enter during a turn gives the text to the running turn, which answers it as well."""
    window = await stage.ready_tui()
    await window.enter("stream 60")
    await window.shows(r"word5 ")
    await window.enter("answer this too")
    await window.shows(ANSWER)
    await stage.turn_ended(1)
    assert len(stage.recording.sent("turn/steer")) == 1
    assert len(stage.turns()) == 1, "the text became a turn of its own"
    await window.shows(r"› answer this too")


@flow
async def tab_queues(stage: Stage) -> None:
    """Tab during a turn keeps the text back, and it becomes a turn of its own when the first has ended."""
    window = await stage.ready_tui()
    await window.enter("stream 60")
    await window.shows(r"word5 ")
    await window.type("answer this then")
    await window.key("Tab")
    await window.shows(r"Queued follow-up inputs")
    await window.shows(ANSWER)
    first, second = await stage.turn_ended(1), await stage.turn_ended(2)
    assert (first["status"], second["status"]) == ("completed", "completed")
    assert not stage.recording.sent("turn/steer")


@flow
async def slash_new(stage: Stage) -> None:
    """/new starts another thread, which is told nothing of the first."""
    window = await stage.ready_tui()
    await window.enter("answer me")
    await window.shows(ANSWER)
    await stage.turn_ended(1)
    await window.enter("/new")
    await stage.passed(lambda: len(stage.shown_threads()) == 2, "a second thread")
    await window.shows_no_more(ANSWER)
    await window.enter("answer me again")
    await window.shows(ANSWER)
    await stage.turn_ended(2)
    last = stage.model.asked("answer")[-1]
    assert "answer me\n" not in str(last.input)
    assert sum(item.get("role") == "assistant" for item in last.input) == 0


@flow
async def slash_diff(stage: Stage) -> None:
    """/diff shows what has changed in the folder, which the TUI asks for by ``command/exec``."""
    await trio.to_thread.run_sync(_repository_with_a_change, stage.work)
    window = await stage.ready_tui()
    await window.enter("/diff")
    await window.shows(r"\+after")
    assert stage.recording.answers("command/exec")


@flow
async def slash_status(stage: Stage) -> None:
    """/status tells the server, the model, the folder, the session and the tokens used."""
    window = await stage.ready_tui()
    await window.enter("answer me")
    await window.shows(ANSWER)
    await stage.turn_ended(1)
    await window.enter("/status")
    screen = await window.shows(r"Token usage:\s+110 total")
    [thread] = stage.shown_threads()
    for part in (stage.tap.url, "scripted", str(stage.work), thread):
        assert part in screen, f"/status does not tell {part}"


@flow
async def slash_model(stage: Stage) -> None:
    """/model lists what there is and takes the choice."""
    window = await stage.ready_tui()
    await window.enter("/model")
    await window.shows(r"1\. scripted \(current\)")
    await window.key("Enter")
    await window.shows(r"Model changed to scripted")
    await window.enter("answer me")
    await window.shows(ANSWER)


@flow
async def resume_picker(stage: Stage) -> None:
    """``codex resume`` lists the threads of the folder; the chosen one is shown as it was, and goes on."""
    window = await stage.ready_tui()
    await window.enter("answer me first")
    await window.shows(ANSWER)
    await window.enter("run echo something")
    await window.shows(ANSWERED)
    await stage.turn_ended(2)
    await window.key("C-c", "C-c")
    await window.ended()
    picker = await stage.tui("resume", name="picker")
    await picker.shows(r"Resume a previous session")
    await picker.shows(r"answer me first|" + TITLE)
    await picker.key("Enter")
    await picker.shows(COMPOSER)
    screen = await picker.shows(ANSWERED)
    for part in ("answer me first", ANSWER, "Ran echo something"):
        assert part in screen, f"the resumed thread does not show {part!r}"
    await picker.enter("answer me again")
    await stage.turn_ended(3)
    assert len(stage.shown_threads()) == 1


@flow
async def daemon_restarted(stage: Stage) -> None:
    """The daemon is killed in mid-turn and started again: the TUI comes back by itself, sees what was said, goes on."""
    window = await stage.ready_tui()
    await window.enter("answer me first")
    await window.shows(ANSWER)
    await stage.turn_ended(1)
    await window.enter("stream 400")
    await window.shows(r"word19 ")
    await stage.kill_daemon()
    await window.shows(r"Reconnecting to server")
    await stage.start_daemon()
    screen = await window.shows(INTERRUPTED)
    for part in ("answer me first", ANSWER, "word0 word1 "):
        assert part in screen, f"after the restart the screen lacks {part!r}"
    await window.enter("answer me again")
    await stage.passed(lambda: len(stage.model.asked("answer")) == 2, "the model asked again")
    await window.shows(r"(?s)answer me again.*" + ANSWER)


@flow
async def two_tuis_one_approval(stage: Stage) -> None:
    """Two TUIs on one thread are asked the same question; one answers, and the other is told and sees it run."""
    first = await stage.ready_tui()
    await first.enter("answer me")
    await first.shows(ANSWER)
    await stage.turn_ended(1)
    [thread] = stage.shown_threads()
    second = await stage.ready_tui("resume", thread, name="second")
    await second.shows(ANSWER)
    await first.enter("ask touch made.txt")
    await first.shows(APPROVAL)
    await second.shows(APPROVAL)
    asked = stage.recording.told("item/commandExecution/requestApproval")
    assert len(asked) == 2
    assert asked[0]["id"] == asked[1]["id"]
    await second.key("y")
    await first.shows_no_more(APPROVAL)
    for window in (first, second):
        await window.shows(r"Ran touch made.txt")
        await window.shows(ANSWERED)
    assert (stage.work / "made.txt").exists()
    await stage.passed(lambda: len(stage.recording.told("serverRequest/resolved")) == 2, "both told")


@flow
async def bang_command(stage: Stage) -> None:
    """``!`` runs a command of the user's own in the thread, and shows what it printed."""
    window = await stage.ready_tui()
    await window.enter("!echo from the user")
    await stage.passed(lambda: stage.items("commandExecution"), "the end of the command")
    await window.shows(r"You ran echo from the user")
    await window.key("Escape")
    await window.enter("answer me")
    await window.shows(ANSWER)


@flow
async def slash_compact(stage: Stage) -> None:
    """/compact: whatever comes of it, the TUI goes on."""
    window = await stage.ready_tui()
    await window.enter("answer me")
    await window.shows(ANSWER)
    await window.enter("/compact")
    await stage.passed(lambda: stage.recording.answers("thread/compact/start"), "an answer to the compaction")
    await window.enter("answer me again")
    await stage.passed(lambda: len(stage.model.asked("answer")) == 2, "the model asked again")


@flow
async def methods_we_lack(stage: Stage) -> None:
    """What the TUI asks of servers that have more is answered, and it goes on: it dies of an error from some methods."""
    window = await stage.ready_tui()
    await window.enter("/mcp")
    await stage.passed(lambda: stage.recording.answers("mcpServerStatus/list"), "an answer about MCP servers")
    await window.enter("answer me")
    await window.shows(ANSWER)
    await stage.turn_ended(1)
    await window.enter("/review")
    await window.key("Down", "Enter")
    await stage.turn_ended(2)
    assert len(stage.recording.answers("review/start")) == 1
    await window.enter("answer me again")
    await stage.turn_ended(3)


def _repository_with_a_change(folder: Path) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.invalid"]
    subprocess.run([*git, "init", "-q"], check=True)
    (folder / "kept.txt").write_text("before\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    (folder / "kept.txt").write_text("after\n")
