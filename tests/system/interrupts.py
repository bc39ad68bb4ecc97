"""``make interrupts``: interrupt turns at random moments while tools run in parallel, and see that nothing is left.

    python -m tests.system.interrupts --interrupts 500 [--seed 7]

One interrupt: a turn with one to sixteen commands at once (`KINDS`: obedient ones, ones that ignore SIGTERM, ones that
fork twice into sessions of their own, ones that flood their output, ones on a terminal), called by the model or by one
script of its, in a thread that is sandboxed or not. After a time drawn from the seed the client interrupts it. The *moment* the client is shown ``turn/completed``:

    no process of the turn is alive, whatever it forked, and none that ran its script;
    the daemon and its launcher hold no descriptor more than before the turn, and have no zombie;
    the log holds a history that providers accept;
    and then a turn in the same thread works.

Processes are looked for at once. Descriptors and zombies are given `SETTLE_SECONDS`, because the launcher reaps when
the kernel tells it, which is after the daemon has seen the end; how long they took is in the table.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import trio

from actors.tool_worker.launcher.outside.wire import INIT_NAME
from tests.system import daemon as observed
from tests.system import kill_laws as laws
from tests.system.daemon import DaemonProcess
from tests.system.deadline import until
from tests.system.kill import LawBrokenError, broken
from tests.system.kill_laws import Shown
from tests.system.kill_play import Workspace, again, note
from tests.system.model import Exchange, ScriptedModel, scripted_model
from tests.system.peer import Peer, connect

KINDS: dict[str, str] = {
    "obedient": "sleep 300",
    "ignores SIGTERM": "trap '' TERM HUP INT; while :; do sleep 300; done",
    "forks twice": "(setsid sh -c 'sleep 300 & exec sleep 300' &) ; sleep 300",
    "deaf and forked": "(setsid sh -c 'trap \"\" TERM; sleep 300 & sleep 300; sleep 300' &) ; trap '' TERM; sleep 300; :",
    "floods": "yes 0123456789012345678901234567890123456789",
    "stopped": "kill -STOP $$; sleep 300",
    "soon over": "sleep 0.0$((RANDOM % 9)); echo done",
}
"""What a command does."""

TOOLS_MAX = 16
MOMENT_SECONDS = 0.9
"""Interrupts are spread over it: from before the first command runs until all do, on a busy machine too."""

LAUNCHER_NAME = "callboard-launc"
"""What the kernel keeps of it: fifteen characters."""

SETTLE_SECONDS = 2.0
ROUND_SECONDS = 60.0
"""For one interrupt and everything after it; more means that something hangs."""

MODES = ("danger-full-access", "workspace-write", "read-only")
THREADS = 6
"""Per daemon; each goes on through many interrupts."""

ENDINGS = ("interrupted", "completed")
"""`completed`: all commands were soon over, and the interrupt came too late."""


def teach(model: ScriptedModel) -> None:
    """Give the model its plays."""
    model.on("many", many)
    model.on("script", scripted)
    model.on("again", lambda exchange: again(exchange, exchange.user.split(" ")[1]))


def many(exchange: Exchange) -> None:
    """``many NAME KIND+…``: a command of each kind, all at once."""
    _, name, kinds = exchange.user.split(" ", 2)
    if exchange.round == 0:
        exchange.say("All at once.", pieces=3, pause=0.01)
        for index, kind in enumerate(kinds.split("+")):
            label, _, terminal = kind.partition("@")
            exchange.run(KINDS[label], f"{name}-{index}", yield_time_ms=30_000, tty=bool(terminal))
    else:
        exchange.say("That is all.")
    exchange.complete()


def scripted(exchange: Exchange) -> None:
    """``script NAME KIND+…``: the same, by a script; eight at a time run, the others wait."""
    _, _, kinds = exchange.user.split(" ", 2)
    if exchange.round == 0:
        commands = msgspec.json.encode([KINDS[label.partition("@")[0]] for label in kinds.split("+")]).decode()
        wait = "await new Promise<void>((resolve) => setTimeout(resolve, 20))"
        exchange.script(f"{wait};\nawait Promise.all({commands}.map((command) => tools.exec({{ command }})));")
    else:
        exchange.say("That is all.")
    exchange.complete()


class Count:
    """What was done, for the table at the end."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.endings: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.modes: Counter[str] = Counter()
        self.callers: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.settled: list[float] = []

    def check(self, law: str, problems: list[str]) -> None:
        """Raises LawBrokenError."""
        self.checks[law] += 1
        if problems:
            raise LawBrokenError(law, problems)

    def table(self) -> str:
        lines = [f"{self.interrupts} interrupts"]
        counts = ("turns ended", self.endings), ("called by", self.callers), ("commands", self.kinds)
        for title, counted in (*counts, ("threads in", self.modes)):
            lines += ["", title, *(f"  {count:5}  {name}" for name, count in counted.most_common())]
        lines += ["", "laws checked, none broken", *(f"  {count:5}  {name}" for name, count in self.checks.items())]
        lines += [
            "",
            f"interrupt until turn/completed: {spread(self.seconds)}",
            f"descriptors and zombies settled after: {spread(self.settled)}",
        ]
        return "\n".join(lines)


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds) or [0.0]
    return f"p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, max {ordered[-1] * 1000:.1f} ms"


