"""``make kill``: kill -9 the daemon at random moments of turns full of tools, and see whether its promises hold.

    python -m tests.system.kill --kills 200 [--seed 7]

One kill: four threads work at once on a running daemon (`kill_play`), and every frame it shows is kept. At a moment
that is drawn from the seed its process gets SIGKILL, and nothing else does. Then `kill_laws` are checked: nothing of it
is left in /proc, the logs hold all that was shown and a history that providers accept, no call took effect twice; a new
daemon on the same home loads every thread, shows the same, goes on where only an answer is missing, and works. Now and
then the new daemon is killed while it starts, before it is believed.

The seed decides the moments and everything the threads do; the machine's timing it does not decide. So a failure is
kept whole: the home, the frames and what was wrong.

Moments are drawn in several ways, because each finds what the others rarely hit: by the clock (anywhere), after a
number of frames (right behind something shown), as the ledger grows (between an effect and its record), as a log grows
(between record and show), and while a daemon starts.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import trio
import trio_websocket

from tests.system import kill_laws as laws
from tests.system.daemon import DaemonProcess
from tests.system.kill_laws import Shown
from tests.system.kill_play import TURN_SECONDS, Workspace, teach
from tests.system.model import ScriptedModel, scripted_model
from tests.system.peer import Frame, Peer, connect

KILLS_PER_HOME = 12
"""Threads gather in a home, and each start loads what is there; then a new one begins."""

PLAYS = ("work", "ask", "stream")
SCRIPTS = ("script", "doubt")
"""One of them goes along each time."""

THREADS = len(PLAYS) + 1

CAREFUL = ("ask", "doubt")
"""Plays in which people are asked."""

FRAMES_OF_A_TURN = 140
"""About how many frames all threads are worth."""

EFFECTS_OF_A_TURN = 13
APPENDS_OF_A_TURN = 80

START_SECONDS = 0.7
"""About how long a daemon takes to listen; kills of a starting one are spread over it and a little more."""

ROUND_SECONDS = 60.0
"""For one kill and everything after it. More means that something hangs."""

WATCH_SECONDS = 0.0005


class LawBrokenError(Exception):
    """Which law, and how."""

    def __init__(self, law: str, problems: list[str]) -> None:
        super().__init__(f"{law}: " + "; ".join(problems[:3]))
        self.law = law
        self.problems = problems


class Count:
    """What was done, for the table at the end."""

    def __init__(self) -> None:
        self.kills = 0
        self.triggers: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.gone_seconds: list[float] = []
        self.start_seconds: list[float] = []
        self.went_on = 0
        self.replayed = 0
        self.last = ""
        """How the moment of the last kill was drawn."""

    def check(self, law: str, problems: list[str]) -> None:
        """Raises LawBrokenError."""
        self.checks[law] += 1
        if problems:
            raise LawBrokenError(law, problems)

    def table(self) -> str:
        lines = [f"{self.kills} kills", "", "moment drawn by"]
        lines += [f"  {count:5}  {name}" for name, count in self.triggers.most_common()]
        lines += ["", f"what the threads were doing ({THREADS} per kill)"]
        lines += [f"  {count:5}  {name}" for name, count in self.phases.most_common()]
        lines += ["", "laws checked, none broken"]
        lines += [f"  {count:5}  {name}" for name, count in self.checks.items()]
        lines += [
            "",
            f"turns that waited for an answer and went on after it: {self.went_on}",
            f"scripts that were replayed: {self.replayed}",
            f"processes gone after: {_spread(self.gone_seconds)}",
            f"daemon listens again after: {_spread(self.start_seconds)}",
        ]
        return "\n".join(lines)


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms"


class Trial:
    """One home and the daemons that die on it."""

    def __init__(self, folder: Path, model: ScriptedModel, rng: random.Random, count: Count) -> None:
        self.folder = folder
        self._model = model
        self._rng = rng
        self._count = count
        # No user's profile: one that is killed on its way may leave a lock for which the next one waits.
        nobody = folder / "nobody"
        nobody.mkdir(parents=True)
        self._daemon = DaemonProcess(folder / "home", model.flags(), environment={"HOME": str(nobody)})
        self._known: list[Shown] = []
        """Every thread of this home."""
        self._turns = 0
        self.frames: list[Frame] = []
        """Of the present daemon, for whoever has to find out what went wrong."""

    async def run(self, kills: int) -> None:
        """Kill so often. Raises LawBrokenError."""
        await self._start()
        before = self._count.kills
        try:
            while self._count.kills - before < kills:
                with trio.fail_after(ROUND_SECONDS):
                    shown = await self._until_killed()
                    await self._look_at_the_remains(shown)
                    if self._count.kills - before < kills and self._rng.random() < 0.3:
                        await self._kill_while_starting()
                    await self._start()
                    await self._resume(shown)
            async with connect(self._daemon) as peer:
                for known in self._known:
                    thread = (await peer.request("thread/resume", {"threadId": known.thread_id}))["thread"]
                    self._count.check("every thread of a home loads", laws.shown_is_resumed(known, thread))
            self._daemon.stop()
        finally:
            self._daemon.kill()

    # --- dying ------------------------------------------------------------------------------------------------------

    async def _until_killed(self) -> list[Shown]:
        """Start turns, kill the daemon at the moment drawn, and return what was shown until then."""
        trigger, moment = self._draw()
        async with connect(self._daemon) as peer:
            self.frames = peer.frames
            threads = [await self._thread(peer, play) for play in (*PLAYS, self._rng.choice(SCRIPTS))]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow, peer, threads)
                asked = {shown.name: await peer.ask("turn/start", _turn_start(shown)) for shown in threads}
                await moment(peer, threads)
                sampling = [exchange.user for exchange in self._model.open_exchanges()]
                self._kill(trigger)
                with trio.fail_after(5):
                    await peer.closed.wait()
        for shown in threads:
            self._count.phases[shown.phase(sampling=f"{shown.play} {shown.name}" in sampling)] += 1
            answer = next((frame for frame in peer.frames if frame.get("id") == asked[shown.name]), {})
            shown.accepted = "result" in answer
        return threads

    def _kill(self, trigger: str) -> None:
        self._daemon.kill()
        self._count.kills += 1
        self._count.triggers[trigger] += 1
        self._count.last = trigger

    async def _thread(self, peer: Peer, play: str) -> Shown:
        """A thread for one play: mostly a new one, sometimes one that has been through it before."""
        self._turns += 1
        name = f"t{self._turns}"
        old = [known for known in self._known if known.play == play]
        if old and self._rng.random() < 0.3:
            shown = self._rng.choice(old)
            await peer.request("thread/resume", {"threadId": shown.thread_id, "excludeTurns": True})
            shown.begin(name)
            return shown
        workspace = Workspace(self.folder / "work" / name)
        thread = await peer.start_thread(workspace.folder, "on-request" if play in CAREFUL else "never")
        shown = Shown(thread, workspace, play, name)
        self._known.append(shown)
        return shown

    async def _follow(self, peer: Peer, threads: list[Shown]) -> None:
        """Keep what is shown; answer some of the questions, some time."""
        answers_left = self._rng.choice((0, 0, 1, 2))
        async with trio.open_nursery() as nursery:
            async for frame in peer.all_frames():
                for shown in threads:
                    shown.hear(frame)
                if "id" in frame and "method" in frame and answers_left:
                    answers_left -= 1
                    nursery.start_soon(_answer_later, peer, frame, self._rng.uniform(0, 0.6))
            nursery.cancel_scope.cancel()

    def _draw(self) -> tuple[str, Callable[[Peer, list[Shown]], Awaitable[None]]]:
        """The moment of the next kill."""
        rng = self._rng
        seconds = rng.uniform(0, TURN_SECONDS * 1.25)
        match rng.choice(("clock", "clock", "frames", "frames", "effects", "log")):
            case "clock":
                return "the clock", lambda peer, threads: _clock(seconds)
            case "frames":
                wanted = rng.randrange(1, FRAMES_OF_A_TURN)
                return "frames shown", lambda peer, threads: _frames(peer, wanted)
            case "effects":
                wanted = rng.randrange(1, EFFECTS_OF_A_TURN)
                return "effects of tools", lambda peer, threads: _effects(threads, wanted)
            case _:
                wanted = rng.randrange(1, APPENDS_OF_A_TURN)
                return "appends to the logs", lambda peer, threads: _appends(threads, wanted)

    async def _kill_while_starting(self) -> None:
        """The next daemon dies before or while it recovers."""
        self._daemon.spawn()
        await trio.sleep(self._rng.uniform(0, START_SECONDS * 1.2))
        self._kill("a start")
        self._count.phases["daemon starting"] += THREADS
        await self._nothing_left()

    async def _nothing_left(self) -> None:
        began = time.monotonic()
        left = await self._daemon.all_gone()
        self._count.gone_seconds.append(time.monotonic() - began)
        self._count.check("no process is left", left)

    # --- what is left -----------------------------------------------------------------------------------------------

    async def _look_at_the_remains(self, threads: list[Shown]) -> None:
        await self._nothing_left()
        for shown in threads:
            shown.remains = shown.path.read_bytes()
            loaded = laws.load(shown)
            self._count.check("history is valid as it was left", laws.history_is_valid(loaded))
            self._count.check("what was shown is in the log", laws.shown_is_logged(shown, loaded))
            self._count.check("no tool ran twice, no success without effect", laws.ran_once(shown))
            if shown.accepted:
                missing = [] if shown.name in loaded.submissions else [f"{shown.name} is not in {loaded.submissions}"]
                self._count.check("a turn that was accepted is in the log", missing)

    # --- living on --------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        began = time.monotonic()
        self._daemon.spawn()
        while self._daemon.announced() is None:
            if self._daemon.process is not None and self._daemon.process.poll() is not None:
                raise LawBrokenError("the daemon starts again", [self._daemon.printed()])
            await trio.sleep(0.005)
        self._count.start_seconds.append(time.monotonic() - began)

    async def _resume(self, threads: list[Shown]) -> None:
        async with connect(self._daemon) as peer:
            self.frames = peer.frames
            listed = await _listed(peer)
            missing = [known for known in self._known if known.thread_id not in listed]
            # Threads without a word in them are no use in a list; they load all the same.
            lost = [known.thread_id for known in missing if laws.load(known).preview]
            self._count.check("every thread with a user's words is listed", lost)
            async with trio.open_nursery() as nursery:
                for shown in threads:
                    nursery.start_soon(self._resume_one, peer, shown)
            self._count.check("every request to the model is valid", self._model.problems)
        self._model.forget()

    async def _resume_one(self, peer: Peer, shown: Shown) -> None:
        before = laws.load(shown)
        waits = laws.waits_for_people(before)
        thread: Frame = (await peer.request("thread/resume", {"threadId": shown.thread_id}))["thread"]
        self._count.check("what was shown is resumed", laws.shown_is_resumed(shown, thread))
        if laws.is_replayed(before):
            shown.begin(shown.name)
            ending = await self._accept_until(peer, shown, thread["turns"][-1]["id"])
            self._count.check(
                "a script is replayed to its end", [] if ending == "completed" else [f"it ended {ending}"]
            )
            self._count.check("a replay takes the same way", laws.nothing_diverged(laws.load(shown)))
            self._count.replayed += 1
        elif waits and before.open_turn is not None:
            shown.begin(shown.name)
            await self._go_on(peer, shown, thread, [asked.approval.id for asked in before.open_turn.approvals])
        else:
            self._count.check("nothing is left running", laws.nothing_runs(thread))
        if shown.name in before.submissions:
            again = await peer.request("turn/start", _turn_start(shown))
            turn_id = again["turn"]["id"]
            expected = before.submissions[shown.name]
            self._count.check(
                "a submission counts once", [] if turn_id == expected else [f"{turn_id} is not {expected}"]
            )
        turn = await peer.request("turn/start", _turn_start(shown, word="again"))
        await self._accept_until(peer, shown, turn["turn"]["id"])
        after = laws.load(shown)
        self._count.check("history is valid after recovery", laws.history_is_valid(after))
        self._count.check("the log is only added to", laws.only_added_to(shown.remains, shown.path.read_bytes()))
        self._count.check("what was shown is in the log after recovery", laws.shown_is_logged(shown, after))
        self._count.check("no tool ran twice, no success without effect", laws.ran_once(shown))
        effect = shown.workspace.effects()[f"{shown.name}-z"]
        self._count.check("a new turn works", [] if effect == 1 else [f"its command ran {effect} times"])

    async def _go_on(self, peer: Peer, shown: Shown, thread: Frame, unanswered: list[str]) -> None:
        """Only answers are missing: the same questions are asked again, and with a yes the turn ends well."""
        status = thread["status"]
        waiting = status["type"] == "active" and "waitingOnApproval" in status.get("activeFlags", ())
        self._count.check("a turn that waits for an answer still waits", [] if waiting else [f"status {status}"])
        turn_id = thread["turns"][-1]["id"]
        ending = await self._accept_until(peer, shown, turn_id)
        ended = [] if ending == "completed" else [f"turn {turn_id} ended {ending}"]
        self._count.check("a turn that waited goes on when answered", ended)
        lost = [id_ for id_ in unanswered if id_ not in shown.asked]
        self._count.check("questions are asked again under their id", lost)
        self._count.went_on += 1

    async def _accept_until(self, peer: Peer, shown: Shown, turn_id: str) -> str:
        """Say yes to whatever this thread asks until its turn is over; how it ended."""
        async for frame in peer.all_frames():
            params = frame.get("params") or {}
            if params.get("threadId") != shown.thread_id:
                continue
            shown.hear(frame)
            if "id" in frame and "method" in frame:
                await peer.answer(frame, {"decision": "accept"})
            elif frame["method"] == "turn/completed" and params["turn"]["id"] == turn_id:
                return str(params["turn"]["status"])
        raise LawBrokenError(
            "the daemon serves on", [f"the connection ended; the daemon printed {self._daemon.printed()}"]
        )


def _turn_start(shown: Shown, word: str | None = None) -> Frame:
    """The submission of a thread's turn; sent again it is the same one."""
    text = f"{word or shown.play} {shown.name}"
    client_id = shown.name if word is None else f"{shown.name}-{word}"
    return {
        "threadId": shown.thread_id,
        "input": [{"type": "text", "text": text}],
        "clientUserMessageId": client_id,
    }


