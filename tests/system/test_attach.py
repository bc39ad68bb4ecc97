"""Who is attached stays attached: the daemon dies in mid-turn and comes back, and nothing is shown twice or missed."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import trio
from trio import to_thread

from tests.system.daemon import CALLBOARD, MARK, DaemonProcess, clean_environment
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
from tests.system.outcome import history_problems
from tests.system.peer import connect
from tests.system.terminal import Terminal
from tests.system.test_amendments import run_what_is_said

PLAY_SECONDS = 20.0


class Reader:
    """What a program has printed, line by line, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:  # until the program is gone
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    async def until(self, text: str) -> None:
        """Wait until a line has it. Raises AssertionError."""
        arrived = await trio.to_thread.run_sync(self._arrived, text)
        assert arrived, f"{text!r} was not printed: {self.lines}"

    def _arrived(self, text: str) -> bool:
        with self._news:
            return self._news.wait_for(lambda: self.times(text) > 0, PLAY_SECONDS)

    def times(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@contextlib.contextmanager
def _started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Whatever happens to the test, the program does not outlive it."""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_attach_finds_the_daemon_again_and_shows_what_came_meanwhile_once(
    lone: DaemonProcess, model: ScriptedModel, tmp_path: Path
) -> None:
    def tale(exchange: Exchange) -> None:
        exchange.say("Once upon a time.\n")
        exchange.hang()

    model.on("tale", tale)
    daemon = lone
    daemon.start()
    with deadline(60, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(tmp_path)
            await peer.run_turn(thread["id"], "hello there")
            command = [str(CALLBOARD), "attach", thread["id"]]
            environment = {**clean_environment(), "CALLBOARD_HOME": str(daemon.home), MARK: daemon.mark}
            with _started(command, environment) as process:
                shown = Reader(process)
                await shown.until("hello there")
                await peer.start_turn(thread["id"], "tale please")
                await peer.note("item/agentMessage/delta")
                await shown.until("tale please")
                journal = daemon.home / "checkpoints"
                await until(lambda: any("Once upon" in file.read_text() for file in journal.glob("*")))
                daemon.kill()
                await shown.until("the connection is lost")
                daemon.start()
                await shown.until("connected again")
                await shown.until("interrupted")
                async with connect(daemon) as other:
                    await other.request("thread/resume", {"threadId": thread["id"]})
                    await other.run_turn(thread["id"], "hello again")
                await shown.until("hello again")
                process.terminate()
                assert process.wait(10) == 130
            for text in ("> hello there", "> tale please", "> hello again", "Once upon a time."):
                assert shown.times(text) == 1, f"{text!r} is shown {shown.times(text)} times: {shown.lines}"


async def test_at_a_terminal_a_question_is_asked_again_and_what_was_typed_is_sent_when_the_daemon_is_back(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    daemon = lone
    daemon.start()
    with deadline(60, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, "untrusted")
        with Terminal(daemon.home, "attach", thread["id"]) as terminal:
            await to_thread.run_sync(terminal.until_new, "idle · Enter sends")
            terminal.press(b"make touch made.txt\r")
            await to_thread.run_sync(terminal.until_new, "[y] yes")
            daemon.kill()
            await to_thread.run_sync(terminal.until_new, "the connection is lost")
            terminal.press(b"also this\r")
            await to_thread.run_sync(terminal.until_new, "kept until the daemon is back: also this")
            terminal.resize(24, 70)
            daemon.start()
            await to_thread.run_sync(terminal.until_new, "connected again")
            await to_thread.run_sync(terminal.until_new, "[y] yes")
            assert not (workspace / "made.txt").exists()
            terminal.press(b"y")
            await to_thread.run_sync(terminal.until_new, "· $ touch made.txt: accepted")
            await to_thread.run_sync(terminal.until_new, "> also this")
            await to_thread.run_sync(terminal.until_new, "idle · Enter sends")
            terminal.press(b"\x04")
            assert await to_thread.run_sync(terminal.ended) == 0
            assert "starting a daemon" not in terminal.shown, "one thing draws on a terminal at a time"
            assert "Traceback" not in terminal.shown
    assert (workspace / "made.txt").exists()
    assert history_problems(thread) == []


async def test_at_a_terminal_a_question_goes_away_when_somebody_else_answers_it(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("make", run_what_is_said)
    with deadline(40, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace, "untrusted")
            with Terminal(daemon.home, "attach", thread["id"]) as terminal:
                terminal.resize(14, 60)
                await to_thread.run_sync(terminal.until_new, "idle · Enter sends")
                await peer.start_turn(thread["id"], f"make touch {'x' * 100} && echo {'y' * 300}")
                # Too tall for a small window: it is printed whole, and the keys stay in sight.
                await to_thread.run_sync(terminal.until_new, "the whole question stands above")
                await to_thread.run_sync(terminal.until_new, "[n] no   [q] quit")
                await peer.answer(await peer.note("item/commandExecution/requestApproval"), {"decision": "decline"})
                await to_thread.run_sync(terminal.until_new, "answered elsewhere, or withdrawn")
                await to_thread.run_sync(terminal.until_new, "It was run.")
                terminal.press(b"y\x04")  # no question is open: a letter of a line, and not the end of input
                terminal.press(b"\x15\x04")
                assert await to_thread.run_sync(terminal.ended) == 0
    assert list(workspace.iterdir()) == []