class Trial:
    """One daemon that is interrupted again and again."""

    def __init__(self, folder: Path, model: ScriptedModel, rng: random.Random, count: Count) -> None:
        self._folder = folder
        self._model = model
        self._rng = rng
        self._count = count
        self._daemon = DaemonProcess(folder / "home", model.flags())
        self._threads: list[tuple[Shown, str]] = []
        self._turns = 0

    async def run(self, interrupts: int) -> None:
        """Raises LawBrokenError."""
        self._daemon.start()
        try:
            async with connect(self._daemon) as peer, trio.open_nursery() as nursery:
                await self._warm_up(peer)
                for _ in range(interrupts):
                    with trio.fail_after(ROUND_SECONDS):
                        await self._interrupt_one(peer)
                    peer.frames.clear()
                    peer.times.clear()
                nursery.cancel_scope.cancel()
            self._daemon.stop()
        finally:
            self._daemon.kill()
        self._count.check("nothing is left of the daemon", await self._daemon.all_gone())

    async def _warm_up(self, peer: Peer) -> None:
        """Threads in every mode, each with one whole turn behind it: what is opened once is open now."""
        for index in range(THREADS):
            mode = MODES[index % len(MODES)]
            workspace = Workspace(self._folder / "work" / f"w{index}")
            result = await peer.request(
                "thread/start", {"cwd": str(workspace.folder), "approvalPolicy": "never", "sandbox": mode}
            )
            shown = Shown(result["thread"], workspace, "many", f"w{index}")
            self._threads.append((shown, mode))
            await self._works(peer, shown, mode)
        await peer.run_turn(self._threads[0][0].thread_id, "script s soon over", ROUND_SECONDS)
        await until(lambda: len(self._daemon.script_workers()) == 1)

    async def _interrupt_one(self, peer: Peer) -> None:
        rng, count = self._rng, self._count
        shown, mode = rng.choice(self._threads)
        self._turns += 1
        kinds = [rng.choice(tuple(KINDS)) for _ in range(rng.randint(1, TOOLS_MAX))]
        labels = [f"{kind}@t" if rng.random() < 0.15 else kind for kind in kinds]
        before = await self._settled()
        play = rng.choice(("many", "script"))
        turn_id = await peer.start_turn(shown.thread_id, f"{play} i{self._turns} {'+'.join(labels)}")
        await trio.sleep(rng.uniform(0, MOMENT_SECONDS))
        workers = self._daemon.script_workers()
        began = time.monotonic()
        await peer.ask("turn/interrupt", {"threadId": shown.thread_id, "turnId": turn_id})
        ended = await peer.turn_completed(turn_id, ROUND_SECONDS)
        left = observed.of_thread(shown.thread_id)
        running = workers & self._daemon.script_workers()
        count.seconds.append(time.monotonic() - began)
        count.check("no process is left when turn/completed is shown", left)
        still = [f"workers {running}, of which one at most is kept ready"] if len(running) > 1 else []
        count.check("no worker is left when turn/completed is shown", still)
        status = ended["status"]
        count.check("the turn ended as it should", [] if status in ENDINGS else [f"it is {status}: {ended}"])
        count.interrupts += 1
        count.endings[status] += 1
        count.modes[mode] += 1
        count.callers["the model" if play == "many" else "a script"] += 1
        count.kinds.update(kinds)
        await self._settles_to(before)
        count.check("history is valid as it was left", laws.history_is_valid(laws.load(shown)))
        await self._works(peer, shown, mode)
        count.check("every request to the model is valid", self._model.problems)

    async def _works(self, peer: Peer, shown: Shown, mode: str) -> None:
        """A turn with one command, which has its effect where its sandbox lets it."""
        self._turns += 1
        name = f"n{self._turns}"
        ended = await peer.run_turn(shown.thread_id, f"again {name}", ROUND_SECONDS)
        problems = [] if ended["status"] == "completed" else [f"it ended {ended['status']}: {ended}"]
        effects = shown.workspace.effects()[f"{name}-z"]
        wanted = 0 if mode == "read-only" else 1
        if effects != wanted:
            problems.append(f"in {mode} its command ({note(name)}) had its effect {effects} times, not {wanted}")
        self._count.check("the next turn works", problems)
        self._count.check("nothing is left after it", observed.of_thread(shown.thread_id))

    # --- descriptors and zombies ------------------------------------------------------------------------------------

    async def _settled(self) -> Counter[str]:
        """What the daemon and its launcher hold open when nothing runs."""
        deadline = trio.current_time() + SETTLE_SECONDS
        last = self._held()
        while trio.current_time() < deadline:
            await trio.sleep(0.01)
            now = self._held()
            if now == last:
                break
            last = now
        return last

    async def _settles_to(self, before: Counter[str]) -> None:
        began = time.monotonic()
        more = zombies = None
        while time.monotonic() - began < SETTLE_SECONDS:
            more, zombies = self._held() - before, self._zombies()
            if not more and not zombies:
                break
            await trio.sleep(0.002)
        self._count.settled.append(time.monotonic() - began)
        self._count.check("no descriptor is left open", [f"{kind}: {count}" for kind, count in (more or {}).items()])
        self._count.check("no zombie is left", zombies or [])

    def _family(self) -> list[int]:
        """The daemon and its launcher."""
        return [self._daemon.pid, *children(self._daemon.pid)]

    def _held(self) -> Counter[str]:
        held: Counter[str] = Counter()
        for pid in self._family():
            held.update(f"{pid}: {kind}" for kind in descriptors(pid))
        for launcher in children(self._daemon.pid):  # each container that is kept for the next call is held by two
            vacant = len(inits(launcher)) - (held[f"{launcher}: socket:[]"] - 1)  # a spare is the launcher's
            held.subtract({f"{self._daemon.pid}: {kind}": vacant for kind in ("socket:[]", "anon_inode:[pidfd]")})
        return held

    def _zombies(self) -> list[str]:
        family = set(self._family())
        return [f"{pid} of {parent}" for pid, (state, parent) in states().items() if state == "Z" and parent in family]