async def _listed(peer: Peer) -> set[str]:
    ids: set[str] = set()
    cursor: str | None = None
    while True:
        page = await peer.request("thread/list", {"limit": 100, "cursor": cursor})
        ids.update(thread["id"] for thread in page["data"])
        cursor = page.get("nextCursor")
        if cursor is None:
            return ids


# --- moments --------------------------------------------------------------------------------------------------------


async def _clock(seconds: float) -> None:
    """Anywhere."""
    await trio.sleep(seconds)


async def _frames(peer: Peer, wanted: int) -> None:
    """Right behind something shown."""
    wanted += len(peer.frames)
    with trio.move_on_after(TURN_SECONDS * 2):
        async for _ in peer.all_frames(wanted - 1):
            return


async def _effects(threads: list[Shown], wanted: int) -> None:
    """Right behind a tool's effect, before it is told."""
    wanted += sum(shown.workspace.effects().total() for shown in threads)
    await _watch(lambda: sum(shown.workspace.effects().total() for shown in threads) >= wanted)


async def _appends(threads: list[Shown], wanted: int) -> None:
    """Right behind a write to a log, before what it says is shown."""
    last = -1
    seen = -1

    def grown() -> bool:
        nonlocal last, seen
        size = sum(shown.path.stat().st_size for shown in threads)
        seen += size != last
        last = size
        return seen >= wanted

    await _watch(grown)


