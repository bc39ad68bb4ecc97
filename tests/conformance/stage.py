"""What each flow gets: a daemon in a home of its own, a model that plays what it is told, a tap, folders, terminals.

The model's plays are called by the first word of a prompt:

    answer   a short answer, at once
    stream   so many numbered words, twenty a second
    run      the rest of the prompt is a command; then a word about it
    ask      the same, outside the sandbox: a person is asked
    patch    adds the file that the prompt names
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

from tests.conformance.clients import Client
from tests.conformance.recording import Frame, Recording
from tests.conformance.tap import Tap, tapped
from tests.conformance.terminal import LOOK_SECONDS, PATIENCE_SECONDS, Terminal, terminal
from tests.system.daemon import CALLBOARD, MARK, DaemonProcess
from tests.system.model import Exchange, Play, ScriptedModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHIM = Path(__file__).with_name("shim.py")

CONFIG = """\
model = "scripted"
model_provider = "scripted"
model_providers.scripted.base_url = "{url}"
listen.auth = false
"""
"""The user's file: whoever starts the daemon, it is this one."""

STREAM_PAUSE_SECONDS = 0.05
"""Between two words: people see it grow, and can do something meanwhile."""

TITLE = "A rehearsed title"
ANSWER = "The rehearsed answer is forty-two."
ANSWERED = "The call has been answered."


@dataclass(frozen=True, slots=True)
class Flow:
    """One thing that a client does, from its start to its end."""

    name: str
    client: Client
    run: Callable[[Stage], Awaitable[None]]

    @property
    def what(self) -> str:
        """In a sentence."""
        return (self.run.__doc__ or self.name).strip().splitlines()[0]


