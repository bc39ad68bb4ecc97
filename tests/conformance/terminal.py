"""A terminal that a real TUI draws in: tmux, on a socket of its own, with a screen that can be read as text.

tmux and not a pty with an emulator of ours, because a TUI asks its terminal questions (colours, keyboard protocol,
cursor) and a terminal that people use answers them.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COLUMNS, ROWS = 130, 45

LOOK_SECONDS = 0.1
"""Between two looks at the screen: nobody redraws faster than people read."""

PATIENCE_SECONDS = 20.0
"""For anything to appear, with a real client on a busy machine."""

AFTER_TYPING_SECONDS = 0.4
"""The TUI takes keys that come faster than fingers for a paste, and an Enter among them for a line of it; so long after
the last key an Enter is an Enter."""

SAME_KEY_SECONDS = 0.3

TAIL_CHARS = 8
"""Of what was typed: short enough to stand on one line, wherever it is broken."""


class ScreenError(AssertionError):
    """What had to be on the screen is not; the text has the screen."""


class Terminal:
    """One window with one program in it."""

    def __init__(self, name: str, socket: Path, screens: Path) -> None:
        self._name = name
        self._socket = socket
        self._screens = screens
        self._shots = 0

    async def start(self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
        """Run a program in it. What it prints stays on the screen when it has ended."""
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        await self._tmux(
            "-f", "/dev/null", "start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";",
            "set-option", "-g", "default-terminal", "xterm-256color", ";",
            "new-session", "-d", "-s", self._name, *size, "-c", str(cwd), *variables, "--", *arguments,
        )  # fmt: skip

    async def stop(self) -> None:
        """End the program and the terminal; what was on the screen last is kept."""
        with contextlib.suppress(ScreenError):
            self._keep("at the end", await self.screen())
        await self._tmux("kill-server", check=False)

    # --- typing -----------------------------------------------------------------------------------------------------

    async def type(self, text: str) -> None:
        """Type a text, without Enter, and see it arrive."""
        await self._tmux("send-keys", "-t", self._name, "-l", "--", text)
        await trio.sleep(AFTER_TYPING_SECONDS)

    async def key(self, *names: str) -> None:
        """Press keys, by tmux's names for them: Enter, Escape, Tab, Down, C-c."""
        for name in names:
            await self._tmux("send-keys", "-t", self._name, name)
            await trio.sleep(SAME_KEY_SECONDS)

    async def enter(self, text: str) -> None:
        """Type a text, see its end on the screen, and press Enter."""
        await self._tmux("send-keys", "-t", self._name, "-l", "--", text)
        await self.shows(re.escape(text[-TAIL_CHARS:]))
        await trio.sleep(AFTER_TYPING_SECONDS)
        await self.key("Enter")

    # --- looking ----------------------------------------------------------------------------------------------------

    async def screen(self) -> str:
        """What is on the screen now, without trailing blanks."""
        lines = (await self._tmux("capture-pane", "-p", "-t", self._name)).splitlines()
        return "\n".join(line.rstrip() for line in lines).rstrip()

    async def scrollback(self) -> str:
        """The screen and what scrolled off it."""
        return await self._tmux("capture-pane", "-p", "-S", "-", "-t", self._name)

    async def shows(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until the screen matches a regular expression; the screen. Raises ScreenError."""
        return await self._watch(pattern, seconds, wanted=True)

    async def shows_no_more(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until the screen matches it no more; the screen. Raises ScreenError."""
        return await self._watch(pattern, seconds, wanted=False)

    async def _watch(self, pattern: str, seconds: float, *, wanted: bool) -> str:
        expression = re.compile(pattern)
        deadline = time.monotonic() + seconds
        while True:
            screen = await self.screen()
            if (expression.search(screen) is not None) is wanted:
                self._keep(f"{'shows' if wanted else 'no longer shows'} {pattern}", screen)
                return screen
            if time.monotonic() > deadline:
                self._keep(f"should {'' if wanted else 'no longer '}show {pattern}", screen)
                verb = "does not show" if wanted else "still shows"
                raise ScreenError(f"after {seconds:g} s the screen of {self._name} {verb} {pattern!r}:\n{screen}")
            await trio.sleep(LOOK_SECONDS)

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the program's end; its exit code. Raises ScreenError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = await self._tmux("list-panes", "-t", self._name, "-F", "#{pane_dead} #{pane_dead_status}")
            dead, _, code = state.strip().partition(" ")
            if dead == "1":
                self._keep("ended", await self.screen())
                return int(code or 0)
            await trio.sleep(LOOK_SECONDS)
        raise ScreenError(f"{self._name} has not ended after {seconds:g} s:\n{await self.screen()}")

    def _keep(self, why: str, screen: str) -> None:
        self._shots += 1
        with self._screens.open("a") as file:
            file.write(f"── {self._name} {self._shots}: {why}\n{screen}\n\n")

    async def _tmux(self, *arguments: str, check: bool = True) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        if check and done.returncode != 0:
            raise ScreenError(f"tmux {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")


@asynccontextmanager
async def terminal(name: str, *, folder: Path, screens: Path) -> AsyncIterator[Terminal]:
    """A terminal for the length of a block. ``folder`` holds its socket, ``screens`` is the file that screens go to."""
    window = Terminal(name, folder / f"{name}.tmux", screens)
    try:
        yield window
    finally:
        with trio.CancelScope(shield=True):
            await window.stop()
