"""Who is attached stays attached: the daemon dies in mid-turn and comes back, and nothing is shown twice or missed."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.system.daemon import CALLBOARD, MARK, DaemonProcess, clean_environment
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, ScriptedModel
from tests.system.peer import connect

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
