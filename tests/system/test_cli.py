"""The command line as a person or a script meets it: what it prints, how it exits, what Ctrl-C does."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.console import home as homes
from tests.system.daemon import CALLBOARD, MARK, SOON_OVER, DaemonProcess, clean_environment, daemon_process
from tests.system.model import Exchange, ScriptedModel
from tests.system.terminal import Terminal

SECONDS = 15.0
"""For one command. More means that it hangs."""

DEMO_SECONDS = 30.0


def callboard(home: Path, *words: str, stdin: str = "", seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. What it leaves behind on purpose lies beside the home."""
    return subprocess.run(
        [str(CALLBOARD), *words],
        env={
            **clean_environment(),
            "CALLBOARD_HOME": str(home),
            "COLUMNS": "200",
            "TMPDIR": str(home.parent),
            MARK: "cli",
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[DaemonProcess]:
    """A daemon that commands find by its home."""

    def touch(exchange: Exchange) -> None:
        if exchange.round == 0:
            exchange.run("echo made; echo made > made.txt", f"touch-{exchange.serial}")
        else:
            exchange.say("It is there now.")
        exchange.complete()

    def break_down(exchange: Exchange) -> None:
        exchange.status(400, b'{"error":{"message":"I cannot read this.","code":"bad_request"}}')

    def hang(exchange: Exchange) -> None:
        exchange.say("I am thinking", finish=False)
        exchange.hang()

    for play in (touch, break_down, hang):
        model.on(play.__name__, play)
    with daemon_process(tmp_path_factory.mktemp("cli") / "home", [*model.flags(), *SOON_OVER]) as daemon:
        yield daemon


# --- without a daemon -----------------------------------------------------------------------------------------------


def test_help_names_every_verb_in_words_a_newcomer_understands(tmp_path: Path) -> None:
    done = callboard(tmp_path / "home", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("serve", "demo", "exec", "ps", "interrupt", "CALLBOARD_HOME", "OPENAI_API_KEY"):
        assert verb in done.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("verb", ["ps", "interrupt"])
def test_verbs_that_need_a_daemon_say_how_to_start_one(tmp_path: Path, verb: str) -> None:
    done = callboard(tmp_path / "home", verb)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "home") in done.stderr
    assert "callboard serve" in done.stderr


def test_bare_callboard_is_help_and_says_that_no_daemon_runs(tmp_path: Path) -> None:
    done = callboard(tmp_path / "home")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: callboard")
    assert f"No daemon runs in {tmp_path / 'home'}" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [(("dance",), "invalid choice"), (("exec", ""), "empty"), (("exec", "hello", "-C", "/no/such/folder"), "/no/such")],
)
def test_what_makes_no_sense_is_a_usage_error(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = callboard(tmp_path / "home", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_demo_ends_with_passing_tests(tmp_path: Path) -> None:
    done = callboard(tmp_path / "home", "demo", seconds=DEMO_SECONDS)
    folder = Path(found[1]) if (found := re.search(r"everything is in ([^\s;]+)", done.stdout)) else tmp_path
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the tests pass now" in done.stdout
    rollout = re.search(r"rollout: (\S+)", done.stdout)
    assert rollout is not None
    assert Path(rollout[1]).is_file()
    tests = subprocess.run(
        [sys.executable, "-m", "unittest"], cwd=folder / "tempo", capture_output=True, text=True, check=False
    )
    assert tests.returncode == 0, tests.stderr


# --- with one -------------------------------------------------------------------------------------------------------


def test_bare_callboard_says_how_the_daemon_is(running: DaemonProcess) -> None:
    done = callboard(running.home)
    assert done.returncode == 0
    assert f"listens on {running.address} (pid {running.pid}" in done.stdout


def test_ps_shows_the_tree(running: DaemonProcess) -> None:
    done = callboard(running.home, "ps")
    assert (done.returncode, done.stderr) == (0, "")
    for actor in ("root", "settings", "credentials", "launcher", "rollout_writer", "sessions", "gateway"):
        assert actor in done.stdout
    tree = msgspec.json.decode(callboard(running.home, "ps", "--json").stdout)["tree"]
    assert {"rollout_writer", "sessions", "gateway"} <= {child["id"] for child in tree["children"]}


def test_exec_prints_the_answer_and_shows_the_work_beside_it(running: DaemonProcess, tmp_path: Path) -> None:
    done = callboard(running.home, "exec", "--approve-all", "-C", str(tmp_path), "touch it")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "It is there now.\n"
    assert "echo made" in done.stderr
    assert (tmp_path / "made.txt").read_text() == "made\n"


def test_exec_declines_what_needs_a_yes_unless_told_otherwise(running: DaemonProcess, tmp_path: Path) -> None:
    done = callboard(running.home, "exec", "-C", str(tmp_path), "touch it")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "made.txt").exists()


def test_exec_reads_its_prompt_from_standard_input(running: DaemonProcess, tmp_path: Path) -> None:
    done = callboard(running.home, "exec", "-C", str(tmp_path), "-", stdin="hello\n")
    assert (done.returncode, done.stdout) == (0, "Understood.\n")


def test_exec_json_prints_one_event_per_line(running: DaemonProcess, tmp_path: Path) -> None:
    done = callboard(running.home, "exec", "--json", "--approve-all", "-C", str(tmp_path), "touch it")
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    thread_id = lines[0]["thread_id"]
    command = {"id": "item_0", "type": "command_execution", "command": lines[2]["item"]["command"]}
    assert lines == [
        {"type": "thread.started", "thread_id": thread_id},
        {"type": "turn.started"},
        {
            "type": "item.started",
            "item": {**command, "aggregated_output": "", "exit_code": None, "status": "in_progress"},
        },
        {
            "type": "item.completed",
            "item": {**command, "aggregated_output": "made\n", "exit_code": 0, "status": "completed"},
        },
        {"type": "item.started", "item": {"id": "item_1", "type": "agent_message", "text": ""}},
        {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": "It is there now."}},
        {"type": "turn.completed", "usage": lines[-1]["usage"]},
    ]
    again = callboard(running.home, "exec", "--json", "--thread", thread_id, "hello")
    assert msgspec.json.decode(again.stdout.splitlines()[0]) == lines[0]


def test_a_turn_that_fails_is_an_exit_code_and_a_reason(running: DaemonProcess, tmp_path: Path) -> None:
    done = callboard(running.home, "exec", "-C", str(tmp_path), "break_down now")
    assert done.returncode == 1
    assert "I cannot read this." in done.stderr
    as_json = callboard(running.home, "exec", "--json", "-C", str(tmp_path), "break_down now")
    assert as_json.returncode == 1
    last = msgspec.json.decode(as_json.stdout.splitlines()[-1])
    assert last["type"] == "turn.failed"
    assert "I cannot read this." in last["error"]["message"]


def test_exec_without_a_daemon_borrows_one_and_leaves_none(tmp_path: Path, model: ScriptedModel) -> None:
    done = callboard(tmp_path / "home", "exec", *model.flags(), "-C", str(tmp_path), "hello")
    assert (done.returncode, done.stdout) == (0, "Understood.\n")
    assert "No daemon runs" in callboard(tmp_path / "home").stdout


def test_the_daemon_that_exec_borrowed_finishes_its_turn_and_ends_although_exec_was_killed(
    tmp_path: Path, model: ScriptedModel
) -> None:
    def nap(exchange: Exchange) -> None:
        if exchange.round == 0:
            exchange.run("sleep 1; echo rested > rested.txt", f"nap-{exchange.serial}")
        else:
            exchange.say("Good morning.")
        exchange.complete()

    model.on("nap", nap)
    home = tmp_path / "home"
    with Terminal(home, "exec", "--approve-all", *model.flags(), "-C", str(tmp_path), "nap") as terminal:
        terminal.until("sleep 1")
        found = homes.running(home)
        terminal.process.kill()
        assert terminal.process.wait() == -signal.SIGKILL
    assert found is not None
    ended = os.pidfd_open(found.pid)
    try:
        assert select.select([ended], [], [], SECONDS)[0], "it still runs"
    finally:
        os.close(ended)
    assert (tmp_path / "rested.txt").read_text() == "rested\n"


# --- interrupting ---------------------------------------------------------------------------------------------------


CTRL_C = b"\x03"


@pytest.fixture
def thinking(running: DaemonProcess, tmp_path: Path) -> Iterator[Terminal]:
    """`callboard exec` in a terminal, in the middle of a turn that does not end."""
    terminal = Terminal(running.home, "exec", "-C", str(tmp_path), "hang on")
    try:
        terminal.until("I am thinking")
        yield terminal
    finally:
        terminal.close()


def test_ctrl_c_interrupts_the_turn_and_the_command_says_so(
    running: DaemonProcess, model: ScriptedModel, thinking: Terminal
) -> None:
    thinking.press(CTRL_C)
    assert thinking.ended() == 1
    assert "interrupted" in thinking.shown
    assert "Traceback" not in thinking.shown


def test_ctrl_c_twice_leaves(running: DaemonProcess, model: ScriptedModel, thinking: Terminal) -> None:
    """With the daemon stopped the first one cannot be answered: what a person does then is press it again."""
    os.kill(running.pid, signal.SIGSTOP)
    try:
        thinking.press(CTRL_C)
        time.sleep(0.3)  # two keys pressed at once are one interrupt to the kernel; nothing shows the first was seen
        thinking.press(CTRL_C)
        assert thinking.ended() == 130
    finally:
        os.kill(running.pid, signal.SIGCONT)
    assert "Traceback" not in thinking.shown


def test_interrupt_ends_the_turns_of_others(running: DaemonProcess, thinking: Terminal) -> None:
    thread = re.search(r"thread ([0-9a-f-]{36})", thinking.shown)
    assert thread is not None
    done = callboard(running.home, "interrupt", thread[1])
    assert done.returncode == 0
    assert re.fullmatch(rf"interrupted turn \S+ of thread {thread[1]}\n", done.stdout)
    assert thinking.ended() == 1
    assert "interrupted" in thinking.shown
    again = callboard(running.home, "interrupt", thread[1])
    assert (again.returncode, again.stdout) == (0, "no turn is running\n")


def test_ctrl_c_ends_a_daemon_in_order(tmp_path: Path, model: ScriptedModel) -> None:
    home = tmp_path / "home"
    terminal = Terminal(home, "serve", "--listen", "ws://127.0.0.1:0", *model.flags())
    try:
        terminal.until("callboard listens on")
        terminal.press(CTRL_C)
        assert terminal.ended() == 130, terminal.shown
        assert "Traceback" not in terminal.shown
        assert not (home / "daemon.json").exists()
    finally:
        terminal.close()
