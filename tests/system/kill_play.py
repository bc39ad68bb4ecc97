"""What the model says and the tools do while daemons are being killed: turns with everything in them that can go wrong.

Every call leaves a line in a *ledger* in its workspace: its idempotency key and a name that no other call of the run
has. What ran twice is there twice.

    work NAME    reasoning, text, three commands at once (one leaves a child in a session of its own, forked twice), a
                 patch beside a command, a background terminal, typing into it, text; nobody is asked
    ask NAME     two commands that need a yes beside one that does not, then text
    stream NAME  text for as long as the others work
    script NAME  a script: three commands at once, a timer, a patch, a race whose loser is cancelled, a command that nobody
                 waits for; then text
    doubt NAME   a script whose commands need a yes, one after another and two at once
    again NAME   one command and an answer: does the thread still work?
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.system.model import Exchange, ScriptedModel

TURN_SECONDS = 1.4
"""About how long `work` takes on an idle machine. Kills are spread over it and a little more."""

NOTE = 'printf "%s %s\\n" "$CALLBOARD_IDEMPOTENCY_KEY" "$1" >> ledger\n'
"""The script that makes a ledger line: one short append, which the kernel does whole or not at all."""

PATCHED = "patched.txt"
TYPED = "typed.txt"

TWO_FORKS_AND_SETSID = "(setsid sh -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &) ; sleep 0.05"
ECHO_LINES = f'setsid sleep 300 & while read -r line; do echo "$line" >> {TYPED}; done'


class Workspace:
    """The folder of one thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        (folder / "note").write_text(NOTE)
        (folder / PATCHED).write_text("the first line\n")

    def ledger(self) -> list[tuple[str, str]]:
        """(idempotency key, name) of every call that took effect, in order."""
        return [(key, name) for key, _, name in (line.partition(" ") for line in self._lines("ledger"))]

    def effects(self) -> Counter[str]:
        """How often each named effect happened: commands, patches and what was typed."""
        counted = Counter(name for _, name in self.ledger())
        counted.update(line for line in self._lines(PATCHED) if line != "the first line")
        counted.update(self._lines(TYPED))
        return counted

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


def note(name: str) -> str:
    """A command that puts ``name`` into the ledger."""
    return f"sh note {name}"


def teach(model: ScriptedModel) -> None:
    """Give the model its plays."""
    for play in (work, ask, stream, script, doubt, again):
        model.on(play.__name__, _named(play))


def _named(play: Callable[[Exchange, str], None]) -> Callable[[Exchange], None]:
    return lambda exchange: play(exchange, exchange.user.split(" ")[1])


def work(exchange: Exchange, name: str) -> None:
    match exchange.round:
        case 0:
            exchange.reason("Three things can happen at once.")
            exchange.say(f"I begin with {name}. " * 6, pieces=6, pause=0.015)
            exchange.run(f"{note(f'{name}-a')}; sleep 0.15; echo a", f"{name}-a")
            exchange.run(f"{note(f'{name}-b')}; {TWO_FORKS_AND_SETSID}", f"{name}-b")
            exchange.run(f"for i in 1 2 3 4 5 6; do echo line $i; sleep 0.03; done; {note(f'{name}-c')}", f"{name}-c")
        case 1:
            exchange.say(f"Now a patch for {name}. ", pieces=3, pause=0.015)
            exchange.patch(f"*** Begin Patch\n*** Update File: {PATCHED}\n@@\n+{name}-p\n*** End Patch\n", f"{name}-p")
            exchange.run(f"{note(f'{name}-d')}; cat {PATCHED}", f"{name}-d")
        case 2:
            exchange.run(f"{note(f'{name}-e')}; {ECHO_LINES}", f"{name}-e", tty=True, yield_time_ms=250)
        case 3:
            session = re.search(r"session ID (\d+)", exchange.output_of(f"{name}-e"))
            if session is not None:
                arguments = {"session_id": int(session[1]), "chars": f"{name}-t\n", "yield_time_ms": 250}
                exchange.call("write_stdin", arguments, f"{name}-t")
            else:
                exchange.say("The terminal is gone.")
        case _:
            exchange.say(f"All of {name} is done. " * 4, pieces=8, pause=0.015)
    exchange.complete()


def ask(exchange: Exchange, name: str) -> None:
    if exchange.round == 0:
        exchange.say(f"May I do {name}?", pieces=2, pause=0.01)
        exchange.run(note(f"{name}-a"), f"{name}-a")
        exchange.run("ls", f"{name}-l")
        exchange.run(f"{note(f'{name}-c')}; sleep 0.1", f"{name}-c")
    else:
        exchange.say(f"Thank you for {name}.")
    exchange.complete()


def stream(exchange: Exchange, name: str) -> None:
    exchange.say(f"A long story about {name}, told slowly. " * 10, pieces=int(TURN_SECONDS * 40), pause=0.02)
    exchange.complete()


SCRIPT = """\
const code = (error: any) => error.code as string;
const note = (name: string, then = "") =>
  tools.exec({{ command: `sh note {name}-${{name}}; ${{then}}` }}).then((done) => done.exitCode, code);
console.log("draw", Math.random());
const first = await Promise.all([note("a", "sleep 0.15"), note("b", {forks}), note("c", "echo c")]);
await new Promise<void>((resolve) => setTimeout(resolve, 60));
const patch = "*** Begin Patch\\n*** Update File: {patched}\\n@@\\n+{name}-p\\n*** End Patch";
const patched = await tools.applyPatch({{ patch }}).then(() => "patched", code);
const won = await Promise.race([note("d"), note("e", "setsid sleep 300 & sleep 300").then(() => "lost")]);
note("f");
return {{ first, patched, won, draw: Math.random(), at: Date.now() }};"""

DOUBT = """\
const note = (name: string) => tools.exec({{ command: `sh note {name}-${{name}}` }}).then((done) => done.exitCode);
const one = await note("a");
const both = await Promise.all([note("b"), tools.exec({{ command: "ls" }}), note("c")].map((each) => each.catch((e) => e.code)));
return [one, both.length, Math.random()];"""


def script(exchange: Exchange, name: str) -> None:
    if exchange.round == 0:
        forks = msgspec.json.encode(TWO_FORKS_AND_SETSID).decode()
        exchange.script(SCRIPT.format(name=name, forks=forks, patched=PATCHED), before=f"One script for {name}.")
    else:
        exchange.say(f"The script of {name} is over. " * 4, pieces=8, pause=0.015)
    exchange.complete()


def doubt(exchange: Exchange, name: str) -> None:
    if exchange.round == 0:
        exchange.script(DOUBT.format(name=name), before=f"May a script do {name}?")
    else:
        exchange.say(f"Thank you for {name}.")
    exchange.complete()


def again(exchange: Exchange, name: str) -> None:
    if exchange.round == 0:
        exchange.run(note(f"{name}-z"), f"{name}-z")
    else:
        exchange.say("It still works.")
    exchange.complete()