async def _watch(happened: Callable[[], bool]) -> None:
    with trio.move_on_after(TURN_SECONDS * 2):
        while not happened():  # noqa: ASYNC110  # what other processes do to files raises no event here
            await trio.sleep(WATCH_SECONDS)


async def _answer_later(peer: Peer, request: Frame, seconds: float) -> None:
    await trio.sleep(seconds)
    with contextlib.suppress(trio_websocket.ConnectionClosed):
        await peer.answer(request, {"decision": "accept"})


# --- the command ----------------------------------------------------------------------------------------------------


async def run(kills: int, seed: int, folder: Path, count: Count, say: Callable[[str], None]) -> None:
    """Kill so often, on one home after another below ``folder``. Raises LawBrokenError; what it is about is kept."""
    rng = random.Random(seed)
    number = 0
    with scripted_model() as model:
        teach(model)
        while count.kills < kills:
            number += 1
            trial = Trial(folder / f"trial-{number}", model, rng, count)
            try:
                await trial.run(min(KILLS_PER_HOME, kills - count.kills))
            except BaseException:
                (trial.folder / "frames.json").write_bytes(b"\n".join(map(msgspec.json.encode, trial.frames)))
                raise
            shutil.rmtree(trial.folder)
            say(f"{count.kills} kills")


def broken(error: BaseException) -> BaseException:
    """The first law that was broken, or whatever else went wrong, out of the nurseries it came through."""
    while isinstance(error, BaseExceptionGroup):
        law, rest = error.split(LawBrokenError)
        error = (law or rest or error).exceptions[0]
    return error


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if every law held after every kill."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="how often (default 20)")
    parser.add_argument("--seed", type=int, help="of the moments; default: drawn, and printed")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="callboard-kill-"))
    print(f"seed {seed}; homes in {folder}")
    count = Count()
    began = time.monotonic()
    try:
        trio.run(run, options.kills, seed, folder, count, lambda words: print(words, flush=True))
    except KeyboardInterrupt:
        return 130
    except BaseException as group:  # whatever it was, the seed and the home are what is needed to find out
        error = broken(group)
        print(f"\nBROKEN after {count.kills} kills (seed {seed}): {type(error).__name__}")
        if isinstance(error, LawBrokenError):
            print(f"law: {error.law}", *(f"  - {problem}" for problem in error.problems), sep="\n")
        else:
            traceback.print_exception(group)
        print(f"last moment: {count.last}\nkept: {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"\n{count.table()}\nin {time.monotonic() - began:.0f} s (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