class Stage:
    """One flow's surroundings."""

    def __init__(
        self,
        *,
        program: Path,
        folder: Path,
        artifacts: Path,
        model: ScriptedModel,
        daemon: DaemonProcess,
        recording: Recording,
        tap: Tap,
    ) -> None:
        self.program = program
        """The real client."""
        self.folder = folder
        """Its own, for this flow, gone afterwards."""
        self.artifacts = artifacts
        """What is kept."""
        self.model = model
        self.daemon = daemon
        self.recording = recording
        self.tap = tap
        self.work = folder / "work"
        """Where threads work."""
        self.home = folder / "user"
        """The client's home."""
        self.shots = artifacts / "screens.txt"
        self._stdio_record = folder / "stdio.jsonl"
        self._stack = AsyncExitStack()
        for path in (self.work, self.home):
            path.mkdir()

    # --- the daemon -------------------------------------------------------------------------------------------------

    async def kill_daemon(self) -> None:
        """SIGKILL."""
        await trio.to_thread.run_sync(self.daemon.kill)

    async def start_daemon(self) -> None:
        """Start it, or start it again on the same home."""
        await trio.to_thread.run_sync(self.daemon.start)

    def running(self, words: str) -> list[str]:
        """Processes of the daemon's making whose command line has these words."""
        return [process for process in self.daemon.leftovers() if words in process]

    async def until_runs(self, words: str) -> None:
        """Wait until such a process is there. Raises AssertionError."""
        deadline = trio.current_time() + PATIENCE_SECONDS
        while not self.running(words):
            assert trio.current_time() < deadline, f"no process {words!r}"
            await trio.sleep(LOOK_SECONDS)

    # --- the client -------------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """A client's: a home of its own, nothing of ours."""
        codex_home = self.home / "codex"
        codex_home.mkdir(exist_ok=True)
        return {"HOME": str(self.home), "CODEX_HOME": str(codex_home), "LANG": "C.UTF-8", **more}

    async def tui(self, *arguments: str, name: str = "tui") -> Terminal:
        """A TUI in a terminal, connected through the tap."""
        window = await self._stack.enter_async_context(terminal(name, folder=self.folder, screens=self.shots))
        command = [str(self.program), *arguments, "--remote", self.tap.url, "--cd", str(self.work)]
        await window.start(command, cwd=self.work, environment=self.environment())
        return window

    async def ready_tui(self, *arguments: str, name: str = "tui") -> Terminal:
        """The same in a folder that is trusted, on a daemon that runs, with the composer ready."""
        if self.daemon.process is None:
            self.trust()
            await self.start_daemon()
        window = await self.tui(*arguments, name=name)
        await window.shows(COMPOSER)
        return window

    def trust(self) -> None:
        """Write down that the folder is trusted, as the trust prompt would."""
        with (self.daemon.home / "config.toml").open("a") as file:
            file.write(f'[projects."{self.work}"]\ntrust_level = "trusted"\n')

    def rules(self) -> str | None:
        """What the daemon has written down as allowed for good; None if there is no such file."""
        path = self.daemon.home / "rules" / "default.rules"
        return path.read_text() if path.exists() else None

    # --- clients that start a program ---------------------------------------------------------------------------------

    def binary(self) -> Path:
        """What to start instead of the original binary: `callboard`, read along with."""
        script = self.folder / "codex"
        command = shlex.join([sys.executable, str(SHIM), str(self._stdio_record), str(CALLBOARD)])
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)
        return script

    def stdio_environment(self, **more: str) -> dict[str, str]:
        """For a client that starts that program."""
        return {
            **self.environment(),
            "PATH": os.environ["PATH"],
            "CALLBOARD_HOME": str(self.daemon.home),
            MARK: self.daemon.mark,
            **more,
        }

    async def hear_stdio(self) -> None:
        """Take over what passed through that program since the last time."""
        if self._stdio_record.exists():
            self.recording.hear(self._stdio_record.read_bytes())
            self._stdio_record.unlink()

    async def until_nothing_runs(self) -> None:
        """Wait for the daemon that was started for a client to be gone with it. Raises AssertionError."""
        left = await self.daemon.all_gone()
        assert not left, f"left behind: {left}"

    async def passed(self, fits: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it is true of the frames that passed."""
        await self.recording.until(fits, seconds, what)

    def turns(self) -> list[Frame]:
        """The turns that have ended, each once, without those of hidden threads."""
        hidden = self.hidden_threads()
        ended: dict[str, Frame] = {}
        for frame in self.recording.told("turn/completed"):
            if frame["params"]["threadId"] not in hidden:
                ended.setdefault(frame["params"]["turn"]["id"], frame["params"]["turn"])
        return list(ended.values())

    async def turn_ended(self, count: int) -> Frame:
        """The ``count``-th turn to end, which is waited for."""
        await self.passed(lambda: len(self.turns()) >= count, f"the end of turn {count}")
        return self.turns()[count - 1]

    def items(self, kind: str) -> list[Frame]:
        """The completed items of a kind, each once, without those of hidden threads."""
        hidden = self.hidden_threads()
        found: dict[str, Frame] = {}
        for frame in self.recording.told("item/completed"):
            item = frame["params"]["item"]
            if item["type"] == kind and frame["params"]["threadId"] not in hidden:
                found.setdefault(item["id"], item)
        return list(found.values())

    def shown_threads(self) -> list[str]:
        """The threads that people see, in the order they were started."""
        hidden = self.hidden_threads()
        started = [frame["result"]["thread"]["id"] for frame in self.recording.answers("thread/start")]
        return [thread for thread in started if thread not in hidden]

    def hidden_threads(self) -> set[str]:
        """The ephemeral threads that clients ask for titles in."""
        threads = [frame["result"]["thread"] for frame in self.recording.answers("thread/start") if "result" in frame]
        return {thread["id"] for thread in threads if thread["ephemeral"]}

    async def close(self) -> None:
        """End what the client started."""
        await self._stack.aclose()


COMPOSER = r"(?m)^› (?!1\.)"
"""Where the TUI takes a prompt, and no menu."""


@asynccontextmanager
async def staged(program: Path, folder: Path, artifacts: Path) -> AsyncIterator[Stage]:
    """The surroundings of one flow; whatever was recorded is kept when it ends."""
    recording = Recording()
    with closing(StageModel()) as model:
        daemon = DaemonProcess(folder / "daemon")
        daemon.home.mkdir()
        (daemon.home / "config.toml").write_text(CONFIG.format(url=model.url))

        def upstream() -> str | None:
            return found.address if (found := daemon.announced()) is not None else None

        async with tapped(upstream, recording) as tap:
            stage = Stage(
                program=program,
                folder=folder,
                artifacts=artifacts,
                model=model,
                daemon=daemon,
                recording=recording,
                tap=tap,
            )
            try:
                yield stage
            finally:
                with trio.CancelScope(shield=True):
                    await stage.close()
                    await trio.to_thread.run_sync(daemon.kill)
                    await trio.to_thread.run_sync(_end, daemon)
                recording.write(artifacts / "transcript.jsonl")
                if daemon.log.exists():
                    (artifacts / "daemon.log").write_bytes(daemon.log.read_bytes())


def _end(daemon: DaemonProcess) -> None:
    """Whatever a flow that failed has left of what it started."""
    for pid in (int(each.split(" ")[0]) for each in daemon.leftovers()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# --- the model ------------------------------------------------------------------------------------------------------


class StageModel(ScriptedModel):
    """Plays for prompts, and a title for the hidden threads that ask for one."""

    def __init__(self) -> None:
        super().__init__()
        for play in (answer, stream, run, ask, patch):
            self.on(play.__name__, play)

    def choose(self, exchange: Exchange) -> Play:
        form = (exchange.request.get("text") or {}).get("format") or {}
        return title if form.get("type") == "json_schema" else super().choose(exchange)


def title(exchange: Exchange) -> None:
    exchange.say(msgspec.json.encode({"title": TITLE}).decode())
    exchange.complete()


def answer(exchange: Exchange) -> None:
    exchange.say(ANSWER, pieces=8)
    exchange.complete()


def stream(exchange: Exchange) -> None:
    count = int(_rest(exchange).split(" ")[0])
    words = "".join(f"word{number} " for number in range(count))
    exchange.say(words, pieces=count, pause=STREAM_PAUSE_SECONDS)
    exchange.complete()


def run(exchange: Exchange) -> None:
    if exchange.round == 0:
        exchange.run(_rest(exchange), f"call_{exchange.serial}")
    else:
        exchange.say(ANSWERED)
    exchange.complete()


def ask(exchange: Exchange) -> None:
    if exchange.round == 0:
        more = {"sandbox_permissions": "require_escalated", "justification": "It changes files."}
        exchange.call("exec_command", {"cmd": _rest(exchange), **more}, f"call_{exchange.serial}")
    else:
        exchange.say(ANSWERED)
    exchange.complete()


def patch(exchange: Exchange) -> None:
    if exchange.round == 0:
        text = f"*** Begin Patch\n*** Add File: {_rest(exchange)}\n+rehearsed\n*** End Patch\n"
        exchange.patch(text, f"call_{exchange.serial}")
    else:
        exchange.say(ANSWERED)
    exchange.complete()


def _rest(exchange: Exchange) -> str:
    return exchange.user.partition(" ")[2]