def descriptors(pid: int) -> list[str]:
    """The kinds of what a process holds open: pipe, socket, pidfd, terminal; files by their name."""
    kinds = []
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if target.startswith(("pipe:", "socket:", "anon_inode:", "/memfd:", "/dev/pt")):
            kinds.append(re.sub(r"\d+", "", target))
    return kinds


def children(parent: int) -> list[int]:
    """Living children of a process that are launchers: other children are what is looked for."""
    return named_children(parent, LAUNCHER_NAME)


def inits(launcher: int) -> list[int]:
    """A launcher's living containers; without a call they are its spare, and those that are vacant."""
    return named_children(launcher, INIT_NAME.decode())


def named_children(parent: int, name: str) -> list[int]:
    """Living children by the beginning of their name."""
    found = []
    for pid, (state, of) in states().items():
        if of == parent and state != "Z":
            with contextlib.suppress(OSError):  # it has just ended
                if Path(f"/proc/{pid}/comm").read_text().startswith(name):
                    found.append(pid)
    return found


def states() -> dict[int, tuple[str, int]]:
    """pid -> state and parent."""
    found = {}
    for pid in observed.processes():
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[:2]
        except (OSError, ValueError):
            continue
        found[pid] = state.decode(), int(parent)
    return found


# --- the command ----------------------------------------------------------------------------------------------------


async def run(interrupts: int, seed: int, folder: Path, count: Count, say: Callable[[str], None]) -> None:
    """Interrupt so often. Raises LawBrokenError."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with scripted_model() as model:
        teach(model)
        trial = Trial(folder, model, rng, count)

        async def report() -> None:
            while True:
                await trio.sleep(30)
                say(f"{count.interrupts} interrupts")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(report)
            await trial.run(interrupts)
            nursery.cancel_scope.cancel()


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if every law held after every interrupt."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.interrupts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--interrupts", type=int, default=20, help="how often (default 20)")
    parser.add_argument("--seed", type=int, help="of the moments; default: drawn, and printed")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="callboard-interrupts-"))
    print(f"seed {seed}; home in {folder}", flush=True)
    count = Count()
    began = time.monotonic()
    try:
        trio.run(run, options.interrupts, seed, folder, count, lambda words: print(words, flush=True))
    except KeyboardInterrupt:
        return 130
    except BaseException as group:  # whatever it was, the seed and the home are what is needed to find out
        error = broken(group)
        print(f"\nBROKEN after {count.interrupts} interrupts (seed {seed}): {type(error).__name__}: {error}")
        if isinstance(error, LawBrokenError):
            print(*(f"  - {problem}" for problem in error.problems), f"kept: {folder}", sep="\n")
            return 1
        raise
    shutil.rmtree(folder)
    print(f"\n{count.table()}\nin {time.monotonic() - began:.0f} s (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
